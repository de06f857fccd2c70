// Manifests from Avro: by the writer's schema, fields found by id. See docs/formats/manifest.md for what may be missing.
#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "iceberg/avro_container.h"
#include "iceberg/avro_reader.h"
#include "iceberg/manifest.h"
#include "iceberg/manifest_ids.h"
#include "iceberg/manifest_records.h"
#include "iceberg/partition.h"
#include "iceberg/schema_json.h"

namespace datashard::iceberg {
namespace {

/// How a manifest's partition struct maps to the fields of its spec.
struct PartitionShape {
  std::vector<Type> types;       // of the spec's fields
  const AvroType* record = nullptr;
  std::vector<int64_t> slots;    // per field of `record`: its index in the spec, or -1
};

PartitionShape ShapeOf(const ManifestHeader& header, const AvroType& data_file) {
  PartitionShape shape{.types = PartitionTypes(header.partition_spec, header.schema)};
  const AvroField* field = data_file.Find(kPartition);
  if (field == nullptr) return shape;
  shape.record = field->type;
  for (const AvroType* branch : field->type->branches)
    if (branch->kind == AvroKind::kRecord) shape.record = branch;
  const std::vector<PartitionField>& fields = header.partition_spec.fields;
  for (const AvroField& part : shape.record->fields) {
    const auto known = std::find_if(fields.begin(), fields.end(),
                                    [&](const PartitionField& known_field) { return known_field.field_id == part.field_id; });
    shape.slots.push_back(known == fields.end() ? -1 : known - fields.begin());
  }
  return shape;
}

// Calls `visit(key, value_type)` for each pair; it must read the value.
template <typename Visit>
void ReadMap(AvroReader& reader, const AvroType* type, Visit&& visit) {
  if (type == nullptr) return;
  reader.ForEach(*type, [&](const AvroType& item) {
    const AvroType* pair = reader.Enter(item);
    if (pair == nullptr || pair->kind != AvroKind::kRecord || pair->fields.size() != 2 ||
        pair->fields[0].name != "key" || pair->fields[1].name != "value") {
      return reader.Fail("a map that is no array of key and value");
    }
    const int32_t key = RequiredInteger32(reader, pair->fields[0]);
    if (const AvroType* value = reader.Enter(*pair->fields[1].type)) visit(key, *value);
  });
}

void ReadCounts(AvroReader& reader, const AvroType* type, std::map<int32_t, int64_t>& counts) {
  ReadMap(reader, type, [&](int32_t key, const AvroType& value) {
    const int64_t count = reader.Integer(value);
    // A negative count says nothing, and must not be taken for knowledge.
    if (count >= 0) counts.emplace(key, count);
  });
}

void ReadBounds(AvroReader& reader, const AvroType* type, std::map<int32_t, std::string>& bounds) {
  ReadMap(reader, type, [&](int32_t key, const AvroType& value) { bounds.emplace(key, reader.Binary(value)); });
}

void ReadPartition(AvroReader& reader, const AvroField& field, const PartitionShape& shape, DataFile& file) {
  const AvroType* record = reader.Enter(*field.type);
  if (record == nullptr) return;
  if (record != shape.record || record->kind != AvroKind::kRecord) return reader.Fail("a partition that is no record");
  for (size_t i = 0; i < record->fields.size(); ++i) {
    const AvroType& part = *record->fields[i].type;
    if (shape.slots[i] < 0) {
      reader.Skip(part);
    } else if (const AvroType* type = reader.Enter(part)) {
      const auto slot = static_cast<size_t>(shape.slots[i]);
      file.partition[slot] = ReadAvroValue(reader, *type, shape.types[slot]);
    }
  }
}

void ReadDataFile(AvroReader& reader, const AvroType& record, const PartitionShape& shape, DataFile& file) {
  reader.Charge(static_cast<int64_t>(shape.types.size()));
  if (!reader.ok()) return;
  file.partition.resize(shape.types.size());
  for (const AvroField& field : record.fields) {
    if (!reader.ok()) return;
    switch (field.field_id) {
      case kContent: {
        const int64_t content = OptionalInteger(reader, field).value_or(0);
        if (content < 0 || content > 2) return reader.Fail(fmt::format("file content {}", content));
        file.content = static_cast<FileContent>(content);
        break;
      }
      case kFilePath: file.file_path = RequiredText(reader, field); break;
      case kFileFormat: file.file_format = RequiredText(reader, field); break;
      case kPartition: ReadPartition(reader, field, shape, file); break;
      case kRecordCount: file.record_count = RequiredCount(reader, field); break;
      case kFileSizeInBytes: file.file_size_in_bytes = RequiredCount(reader, field); break;
      case kColumnSizes: ReadCounts(reader, reader.Enter(*field.type), file.column_sizes); break;
      case kValueCounts: ReadCounts(reader, reader.Enter(*field.type), file.value_counts); break;
      case kNullValueCounts: ReadCounts(reader, reader.Enter(*field.type), file.null_value_counts); break;
      case kNanValueCounts: ReadCounts(reader, reader.Enter(*field.type), file.nan_value_counts); break;
      case kLowerBounds: ReadBounds(reader, reader.Enter(*field.type), file.lower_bounds); break;
      case kUpperBounds: ReadBounds(reader, reader.Enter(*field.type), file.upper_bounds); break;
      case kKeyMetadata: file.key_metadata = OptionalBinary(reader, field); break;
      case kSplitOffsets:
        if (const AvroType* list = reader.Enter(*field.type)) {
          reader.ForEach(*list, [&](const AvroType& item) { file.split_offsets.push_back(ItemInteger(reader, item)); });
        }
        break;
      case kEqualityIds:
        if (const AvroType* list = reader.Enter(*field.type)) {
          reader.ForEach(*list, [&](const AvroType& item) {
            file.equality_ids.push_back(static_cast<int32_t>(ItemInteger(reader, item)));
          });
        }
        break;
      case kSortOrderId:
        if (const AvroType* type = reader.Enter(*field.type)) file.sort_order_id = reader.Integer32(*type);
        break;
      case kReferencedDataFile:
        if (const AvroType* type = reader.Enter(*field.type)) file.referenced_data_file = reader.Text(*type);
        break;
      case kContentOffset: file.content_offset = OptionalInteger(reader, field); break;
      case kContentSizeInBytes: file.content_size_in_bytes = OptionalInteger(reader, field); break;
      default: reader.Skip(*field.type);
    }
  }
}

void ReadEntry(AvroReader& reader, const AvroType& record, const PartitionShape& shape, ManifestEntry& entry) {
  for (const AvroField& field : record.fields) {
    switch (field.field_id) {
      case kStatus: {
        const int64_t status = RequiredCount(reader, field);
        if (status > 2) return reader.Fail(fmt::format("entry status {}", status));
        entry.status = static_cast<EntryStatus>(status);
        break;
      }
      case kSnapshotId: entry.snapshot_id = OptionalInteger(reader, field); break;
      case kSequenceNumber: entry.sequence_number = OptionalInteger(reader, field); break;
      case kFileSequenceNumber: entry.file_sequence_number = OptionalInteger(reader, field); break;
      case kDataFile:
        if (const AvroType* file = reader.Enter(*field.type)) ReadDataFile(reader, *file, shape, entry.data_file);
        break;
      default: reader.Skip(*field.type);
    }
    if (!reader.ok()) return;
  }
}

Result<ManifestHeader> ReadManifestHeader(const AvroFile& file, const Schema& table_schema,
                                          const PartitionSpec& table_spec, std::string_view object) {
  ManifestHeader header{.schema = table_schema, .partition_spec = table_spec};
  if (const auto version = file.Header("format-version"); version && *version != "1" && *version != "2") {
    return Unsupported("{}: a manifest of format version '{}'; versions 1 and 2 are read", object, version->substr(0, 20))
        .About(ErrorSubject::kMetadata);
  }
  if (const auto schema = file.Header("schema")) {
    DS_ASSIGN_OR_RETURN(header.schema, DecodeSchema(*schema, fmt::format("{}: header key 'schema'", object)));
  }
  if (const auto fields = file.Header("partition-spec")) {
    DS_ASSIGN_OR_RETURN(header.partition_spec.fields,
                        DecodePartitionFields(*fields, fmt::format("{}: header key 'partition-spec'", object)));
    header.partition_spec.extra.clear();
  }
  if (const auto id = file.Header("partition-spec-id")) {
    const auto [end, error] = std::from_chars(id->data(), id->data() + id->size(), header.partition_spec.spec_id);
    if (error != std::errc() || end != id->data() + id->size()) {
      return Corruption("{}: header key 'partition-spec-id': expected an integer, found '{}'", object, id->substr(0, 20))
          .About(ErrorSubject::kMetadata);
    }
  }
  if (const auto content = file.Header("content")) {
    if (*content != "data" && *content != "deletes") {
      return Corruption("{}: header key 'content': expected data or deletes, found '{}'", object, content->substr(0, 20))
          .About(ErrorSubject::kMetadata);
    }
    header.content = *content == "data" ? ManifestContent::kData : ManifestContent::kDeletes;
  }
  return header;
}

}  // namespace

Result<DecodedManifest> DecodeManifest(ByteView avro, const Schema& table_schema, const PartitionSpec& table_spec,
                                       std::string_view object) {
  DS_ASSIGN_OR_RETURN(AvroFile file, AvroFile::Open(avro, object));
  DecodedManifest manifest;
  DS_ASSIGN_OR_RETURN(manifest.header, ReadManifestHeader(file, table_schema, table_spec, object));
  const AvroType& root = file.schema().root();
  DS_RETURN_IF_ERROR(RequireFields(root, {{kStatus, "status"}, {kDataFile, "data_file"}}, object));
  DS_RETURN_IF_ERROR(RequireFields(*root.Find(kDataFile)->type,
                                   {{kFilePath, "file_path"}, {kFileFormat, "file_format"},
                                    {kRecordCount, "record_count"}, {kFileSizeInBytes, "file_size_in_bytes"}},
                                   object));
  const PartitionShape shape = ShapeOf(manifest.header, *root.Find(kDataFile)->type);
  DS_RETURN_IF_ERROR(ReadRecords(file, object, [&](AvroReader& reader) {
    ReadEntry(reader, root, shape, manifest.entries.emplace_back());
  }));
  return manifest;
}

}  // namespace datashard::iceberg
