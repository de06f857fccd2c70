#include "generation/run_record.h"

#include <yaml-cpp/yaml.h>

#include "base/error.h"
#include "generation/utc_text.h"
#include "generation/yaml_text.h"

namespace datashard::generation {
namespace {

constexpr size_t kTextBytesMax = 64 << 10;
constexpr size_t kMessageCharactersMax = 2000;

/// The first characters of UTF-8.
std::string_view Beginning(std::string_view text) {
  size_t characters = 0, end = 0;
  for (; end < text.size(); ++end)
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && ++characters > kMessageCharactersMax) break;
  return text.substr(0, end);
}

std::string OptionalLine(std::string_view key, const std::optional<std::string>& text) {
  if (!text) return fmt::format("{}: null\n", key);
  return YamlLine(key, Beginning(*text));
}

Result<std::optional<std::string>> OptionalText(const YAML::Node& record, const char* name) {
  const YAML::Node value = record[name];
  if (!value.IsDefined() || value.IsNull()) return std::optional<std::string>();
  if (!value.IsScalar()) return Corruption("the run record's {} is no text", name);
  return std::optional(value.Scalar());
}

Result<std::string> Text(const YAML::Node& record, const char* name) {
  DS_ASSIGN_OR_RETURN(std::optional<std::string> text, OptionalText(record, name));
  if (!text) return Corruption("the run record lacks {}", name);
  return *std::move(text);
}

Result<UtcTime> Time(const YAML::Node& record, const char* name) {
  DS_ASSIGN_OR_RETURN(const std::string text, Text(record, name));
  const std::optional<UtcTime> time = ReadUtcText(text);
  if (!time) return Corruption("the run record's {} is '{}'; expected a time like 2026-11-21T07:38:13.884350Z", name, text);
  return *time;
}

Result<RunRecord> Read(const YAML::Node& yaml) {
  if (!yaml.IsMap()) return Corruption("the run record is no mapping");
  DS_ASSIGN_OR_RETURN(const std::string version, Text(yaml, "format_version"));
  if (version != "1") return Unsupported("the run record has format_version {}; this release reads version 1", version);
  RunRecord record;
  DS_ASSIGN_OR_RETURN(record.run_id, Text(yaml, "run_id"));
  DS_ASSIGN_OR_RETURN(record.writer_type, Text(yaml, "writer_type"));
  DS_ASSIGN_OR_RETURN(const std::string status, Text(yaml, "status"));
  if (status != "running" && status != "succeeded" && status != "failed")
    return Corruption("the run record's status is '{}'; expected running, succeeded or failed", status);
  record.status = status == "running" ? RunRecord::Status::kRunning : status == "failed" ? RunRecord::Status::kFailed : RunRecord::Status::kSucceeded;
  DS_ASSIGN_OR_RETURN(record.started_at, Time(yaml, "started_at"));
  DS_ASSIGN_OR_RETURN(record.updated_at, Time(yaml, "updated_at"));
  DS_ASSIGN_OR_RETURN(record.lease_expires_at, Time(yaml, "lease_expires_at"));
  DS_ASSIGN_OR_RETURN(record.s3_prefix, Text(yaml, "s3_prefix"));
  DS_ASSIGN_OR_RETURN(record.shard_prefix, Text(yaml, "shard_prefix"));
  DS_ASSIGN_OR_RETURN(record.db_path_template, Text(yaml, "db_path_template"));
  DS_ASSIGN_OR_RETURN(record.manifest_ref, OptionalText(yaml, "manifest_ref"));
  DS_ASSIGN_OR_RETURN(record.error_type, OptionalText(yaml, "error_type"));
  DS_ASSIGN_OR_RETURN(record.error_message, OptionalText(yaml, "error_message"));
  return record;
}

}  // namespace

std::string_view ToString(RunRecord::Status status) {
  switch (status) {
    case RunRecord::Status::kRunning: return "running";
    case RunRecord::Status::kSucceeded: return "succeeded";
    case RunRecord::Status::kFailed: return "failed";
  }
  return "?";
}

std::string RunRecordText(const RunRecord& record) {
  return YamlLine("db_path_template", record.db_path_template) + OptionalLine("error_message", record.error_message) +
         OptionalLine("error_type", record.error_type) + "format_version: 1\n" +
         YamlLine("lease_expires_at", UtcText(record.lease_expires_at)) + OptionalLine("manifest_ref", record.manifest_ref) +
         YamlLine("run_id", record.run_id) + YamlLine("s3_prefix", record.s3_prefix) + YamlLine("shard_prefix", record.shard_prefix) +
         YamlLine("started_at", UtcText(record.started_at)) + YamlLine("status", ToString(record.status)) +
         YamlLine("updated_at", UtcText(record.updated_at)) + YamlLine("writer_type", record.writer_type);
}

Result<RunRecord> ReadRunRecord(std::string_view text) {
  if (text.size() > kTextBytesMax) return Corruption("{} bytes are more than a run record has", text.size());
  try {
    return Read(YAML::Load(std::string(text)));
  } catch (const YAML::Exception& error) {
    return Corruption("the run record is no YAML: {}", error.what());
  }
}

}  // namespace datashard::generation
