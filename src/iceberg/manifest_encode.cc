// Manifests and manifest lists as Avro. Every attribute written here is demanded by some engine; which one and why is in
// docs/formats/manifest.md.
#include <set>

#include "base/check.h"
#include "base/error.h"
#include "iceberg/avro_writer.h"
#include "iceberg/json_writer.h"
#include "iceberg/manifest.h"
#include "iceberg/manifest_ids.h"
#include "iceberg/partition.h"

namespace datashard::iceberg {
namespace {

/// The fields of a record schema, one call each.
class RecordSchema {
 public:
  RecordSchema(JsonWriter& json, std::string_view name) : json_(json) {
    json_.BeginObject().Key("type").String("record").Key("name").String(name).Key("fields").BeginArray();
  }
  void End() { json_.EndArray().EndObject(); }

  void Required(int32_t id, std::string_view name, std::string_view type) {
    Begin(id, name).Key("type").String(type).EndObject();
  }
  void Optional(int32_t id, std::string_view name, std::string_view type) {
    BeginOptional(id, name).String(type);
    EndOptional();
  }
  void OptionalList(int32_t id, std::string_view name, int32_t element_id, std::string_view type) {
    BeginOptional(id, name).BeginObject().Key("type").String("array").Key("items").String(type);
    json_.Key("element-id").Int(element_id).EndObject();
    EndOptional();
  }
  // Avro's own maps have text keys only, so maps by field id are arrays of pairs, named as Java names them.
  void OptionalMap(int32_t id, std::string_view name, int32_t key_id, std::string_view value_type) {
    const int32_t value_id = key_id + 1;
    BeginOptional(id, name).BeginObject().Key("type").String("array").Key("logicalType").String("map").Key("items");
    RecordSchema pair(json_, fmt::format("k{}_v{}", key_id, value_id));
    pair.Required(key_id, "key", "int");
    pair.Required(value_id, "value", value_type);
    pair.End();
    json_.EndObject();
    EndOptional();
  }
  JsonWriter& Begin(int32_t id, std::string_view name) {
    return json_.BeginObject().Key("name").String(name).Key("field-id").Int(id);
  }
  JsonWriter& BeginOptional(int32_t id, std::string_view name) {
    return Begin(id, name).Key("default").Raw("null").Key("type").BeginArray().String("null");
  }
  void EndOptional() { json_.EndArray().EndObject(); }

