#include "shardwrite/writer_settings.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "generation/manifest_rules.h"
#include "generation/shard_path.h"

namespace datashard::shardwrite {
namespace {

using Json = nlohmann::json;

constexpr int32_t kPageSizeMin = 512;
constexpr int32_t kPageSizeMax = 65'536;
constexpr int kSidecarVersion = 8;

Status CheckSegment(std::string_view setting, const std::string& segment) {
  const bool fits = !segment.empty() && segment != "." && segment.find("..") == std::string::npos && std::all_of(segment.begin(), segment.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
  });
  if (fits) return {};
  return InvalidArgument("{} is \"{}\"; it is one name of letters, digits, '.', '_' and '-', without \"..\"", setting, segment);
}

Status CheckAbove(std::string_view setting, double number, double least) {
  if (std::isfinite(number) && number >= least) return {};
  return InvalidArgument("{} is {}; it is {} or more", setting, number, least);
}

Status CheckRate(std::string_view setting, const std::optional<double>& rate) {
  if (!rate || (std::isfinite(*rate) && *rate > 0)) return {};
  return InvalidArgument("{} is {}; it is a number above 0, or none", setting, *rate);
}

Status CheckRetry(const ShardRetry& retry) {
  DS_RETURN_IF_ERROR(CheckAbove("shard_retry.max_retries", retry.max_retries, 0));
  DS_RETURN_IF_ERROR(CheckAbove("shard_retry.initial_backoff (ms)", static_cast<double>(retry.initial_backoff.count()), 0));
  return CheckAbove("shard_retry.backoff_multiplier", retry.backoff_multiplier, 1);
}

Status CheckFormat(const ShardFormatOptions& format) {
  const int32_t page_size = format.sqlite_page_size;
  if (page_size != 0 && (page_size < kPageSizeMin || page_size > kPageSizeMax || (page_size & (page_size - 1)) != 0)) {
    return InvalidArgument("sqlite_page_size is {}; it is a power of two of {} to {}, or 0 for one that fits the values", page_size, kPageSizeMin, kPageSizeMax);
  }
  static constexpr std::string_view kCodecs[] = {"none", "snappy", "zlib", "lz4", "zstd"};
  if (std::find(std::begin(kCodecs), std::end(kCodecs), format.slatedb_compression) != std::end(kCodecs)) return {};
  return InvalidArgument("slatedb_compression is \"{}\"; it is one of none, snappy, zlib, lz4 and zstd", format.slatedb_compression);
}

}  // namespace

Status CheckSettings(const ShardedWriteSettings& settings) {
  if (settings.run_id) DS_RETURN_IF_ERROR(generation::CheckRunId(*settings.run_id));
  DS_RETURN_IF_ERROR(CheckSegment("shard_prefix", settings.shard_prefix));
  DS_RETURN_IF_ERROR(CheckSegment("run_registry_prefix", settings.run_registry_prefix));
  DS_RETURN_IF_ERROR(generation::FormatDbPath(settings.db_path_template, /*db_id=*/0));
  DS_RETURN_IF_ERROR(CheckAbove("batch_size", static_cast<double>(settings.batch_size), 1));
  DS_RETURN_IF_ERROR(CheckAbove("memory_bytes_max", static_cast<double>(settings.memory_bytes_max), 1));
  DS_RETURN_IF_ERROR(CheckAbove("threads", settings.threads, 0));
  DS_RETURN_IF_ERROR(CheckRate("writes_per_second_max", settings.writes_per_second_max));
  DS_RETURN_IF_ERROR(CheckRate("write_bytes_per_second_max", settings.write_bytes_per_second_max));
  if (settings.shard_retry) DS_RETURN_IF_ERROR(CheckRetry(*settings.shard_retry));
  if (settings.key_col.empty()) return InvalidArgument("key_col is empty; it is the name of the key");
  if (!Json::parse(settings.custom, nullptr, /*allow_exceptions=*/false).is_object()) {
    return InvalidArgument("custom is no JSON object: {}", settings.custom.substr(0, 200));
  }
  return CheckFormat(settings.format);
}

std::string CustomFields(const ShardedWriteSettings& settings) {
  const ShardFormatOptions& format = settings.format;
  if (format.format != ShardFormat::kSqlite || !format.sqlite_sidecar) return settings.custom;
  Json custom = Json::parse(settings.custom, nullptr, /*allow_exceptions=*/false);
  custom["sqlite_sidecar"] = {{"codec", "zstd"}, {"filename", "shard.sidecar"}, {"format_version", kSidecarVersion}};
  custom["sqlite_sidecar"]["page_size"] = format.sqlite_page_size == 0 ? Json("auto") : Json(format.sqlite_page_size);
  return custom.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

LocalDirectory LocalDirectoryOf(const ShardedWriteSettings& settings, const std::string& run_id) {
  LocalDirectory directory;
  std::string root = settings.local_root;
  if (root.empty()) {
    std::error_code none;
    const std::filesystem::path temporary = std::filesystem::temp_directory_path(none);
    root = directory.default_root = (none ? std::filesystem::path("/tmp") : temporary).string() + "/datashard";
  }
  directory.path = root + "/run_id=" + run_id;
  return directory;
}

void RemoveLocalDirectory(const LocalDirectory& directory) {
  std::error_code ignored;
  std::filesystem::remove_all(directory.path, ignored);
  if (!directory.default_root.empty()) std::filesystem::remove(directory.default_root, ignored);  // unless others use it
}

}  // namespace datashard::shardwrite
