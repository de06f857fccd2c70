// A manifest's line in the manifest list, from its entries; and what entries take from that line.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/error.h"
#include "iceberg/manifest.h"
#include "iceberg/partition.h"
#include "iceberg/value.h"

namespace datashard::iceberg {
namespace {

/// The summary of one partition field, built value by value.
class FieldSummary {
 public:
  explicit FieldSummary(Type type) : type_(std::move(type)) {
    if (IsReal()) summary_.contains_nan = false;
  }

  void Add(const Literal& value) {
    if (std::holds_alternative<std::monostate>(value)) {
      summary_.contains_null = true;
    } else if (const double* real = std::get_if<double>(&value); real != nullptr && std::isnan(*real)) {
      summary_.contains_nan = true;
    } else {
      if (!lower_ || Compare(value, *lower_, type_) < 0) lower_ = value;
      if (!upper_ || Compare(value, *upper_, type_) > 0) upper_ = value;
    }
  }

  Result<PartitionSummary> Take() && {
    if (lower_) {
      DS_ASSIGN_OR_RETURN(summary_.lower_bound, EncodeValue(*lower_, type_));
      DS_ASSIGN_OR_RETURN(summary_.upper_bound, EncodeValue(*upper_, type_));
    }
    return std::move(summary_);
  }

 private:
  bool IsReal() const { return type_.kind() == TypeKind::kFloat || type_.kind() == TypeKind::kDouble; }

  Type type_;
  PartitionSummary summary_;
  std::optional<Literal> lower_;
  std::optional<Literal> upper_;
};

Status Add(ManifestFile& line, const ManifestEntry& entry) {
  const int64_t rows = entry.data_file.record_count;
  int64_t* sum = &line.deleted_rows_count;
  int32_t* files = &line.deleted_files_count;
  if (entry.status == EntryStatus::kAdded) {
    sum = &line.added_rows_count;
    files = &line.added_files_count;
  } else if (entry.status == EntryStatus::kExisting) {
    sum = &line.existing_rows_count;
    files = &line.existing_files_count;
  }
  if (rows < 0 || *sum > std::numeric_limits<int64_t>::max() - rows) {
    return Corruption("'{}': with its {} rows a manifest has more than 63 bits can count", entry.data_file.file_path, rows)
        .About(ErrorSubject::kMetadata);
  }
  *sum += rows;
  ++*files;
  return {};
}

}  // namespace

Result<ManifestFile> Summarize(const ManifestHeader& header, std::span<const ManifestEntry> entries) {
  ManifestFile line{.partition_spec_id = header.partition_spec.spec_id, .content = header.content};
  std::vector<FieldSummary> fields;
  for (Type& type : PartitionTypes(header.partition_spec, header.schema)) fields.emplace_back(std::move(type));
  for (const ManifestEntry& entry : entries) {
    DS_RETURN_IF_ERROR(Add(line, entry));
    DS_CHECK(entry.data_file.partition.size() == fields.size());
    for (size_t i = 0; i < fields.size(); ++i) fields[i].Add(entry.data_file.partition[i]);
  }
  for (FieldSummary& field : fields) {
    DS_ASSIGN_OR_RETURN(PartitionSummary summary, std::move(field).Take());
    line.partitions.push_back(std::move(summary));
  }
  return line;
}

Status Inherit(const ManifestFile& manifest, std::vector<ManifestEntry>& entries) {
  for (ManifestEntry& entry : entries) {
    const bool complete = entry.snapshot_id && entry.sequence_number && entry.file_sequence_number;
    if (complete) continue;
    // Manifests of format v1 have no sequence numbers at all; everything in them counts as number 0.
    const bool from_v1 = manifest.sequence_number == 0 && entry.snapshot_id;
    if (entry.status != EntryStatus::kAdded && !from_v1) {
      return Corruption("manifest {}: '{}' is an existing or deleted file without snapshot id or sequence numbers",
                        manifest.manifest_path, entry.data_file.file_path).About(ErrorSubject::kMetadata);
    }
    if (!entry.snapshot_id) entry.snapshot_id = manifest.added_snapshot_id;
    if (!entry.sequence_number) entry.sequence_number = manifest.sequence_number;
    if (!entry.file_sequence_number) entry.file_sequence_number = manifest.sequence_number;
  }
  return {};
}

}  // namespace datashard::iceberg
