// Manifest lists from Avro. Counts are required here although format v1 could leave them out: a scan trusts them to skip
// whole manifests, and a guess would lose rows.
#include "base/error.h"
#include "iceberg/avro_container.h"
#include "iceberg/avro_reader.h"
#include "iceberg/manifest.h"
#include "iceberg/manifest_ids.h"
#include "iceberg/manifest_records.h"

namespace datashard::iceberg {
namespace {

int32_t RequiredCount32(AvroReader& reader, const AvroField& field) {
  const int64_t count = RequiredCount(reader, field);
  if (count != static_cast<int32_t>(count)) reader.Fail(fmt::format("'{}' is {}", field.name, count));
  return reader.ok() ? static_cast<int32_t>(count) : 0;
}

void ReadSummary(AvroReader& reader, const AvroType& item, PartitionSummary& summary) {
  const AvroType* record = reader.Enter(item);
  if (record == nullptr || record->kind != AvroKind::kRecord) return reader.Fail("a partition summary that is no record");
  for (const AvroField& field : record->fields) {
    switch (field.field_id) {
      case kContainsNull:
        if (const AvroType* type = reader.Enter(*field.type)) summary.contains_null = reader.Boolean(*type);
        break;
      case kContainsNan:
        if (const AvroType* type = reader.Enter(*field.type)) summary.contains_nan = reader.Boolean(*type);
        break;
      case kLowerBound: summary.lower_bound = OptionalBinary(reader, field); break;
      case kUpperBound: summary.upper_bound = OptionalBinary(reader, field); break;
      default: reader.Skip(*field.type);
    }
  }
}

void ReadLine(AvroReader& reader, const AvroType& record, ManifestFile& line) {
  for (const AvroField& field : record.fields) {
    switch (field.field_id) {
      case kManifestPath: line.manifest_path = RequiredText(reader, field); break;
      case kManifestLength: line.manifest_length = RequiredCount(reader, field); break;
      case kPartitionSpecId: line.partition_spec_id = RequiredInteger32(reader, field); break;
      case kListContent: {
        const int64_t content = OptionalInteger(reader, field).value_or(0);
        if (content < 0 || content > 1) return reader.Fail(fmt::format("manifest content {}", content));
        line.content = static_cast<ManifestContent>(content);
        break;
      }
      case kListSequenceNumber: line.sequence_number = OptionalInteger(reader, field).value_or(0); break;
      case kMinSequenceNumber: line.min_sequence_number = OptionalInteger(reader, field).value_or(0); break;
      case kAddedSnapshotId: line.added_snapshot_id = RequiredCount(reader, field); break;
      case kAddedFilesCount: line.added_files_count = RequiredCount32(reader, field); break;
      case kExistingFilesCount: line.existing_files_count = RequiredCount32(reader, field); break;
      case kDeletedFilesCount: line.deleted_files_count = RequiredCount32(reader, field); break;
      case kAddedRowsCount: line.added_rows_count = RequiredCount(reader, field); break;
      case kExistingRowsCount: line.existing_rows_count = RequiredCount(reader, field); break;
      case kDeletedRowsCount: line.deleted_rows_count = RequiredCount(reader, field); break;
      case kPartitions:
        if (const AvroType* list = reader.Enter(*field.type)) {
          reader.ForEach(*list, [&](const AvroType& item) { ReadSummary(reader, item, line.partitions.emplace_back()); });
        }
        break;
      case kListKeyMetadata: line.key_metadata = OptionalBinary(reader, field); break;
      default: reader.Skip(*field.type);
    }
    if (!reader.ok()) return;
  }
}

}  // namespace

Result<std::vector<ManifestFile>> DecodeManifestList(ByteView avro, std::string_view object) {
  DS_ASSIGN_OR_RETURN(AvroFile file, AvroFile::Open(avro, object));
  const AvroType& root = file.schema().root();
  DS_RETURN_IF_ERROR(RequireFields(
      root,
      {{kManifestPath, "manifest_path"}, {kManifestLength, "manifest_length"}, {kPartitionSpecId, "partition_spec_id"},
       {kAddedSnapshotId, "added_snapshot_id"}, {kAddedFilesCount, "added_files_count"},
       {kExistingFilesCount, "existing_files_count"}, {kDeletedFilesCount, "deleted_files_count"},
       {kAddedRowsCount, "added_rows_count"}, {kExistingRowsCount, "existing_rows_count"},
       {kDeletedRowsCount, "deleted_rows_count"}},
      object));
  std::vector<ManifestFile> lines;
  DS_RETURN_IF_ERROR(
      ReadRecords(file, object, [&](AvroReader& reader) { ReadLine(reader, root, lines.emplace_back()); }));
  return lines;
}

}  // namespace datashard::iceberg