 private:
  JsonWriter& json_;
};

void WritePartitionSchema(JsonWriter& json, const PartitionSpec& spec, const std::vector<Type>& types) {
  RecordSchema record(json, "r102");
  std::set<std::string> names;
  for (size_t i = 0; i < spec.fields.size(); ++i) {
    const PartitionField& field = spec.fields[i];
    std::string name = AvroName(field.name);
    if (!names.insert(name).second) names.insert(name += fmt::format("_{}", field.field_id));
    record.BeginOptional(field.field_id, name);
    WriteAvroType(json, types[i], field.field_id);
    json.EndArray();
    if (name != field.name) json.Key("iceberg-field-name").String(field.name);
    json.EndObject();
  }
  record.End();
}

std::string ManifestSchema(const PartitionSpec& spec, const std::vector<Type>& types) {
  JsonWriter json;
  RecordSchema entry(json, "manifest_entry");
  entry.Required(kStatus, "status", "int");
  entry.Optional(kSnapshotId, "snapshot_id", "long");
  entry.Optional(kSequenceNumber, "sequence_number", "long");
  entry.Optional(kFileSequenceNumber, "file_sequence_number", "long");
  entry.Begin(kDataFile, "data_file").Key("type");
  RecordSchema file(json, "r2");
  file.Required(kContent, "content", "int");
  file.Required(kFilePath, "file_path", "string");
  file.Required(kFileFormat, "file_format", "string");
  file.Begin(kPartition, "partition").Key("type");
  WritePartitionSchema(json, spec, types);
  json.EndObject();
  file.Required(kRecordCount, "record_count", "long");
  file.Required(kFileSizeInBytes, "file_size_in_bytes", "long");
  file.OptionalMap(kColumnSizes, "column_sizes", 117, "long");
  file.OptionalMap(kValueCounts, "value_counts", 119, "long");
  file.OptionalMap(kNullValueCounts, "null_value_counts", 121, "long");
  file.OptionalMap(kNanValueCounts, "nan_value_counts", 138, "long");
  file.OptionalMap(kLowerBounds, "lower_bounds", 126, "bytes");
  file.OptionalMap(kUpperBounds, "upper_bounds", 129, "bytes");
  file.Optional(kKeyMetadata, "key_metadata", "bytes");
  file.OptionalList(kSplitOffsets, "split_offsets", 133, "long");
  file.OptionalList(kEqualityIds, "equality_ids", 136, "int");
  file.Optional(kSortOrderId, "sort_order_id", "int");
  file.Optional(kReferencedDataFile, "referenced_data_file", "string");
  file.End();
  json.EndObject();
  entry.End();
  return std::move(json).Take();
}

std::string ManifestListSchema() {
  JsonWriter json;
  RecordSchema line(json, "manifest_file");
  line.Required(kManifestPath, "manifest_path", "string");
  line.Required(kManifestLength, "manifest_length", "long");
  line.Required(kPartitionSpecId, "partition_spec_id", "int");
  line.Required(kListContent, "content", "int");
  line.Required(kListSequenceNumber, "sequence_number", "long");
  line.Required(kMinSequenceNumber, "min_sequence_number", "long");
  line.Required(kAddedSnapshotId, "added_snapshot_id", "long");
  line.Required(kAddedFilesCount, "added_files_count", "int");
  line.Required(kExistingFilesCount, "existing_files_count", "int");
  line.Required(kDeletedFilesCount, "deleted_files_count", "int");
  line.Required(kAddedRowsCount, "added_rows_count", "long");
  line.Required(kExistingRowsCount, "existing_rows_count", "long");
  line.Required(kDeletedRowsCount, "deleted_rows_count", "long");
  line.BeginOptional(kPartitions, "partitions").BeginObject().Key("type").String("array").Key("items");
  RecordSchema summary(json, "r508");
  summary.Required(kContainsNull, "contains_null", "boolean");
  summary.Optional(kContainsNan, "contains_nan", "boolean");
  summary.Optional(kLowerBound, "lower_bound", "bytes");
  summary.Optional(kUpperBound, "upper_bound", "bytes");
  summary.End();
  json.Key("element-id").Int(kPartitionsElement).EndObject();
  line.EndOptional();
  line.Optional(kListKeyMetadata, "key_metadata", "bytes");
  line.End();
  return std::move(json).Take();
}

void WriteLong(AvroEncoder& record, const std::optional<int64_t>& value) {
  if (!value) return record.Null();
  record.Some();
  record.Long(*value);
}

void WriteText(AvroEncoder& record, const std::optional<std::string>& value) {
  if (!value) return record.Null();
  record.Some();
  record.Text(*value);
}

// Items of an array behind ["null", array]; nothing there is null.
template <typename Items, typename Write>
void WriteItems(AvroEncoder& record, const Items& items, Write&& write) {
  if (items.empty()) return record.Null();
  record.Some();
  record.Long(static_cast<int64_t>(items.size()));
  for (const auto& item : items) write(item);
  record.Long(0);
}

void WriteCounts(AvroEncoder& record, const std::map<int32_t, int64_t>& counts) {
  WriteItems(record, counts, [&](const auto& pair) {
    record.Long(pair.first);
    record.Long(pair.second);
  });
}

void WriteBounds(AvroEncoder& record, const std::map<int32_t, std::string>& bounds) {
  WriteItems(record, bounds, [&](const auto& pair) {
    record.Long(pair.first);
    record.Text(pair.second);
  });
}

Status WritePartition(AvroEncoder& record, const DataFile& file, const PartitionSpec& spec,
                      const std::vector<Type>& types) {
  if (file.partition.size() != types.size()) {
    return Internal("data file {}: {} partition values for the {} fields of spec {}", file.file_path,
                    file.partition.size(), types.size(), spec.spec_id);
  }
  for (size_t i = 0; i < types.size(); ++i) {
    const Literal& value = file.partition[i];
    if (std::holds_alternative<std::monostate>(value)) {
      record.Null();
      continue;
    }
    record.Some();
    if (!WriteAvroValue(record, value, types[i])) {
      return Internal("data file {}: partition field '{}' is {}, which is no {}", file.file_path, spec.fields[i].name,
                      ToString(value), types[i].ToString());
    }
  }
  return {};
}

// Empty, or why no engine could use the entry. Not a DS_CHECK: entries may come from manifests of other writers.
std::string_view FaultOf(const ManifestEntry& entry, ManifestContent content) {
  const DataFile& file = entry.data_file;
  if (file.file_path.empty()) return "it has no path";
  if (file.file_format.empty()) return "it has no format";
  if (file.record_count < 0) return "its row count is negative";
  if (file.file_size_in_bytes <= 0) return "its size is not known";
  if ((file.content == FileContent::kData) != (content == ManifestContent::kData)) return "data and deletes are mixed";
  // Readers inherit these for added files only; anything else would resurrect rows.
  if (entry.status != EntryStatus::kAdded &&
      !(entry.snapshot_id && entry.sequence_number && entry.file_sequence_number)) {
    return "it is not new, and has no snapshot id or sequence numbers";
  }
  return "";
}

Status CheckEntry(const ManifestEntry& entry, ManifestContent content) {
  const DataFile& file = entry.data_file;
  if (const std::string_view fault = FaultOf(entry, content); !fault.empty()) {
    return Internal("refusing to name file '{}' in a manifest: {}", file.file_path, fault);
  }
  if (file.content_offset || file.content_size_in_bytes) {
    return Unsupported("data file {}: a deletion vector, which manifests of format v2 cannot name", file.file_path);
  }
  return {};
}

Status WriteEntry(AvroEncoder& record, const ManifestEntry& entry, const PartitionSpec& spec,
                  const std::vector<Type>& types) {
  const DataFile& file = entry.data_file;
  record.Long(static_cast<int64_t>(entry.status));
  WriteLong(record, entry.snapshot_id);
  WriteLong(record, entry.sequence_number);
  WriteLong(record, entry.file_sequence_number);
  record.Long(static_cast<int64_t>(file.content));
  record.Text(file.file_path);
  record.Text(file.file_format);
  DS_RETURN_IF_ERROR(WritePartition(record, file, spec, types));
  record.Long(file.record_count);
  record.Long(file.file_size_in_bytes);
  WriteCounts(record, file.column_sizes);
  WriteCounts(record, file.value_counts);
  WriteCounts(record, file.null_value_counts);
  WriteCounts(record, file.nan_value_counts);
  WriteBounds(record, file.lower_bounds);
  WriteBounds(record, file.upper_bounds);
  WriteText(record, file.key_metadata);
  WriteItems(record, file.split_offsets, [&](int64_t offset) { record.Long(offset); });
  WriteItems(record, file.equality_ids, [&](int32_t id) { record.Long(id); });
  WriteLong(record, file.sort_order_id);
  WriteText(record, file.referenced_data_file);
  return {};
}

void WriteSummary(AvroEncoder& record, const PartitionSummary& summary) {
  record.Boolean(summary.contains_null);
  if (summary.contains_nan) {
    record.Some();
    record.Boolean(*summary.contains_nan);
  } else {
    record.Null();
  }
  WriteText(record, summary.lower_bound);
  WriteText(record, summary.upper_bound);
}

void WriteLine(AvroEncoder& record, const ManifestFile& line) {
  record.Text(line.manifest_path);
  record.Long(line.manifest_length);
  record.Long(line.partition_spec_id);
  record.Long(static_cast<int64_t>(line.content));
  record.Long(line.sequence_number);
  record.Long(line.min_sequence_number);
  record.Long(line.added_snapshot_id);
  record.Long(line.added_files_count);
  record.Long(line.existing_files_count);
  record.Long(line.deleted_files_count);
  record.Long(line.added_rows_count);
  record.Long(line.existing_rows_count);
  record.Long(line.deleted_rows_count);
  // Present even when empty: engines stop at a list without the column, some at a null in it.
  record.Some();
  if (!line.partitions.empty()) {
    record.Long(static_cast<int64_t>(line.partitions.size()));
    for (const PartitionSummary& summary : line.partitions) WriteSummary(record, summary);
  }
  record.Long(0);
  WriteText(record, line.key_metadata);
}

}  // namespace

Result<Bytes> EncodeManifest(const ManifestHeader& header, std::span<const ManifestEntry> entries, AvroCodec codec) {
  DS_CHECK(static_cast<int64_t>(entries.size()) <= kManifestRecordsMax);
  const PartitionSpec& spec = header.partition_spec;
  const std::vector<Type> types = PartitionTypes(spec, header.schema);
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i].kind() == TypeKind::kOther) {
      return Unsupported("partition field '{}' ({} of field {}): this release cannot write such partitions",
                         spec.fields[i].name, spec.fields[i].transform, spec.fields[i].source_id);
    }
  }
  AvroFileWriter file({{"schema", EncodeSchema(header.schema)},
                       {"schema-id", fmt::format("{}", header.schema.schema_id)},
                       {"partition-spec", EncodePartitionFields(spec)},
                       {"partition-spec-id", fmt::format("{}", spec.spec_id)},
                       {"format-version", "2"},
                       {"content", header.content == ManifestContent::kData ? "data" : "deletes"},
                       {std::string(kRecordCountKey), fmt::format("{}", entries.size())}},
                      ManifestSchema(spec, types), codec);
  for (const ManifestEntry& entry : entries) {
    DS_RETURN_IF_ERROR(CheckEntry(entry, header.content));
    DS_RETURN_IF_ERROR(WriteEntry(file.record(), entry, spec, types));
    DS_RETURN_IF_ERROR(file.EndRecord());
  }
  return std::move(file).Finish();
}

Result<Bytes> EncodeManifestList(const ManifestListHeader& header, std::span<const ManifestFile> manifests,
                                 AvroCodec codec) {
  DS_CHECK(static_cast<int64_t>(manifests.size()) <= kManifestRecordsMax);
  AvroFileWriter file({{"snapshot-id", fmt::format("{}", header.snapshot_id)},
                       {"parent-snapshot-id",
                        header.parent_snapshot_id ? fmt::format("{}", *header.parent_snapshot_id) : "null"},
                       {"sequence-number", fmt::format("{}", header.sequence_number)},
                       {"format-version", "2"},
                       {std::string(kRecordCountKey), fmt::format("{}", manifests.size())}},
                      ManifestListSchema(), codec);
  for (const ManifestFile& line : manifests) {
    if (line.manifest_path.empty() || line.manifest_length <= 0) {
      return Internal("refusing to name manifest '{}' of {} bytes in a manifest list", line.manifest_path,
                      line.manifest_length);
    }
    WriteLine(file.record(), line);
    DS_RETURN_IF_ERROR(file.EndRecord());
  }
  return std::move(file).Finish();
}

}  // namespace datashard::iceberg
