// The change behind Table::ExpireSnapshots: snapshots leave the window, and behind it a floor rises in the root of the archive.
// No file is removed. Source: docs/design/0007-collection.md; Iceberg spec, "Snapshot Retention Policy".
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "commit/change.h"
#include "commit/retention.h"
#include "datashard/maintenance.h"
#include "iceberg/history_root.h"
#include "storage/object_store.h"

namespace datashard::commit {

class ExpireSnapshots final : public Change {
 public:
  explicit ExpireSnapshots(ObjectStore& store, ExpireOptions options) : store_(store), options_(std::move(options)) {}

  /// Reads what Apply will need of the archive of `metadata`, so that Apply reads only what came later: a history of a million
  /// snapshots takes seconds to read, and in that time others commit. Memory: 40 bytes a snapshot, twice that in Apply.
  Status ReadArchive(const iceberg::TableMetadata& metadata);

  /// Errors: kInvalidArgument for bad options, ids the table does not have (kSnapshot), or that a branch or tag needs;
  /// kCorruption of the archive.
  Status Apply(Draft& draft) override;

  /// Of the last attempt.
  const ExpireReport& report() const { return report_; }

 private:
  Result<std::vector<SnapshotBrief>> Segment(const iceberg::HistoryEntry& segment);
  Result<std::vector<iceberg::HistoryEntry>> SegmentsOf(const iceberg::HistoryEntry& entry);
  /// Of all archived snapshots at or above the floor, those that were expired one by one among them.
  Result<std::vector<SnapshotBrief>> BriefsOf(const iceberg::HistoryRoot& root);
  /// Expires `due`, of `archived`. \return the ids of those that are gone now.
  Result<std::set<int64_t>> ExpireArchived(const std::vector<SnapshotBrief>& archived, const std::set<int64_t>& due,
                                           iceberg::HistoryRoot& root);
  Result<int64_t> CountBelow(const iceberg::HistoryEntry& entry, int64_t old_floor, int64_t floor);

  ObjectStore& store_;
  const ExpireOptions options_;
  ExpireReport report_;
  // By uuid. Files of the archive never change.
  std::map<std::string, std::vector<SnapshotBrief>> segments_;
  std::map<std::string, std::vector<iceberg::HistoryEntry>> indexes_;
};

}  // namespace datashard::commit
