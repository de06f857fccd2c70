#include "iceberg/manifest_records.h"

#include "base/error.h"
#include "iceberg/manifest_ids.h"

namespace datashard::iceberg {
namespace {

const AvroType* EnterRequired(AvroReader& reader, const AvroField& field) {
  const AvroType* type = reader.Enter(*field.type);
  if (type == nullptr && reader.ok()) reader.Fail(fmt::format("'{}' (field-id {}) is null", field.name, field.field_id));
  return type;
}

}  // namespace

int64_t RequiredCount(AvroReader& reader, const AvroField& field) {
  const AvroType* type = EnterRequired(reader, field);
  if (type == nullptr) return 0;
  const int64_t count = reader.Integer(*type);
  if (count < 0) reader.Fail(fmt::format("'{}' is {}", field.name, count));
  return count;
}

int32_t RequiredInteger32(AvroReader& reader, const AvroField& field) {
  const AvroType* type = EnterRequired(reader, field);
  return type == nullptr ? 0 : reader.Integer32(*type);
}

std::string RequiredText(AvroReader& reader, const AvroField& field) {
  const AvroType* type = EnterRequired(reader, field);
  if (type == nullptr) return {};
  const std::string_view text = reader.Text(*type);
  if (text.empty()) reader.Fail(fmt::format("'{}' is empty", field.name));
  return std::string(text);
}

std::optional<int64_t> OptionalInteger(AvroReader& reader, const AvroField& field) {
  const AvroType* type = reader.Enter(*field.type);
  return type == nullptr ? std::nullopt : std::optional(reader.Integer(*type));
}

std::optional<std::string> OptionalBinary(AvroReader& reader, const AvroField& field) {
  const AvroType* type = reader.Enter(*field.type);
  return type == nullptr ? std::nullopt : std::optional(std::string(reader.Binary(*type)));
}

int64_t ItemInteger(AvroReader& reader, const AvroType& item) {
  const AvroType* type = reader.Enter(item);
  return type == nullptr ? 0 : reader.Integer(*type);
}

Status RequireFields(const AvroType& record, std::initializer_list<RequiredField> fields, std::string_view object) {
  for (const RequiredField& field : fields) {
    if (record.kind == AvroKind::kRecord && record.Find(field.field_id) != nullptr) continue;
    return Corruption("{}: its Avro schema has no field with field-id {} ({})", object, field.field_id, field.name)
        .About(ErrorSubject::kMetadata);
  }
  return {};
}

Status ReadRecords(AvroFile& file, std::string_view object, const std::function<void(AvroReader&)>& read) {
  int64_t records = 0;
  AvroReader reader;
  for (;;) {
    DS_ASSIGN_OR_RETURN(const std::optional<AvroBlock> block, file.Next());
    if (!block) break;
    if (records + block->count > kManifestRecordsMax) {
      return Corruption("{}: more than {} records", object, kManifestRecordsMax).About(ErrorSubject::kMetadata);
    }
    reader.Begin(block->bytes());
    for (int64_t i = 0; i < block->count; ++i, ++records) {
      read(reader);
      if (!reader.ok()) {
        return Corruption("{}: record {}: {}", object, records, reader.fault()).About(ErrorSubject::kMetadata);
      }
    }
    if (!reader.at_end()) {
      return Corruption("{}: an Avro block has bytes behind its {} records", object, block->count)
          .About(ErrorSubject::kMetadata);
    }
  }
  const auto expected = file.Header(kRecordCountKey);
  if (expected && *expected != fmt::format("{}", records)) {
    return Corruption("{}: {} records, but its header says {}; the file is truncated", object, records,
                      expected->substr(0, 20)).About(ErrorSubject::kMetadata);
  }
  return {};
}

}  // namespace datashard::iceberg
