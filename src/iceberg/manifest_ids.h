// The field ids of manifests and manifest lists. Source: Iceberg spec, "Manifests" and "Manifest Lists".
#pragma once

#include <cstdint>
#include <string_view>

namespace datashard::iceberg {

enum EntryId : int32_t {
  kStatus = 0, kSnapshotId = 1, kDataFile = 2, kSequenceNumber = 3, kFileSequenceNumber = 4,
};

enum DataFileId : int32_t {
  kFilePath = 100, kFileFormat = 101, kPartition = 102, kRecordCount = 103, kFileSizeInBytes = 104,
  kColumnSizes = 108, kValueCounts = 109, kNullValueCounts = 110, kLowerBounds = 125, kUpperBounds = 128,
  kKeyMetadata = 131, kSplitOffsets = 132, kContent = 134, kEqualityIds = 135, kNanValueCounts = 137,
  kSortOrderId = 140, kReferencedDataFile = 143, kContentOffset = 144, kContentSizeInBytes = 145,
};

enum ManifestFileId : int32_t {
  kManifestPath = 500, kManifestLength = 501, kPartitionSpecId = 502, kAddedSnapshotId = 503, kAddedFilesCount = 504,
  kExistingFilesCount = 505, kDeletedFilesCount = 506, kPartitions = 507, kPartitionsElement = 508,
  kContainsNull = 509, kLowerBound = 510, kUpperBound = 511, kAddedRowsCount = 512, kExistingRowsCount = 513,
  kDeletedRowsCount = 514, kListSequenceNumber = 515, kMinSequenceNumber = 516, kListContent = 517,
  kContainsNan = 518, kListKeyMetadata = 519,
};

/// A header key of ours: how many records the file has. A file cut between two Avro blocks looks whole without it.
inline constexpr std::string_view kRecordCountKey = "datashard.record-count";

/// What is read from one manifest or list at most.
inline constexpr int64_t kManifestRecordsMax = 1'000'000;

}  // namespace datashard::iceberg
