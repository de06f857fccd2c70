#include "commit/expire_snapshots.h"

#include <algorithm>

#include "base/error.h"
#include "catalog/history.h"
#include "iceberg/json_reader.h"
#include "iceberg/json_writer.h"

namespace datashard::commit {
namespace {

using iceberg::HistoryEntry;
using iceberg::HistoryRoot;

SnapshotBrief BriefOf(const Snapshot& snapshot, bool archived) {
  return {.snapshot_id = snapshot.snapshot_id,
          .parent_id = snapshot.parent_snapshot_id.value_or(-1),
          .sequence_number = snapshot.sequence_number,
          .timestamp_ms = snapshot.timestamp_ms,
          .archived = archived};
}

bool IsEarlier(const SnapshotBrief& a, const SnapshotBrief& b) {
  return std::pair(a.sequence_number, a.timestamp_ms) < std::pair(b.sequence_number, b.timestamp_ms);
}

/// Takes the snapshots `gone` out of the window, with the log up to the last line that names one: a log with a hole would
/// answer wrongly.
void CutWindow(const std::set<int64_t>& gone, iceberg::TableMetadata& next, HistoryRoot& root) {
  int64_t newest_gone_ms = -1;
  std::erase_if(next.snapshots, [&](const auto& snapshot) {
    if (!gone.contains(snapshot->snapshot_id)) return false;
    newest_gone_ms = std::max(newest_gone_ms, snapshot->timestamp_ms);
    return true;
  });
  if (newest_gone_ms < 0) return;
  auto& log = next.snapshot_log;
  if (log.empty()) {
    // Commit times stand in for a log that the writers of this table do not keep.
    root.floor_timestamp_ms = std::max(root.floor_timestamp_ms, newest_gone_ms + 1);
    return;
  }
  const auto end = std::find_if(log.rbegin(), log.rend(), [&](const auto& line) { return gone.contains(line.snapshot_id); }).base();
  if (end == log.begin()) return;
  const int64_t known_since_ms = end == log.end() ? next.last_updated_ms : end->timestamp_ms;
  log.erase(log.begin(), end);
  root.floor_timestamp_ms = std::max(root.floor_timestamp_ms, known_since_ms);
}

/// Statistics of snapshots that are gone are of no use to anybody.
Status DropStatistics(const std::set<int64_t>& gone, const std::string& object, std::optional<std::string>& statistics) {
  if (!statistics) return {};
  DS_ASSIGN_OR_RETURN(const auto document, iceberg::JsonDocument::Parse(*statistics, object, iceberg::kMetadataBytesMax));
  iceberg::JsonWriter kept;
  kept.BeginArray();
  DS_RETURN_IF_ERROR(document.root().ForEach([&](const iceberg::JsonValue& item) -> Status {
    DS_ASSIGN_OR_RETURN(iceberg::JsonObject members, iceberg::JsonObject::Of(item));
    DS_ASSIGN_OR_RETURN(const int64_t snapshot_id, members.Int64("snapshot-id"));
    if (!gone.contains(snapshot_id)) kept.Kept(item.Raw());
    return {};
  }));
  kept.EndArray();
  statistics = std::move(kept).Take();
  return {};
}

}  // namespace

Result<std::vector<SnapshotBrief>> ExpireSnapshots::Segment(const HistoryEntry& segment) {
  if (const auto known = segments_.find(segment.uuid); known != segments_.end()) return known->second;
  DS_ASSIGN_OR_RETURN(const Bytes file, catalog::ReadHistoryFile(store_, segment));
  DS_ASSIGN_OR_RETURN(const std::vector<iceberg::ArchivedSnapshot> snapshots, catalog::SnapshotsOf(store_, segment, file));
  std::vector<SnapshotBrief> briefs;
  briefs.reserve(snapshots.size());
  for (const auto& one : snapshots) briefs.push_back(BriefOf(one.snapshot, /*archived=*/true));
  segments_[segment.uuid] = briefs;
  return briefs;
}

Result<std::vector<HistoryEntry>> ExpireSnapshots::SegmentsOf(const HistoryEntry& entry) {
  if (!entry.is_index()) return std::vector<HistoryEntry>{entry};
  if (const auto known = indexes_.find(entry.uuid); known != indexes_.end()) return known->second;
  DS_ASSIGN_OR_RETURN(const Bytes file, catalog::ReadHistoryFile(store_, entry));
  DS_ASSIGN_OR_RETURN(const std::vector<iceberg::HistoryLine> lines, catalog::LinesOf(store_, entry, file));
  std::vector<HistoryEntry> segments;
  for (const iceberg::HistoryLine& line : lines) segments.push_back(line.segment);
  indexes_[entry.uuid] = segments;
  return segments;
}

Result<std::vector<SnapshotBrief>> ExpireSnapshots::BriefsOf(const HistoryRoot& root) {
  std::vector<SnapshotBrief> all;
  for (const HistoryEntry& entry : root.entries) {
    DS_ASSIGN_OR_RETURN(const std::vector<HistoryEntry> segments, SegmentsOf(entry));
    for (const HistoryEntry& segment : segments) {
      if (root.is_below_floor(segment)) continue;
      DS_ASSIGN_OR_RETURN(const std::vector<SnapshotBrief> some, Segment(segment));
      std::copy_if(some.begin(), some.end(), std::back_inserter(all), [&](const SnapshotBrief& brief) {
        return brief.sequence_number >= root.floor_sequence;
      });
    }
  }
  std::stable_sort(all.begin(), all.end(), IsEarlier);
  return all;
}

Status ExpireSnapshots::ReadArchive(const iceberg::TableMetadata& metadata) {
  DS_ASSIGN_OR_RETURN(const HistoryRoot root, iceberg::HistoryOf(metadata));
  DS_ASSIGN_OR_RETURN(const std::vector<SnapshotBrief> briefs, BriefsOf(root));
  static_cast<void>(briefs);  // they are kept by file
  return {};
}

Result<int64_t> ExpireSnapshots::CountBelow(const HistoryEntry& entry, int64_t old_floor, int64_t floor) {
  int64_t count = 0;
  DS_ASSIGN_OR_RETURN(const std::vector<HistoryEntry> segments, SegmentsOf(entry));
  for (const HistoryEntry& segment : segments) {
    // A segment that was below the floor before may have been collected.
    if (segment.range.last_sequence < std::max(old_floor, floor)) {
      count += segment.range.count;
      continue;
    }
    DS_ASSIGN_OR_RETURN(const std::vector<SnapshotBrief> briefs, Segment(segment));
    count += std::count_if(briefs.begin(), briefs.end(),
                           [&](const SnapshotBrief& brief) { return brief.sequence_number < floor; });
  }
  return count;
}

Result<std::set<int64_t>> ExpireSnapshots::ExpireArchived(const std::vector<SnapshotBrief>& archived,
                                                          const std::set<int64_t>& due, HistoryRoot& root) {
  std::set<int64_t> gone;
  if (due.empty()) return gone;
  const auto is_gone = [&](const SnapshotBrief& brief) {
    return due.contains(brief.snapshot_id) || root.IsExpired(brief.sequence_number, brief.snapshot_id);
  };
  const auto first_left = std::find_if_not(archived.begin(), archived.end(), is_gone);
  int64_t floor = root.floor_sequence;
  if (first_left != archived.end()) {
    floor = first_left->sequence_number;
  } else {
    for (const HistoryEntry& entry : root.entries) floor = std::max(floor, entry.range.last_sequence + 1);
  }
  std::vector<int64_t> ids;
  for (const SnapshotBrief& brief : archived) {
    if (brief.sequence_number >= floor && root.IsExpired(brief.sequence_number, brief.snapshot_id)) ids.push_back(brief.snapshot_id);
  }
  for (const SnapshotBrief& brief : archived) {
    if (!due.contains(brief.snapshot_id)) continue;
    if (brief.sequence_number >= floor) {
      if (ids.size() == iceberg::kExpiredIdsMax) {
        ++report_.deferred;
        continue;
      }
      ids.push_back(brief.snapshot_id);
    }
    gone.insert(brief.snapshot_id);
  }
  if (report_.deferred > 0 && !options_.snapshot_ids.empty()) {
    return InvalidArgument("{} more archived snapshots cannot be expired by id: a table remembers {} of them; expire by age "
                           "instead", report_.deferred, iceberg::kExpiredIdsMax).About(ErrorSubject::kSnapshot);
  }
  std::sort(ids.begin(), ids.end());
  const int64_t old_floor = root.floor_sequence;
  root.floor_sequence = floor;
  root.expired_ids = std::move(ids);
  root.hidden_count = 0;
  std::erase_if(root.entries, [&](const HistoryEntry& entry) { return root.is_below_floor(entry); });
  for (const HistoryEntry& entry : root.entries) {
    DS_ASSIGN_OR_RETURN(const int64_t below, CountBelow(entry, old_floor, floor));
    root.hidden_count += below;
  }
  return gone;
}

Status ExpireSnapshots::Apply(Draft& draft) {
  iceberg::TableMetadata& next = draft.metadata;
  report_ = {};
  DS_ASSIGN_OR_RETURN(HistoryRoot root, iceberg::HistoryOf(next));
  DS_ASSIGN_OR_RETURN(const std::vector<SnapshotBrief> archived, BriefsOf(root));
  std::vector<SnapshotBrief> all;
  all.reserve(archived.size() + next.snapshots.size());
  std::copy_if(archived.begin(), archived.end(), std::back_inserter(all), [&](const SnapshotBrief& brief) {
    return !root.IsExpired(brief.sequence_number, brief.snapshot_id);
  });
  for (const auto& snapshot : next.snapshots) all.push_back(BriefOf(*snapshot, /*archived=*/false));
  std::stable_sort(all.begin(), all.end(), IsEarlier);

  DS_ASSIGN_OR_RETURN(const Retention retention, Retain(next, all, options_, draft.now_ms()));
  std::set<int64_t> of_window;
  std::set<int64_t> of_archive;
  for (size_t i = 0; i < all.size(); ++i) {
    if (!retention.retained[i]) (all[i].archived ? of_archive : of_window).insert(all[i].snapshot_id);
  }
  DS_ASSIGN_OR_RETURN(std::set<int64_t> gone, ExpireArchived(archived, of_archive, root));
  report_.expired_archived = static_cast<int64_t>(gone.size());
  CutWindow(of_window, next, root);
  gone.merge(of_window);
  report_.expired = static_cast<int64_t>(gone.size());
  report_.removed_refs.assign(retention.old_refs.begin(), retention.old_refs.end());
  if (gone.empty() && retention.old_refs.empty()) return {};

  for (const std::string& name : retention.old_refs) next.refs.erase(name);
  DS_RETURN_IF_ERROR(DropStatistics(gone, next.location + ": statistics", next.statistics));
  DS_RETURN_IF_ERROR(DropStatistics(gone, next.location + ": partition-statistics", next.partition_statistics));
  if (root.has_expired()) next.properties[std::string(iceberg::kHistoryProperty)] = iceberg::PrintHistory(root);
  next.last_updated_ms = draft.now_ms();
  draft.changed = true;
  return {};
}

}  // namespace datashard::commit
