// Manifests and the data files they name, as plain values. Source: Iceberg spec, "Manifests" and "Manifest Lists".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datashard/filter.h"

namespace datashard {

enum class ManifestContent { kData = 0, kDeletes = 1 };
enum class FileContent { kData = 0, kPositionDeletes = 1, kEqualityDeletes = 2 };

/// A file of rows (or of deletes) with its statistics. Maps are keyed by field id.
struct DataFile {
  FileContent content = FileContent::kData;
  std::string file_path;  ///< URI as written
  std::string file_format = "PARQUET";
  /// One value per field of the partition spec it was written with, in spec order; null is monostate.
  std::vector<Literal> partition;
  int64_t record_count = 0;
  int64_t file_size_in_bytes = 0;
  std::map<int32_t, int64_t> column_sizes;
  std::map<int32_t, int64_t> value_counts;
  std::map<int32_t, int64_t> null_value_counts;
  std::map<int32_t, int64_t> nan_value_counts;
  /// Single-value binary (Iceberg spec, "Binary single-value serialization"); absent where not exact.
  std::map<int32_t, std::string> lower_bounds;
  std::map<int32_t, std::string> upper_bounds;
  std::optional<std::string> key_metadata;
  std::vector<int64_t> split_offsets;
  std::vector<int32_t> equality_ids;
  std::optional<int32_t> sort_order_id;
  /// Deletion vectors (format v3): where the vector lies.
  std::optional<std::string> referenced_data_file;
  std::optional<int64_t> content_offset;
  std::optional<int64_t> content_size_in_bytes;
  bool operator==(const DataFile&) const = default;
};

enum class EntryStatus { kExisting = 0, kAdded = 1, kDeleted = 2 };

struct ManifestEntry {
  EntryStatus status = EntryStatus::kAdded;
  /// Absent in an added entry: inherited from the manifest's line in the manifest list.
  std::optional<int64_t> snapshot_id;
  std::optional<int64_t> sequence_number;
  std::optional<int64_t> file_sequence_number;
  DataFile data_file;
  bool operator==(const ManifestEntry&) const = default;
};

/// Summary of one partition field over a manifest.
struct PartitionSummary {
  bool contains_null = false;
  std::optional<bool> contains_nan;
  std::optional<std::string> lower_bound;  ///< single-value binary
  std::optional<std::string> upper_bound;
  bool operator==(const PartitionSummary&) const = default;
};

/// One line of a manifest list.
struct ManifestFile {
  std::string manifest_path;  ///< URI as written
  int64_t manifest_length = 0;
  int32_t partition_spec_id = 0;
  ManifestContent content = ManifestContent::kData;
  int64_t sequence_number = 0;
  int64_t min_sequence_number = 0;
  int64_t added_snapshot_id = 0;
  int32_t added_files_count = 0;
  int32_t existing_files_count = 0;
  int32_t deleted_files_count = 0;
  int64_t added_rows_count = 0;
  int64_t existing_rows_count = 0;
  int64_t deleted_rows_count = 0;
  std::vector<PartitionSummary> partitions;
  std::optional<std::string> key_metadata;
  bool operator==(const ManifestFile&) const = default;
};

}  // namespace datashard
