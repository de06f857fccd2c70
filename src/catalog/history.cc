#include "catalog/history.h"

#include <algorithm>
#include <deque>
#include <limits>

#include "base/error.h"

namespace datashard::catalog {
namespace {

using iceberg::ArchivedSnapshot;
using iceberg::HistoryBlock;
using iceberg::HistoryEntry;
using iceberg::HistoryLine;
using iceberg::HistoryPoint;
using iceberg::HistoryRoot;

Status CheckCount(const ObjectStore& store, const HistoryEntry& entry, const iceberg::HistoryRange& found) {
  if (found == entry.range) return {};
  return Corruption("{}: it covers {}, but the table's metadata or its index says {}", HistoryObject(store, entry),
                    iceberg::PrintRange(found), iceberg::PrintRange(entry.range))
      .About(ErrorSubject::kMetadata);
}

bool Holds(const std::vector<uint32_t>& id_prints, int64_t snapshot_id) {
  return std::find(id_prints.begin(), id_prints.end(), iceberg::IdPrint(snapshot_id)) != id_prints.end();
}

Error StateExpired(const iceberg::TableMetadata& metadata, int64_t timestamp_ms) {
  return InvalidArgument("the state of the table at {} at {} ms since 1970 was expired, or lies before its first snapshot; "
                         "snapshots() lists those it still has", metadata.location, timestamp_ms)
      .About(ErrorSubject::kSnapshot);
}

Result<std::optional<Snapshot>> FindIn(ObjectStore& store, const HistoryEntry& segment, int64_t snapshot_id) {
  DS_ASSIGN_OR_RETURN(const Bytes file, ReadHistoryFile(store, segment));
  DS_ASSIGN_OR_RETURN(const std::vector<ArchivedSnapshot> snapshots,
                      SnapshotsOf(store, segment, file,
                                  [&](const HistoryBlock& block) { return Holds(block.id_prints, snapshot_id); }));
  for (const ArchivedSnapshot& archived : snapshots) {
    if (archived.snapshot.snapshot_id == snapshot_id) return std::optional(archived.snapshot);
  }
  return std::optional<Snapshot>();
}

/// The segments of an index, checked against its entry, without their ids.
Result<std::vector<HistoryEntry>> SegmentsOf(ObjectStore& store, const HistoryEntry& index) {
  DS_ASSIGN_OR_RETURN(const Bytes head, ReadHistoryFile(store, index, ByteRange{.size_bytes = iceberg::kHistoryIndexHeadBytes}));
  DS_ASSIGN_OR_RETURN(std::vector<HistoryEntry> segments, iceberg::ReadHistoryIndex(head, HistoryObject(store, index)));
  iceberg::HistoryRange range;
  for (const HistoryEntry& segment : segments) range.Add(segment.range);
  DS_RETURN_IF_ERROR(CheckCount(store, index, range));
  return segments;
}

struct DatedPoint {
  HistoryPoint point;
  std::optional<Snapshot> snapshot;  // the one it names, where that was at hand
};

/// The last line of a segment's log with this time or an earlier one: by time, equal times by commit order, because a
/// snapshot that was kept by a tag and archived late stands before its log's place.
Result<std::optional<DatedPoint>> PointIn(ObjectStore& store, const HistoryEntry& segment, int64_t timestamp_ms) {
  DS_ASSIGN_OR_RETURN(const Bytes file, ReadHistoryFile(store, segment));
  DS_ASSIGN_OR_RETURN(const std::vector<HistoryBlock> blocks, iceberg::ReadHistoryBlocks(file, HistoryObject(store, segment)));
  std::vector<size_t> latest_first;
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i].range.first_timestamp_ms <= timestamp_ms) latest_first.push_back(i);
  }
  std::stable_sort(latest_first.begin(), latest_first.end(), [&](size_t a, size_t b) {
    return blocks[a].range.last_timestamp_ms > blocks[b].range.last_timestamp_ms;
  });
  std::optional<DatedPoint> last;
  size_t last_at = 0;
  for (const size_t at : latest_first) {
    if (last && blocks[at].range.last_timestamp_ms < last->point.timestamp_ms) break;
    size_t number = 0;
    DS_ASSIGN_OR_RETURN(std::vector<ArchivedSnapshot> snapshots,
                        SnapshotsOf(store, segment, file, [&](const HistoryBlock&) { return number++ == at; }));
    const auto is_later = [&](const HistoryPoint& point) {
      return !last || std::pair(point.timestamp_ms, at) >= std::pair(last->point.timestamp_ms, last_at);
    };
    for (const ArchivedSnapshot& archived : snapshots) {
      for (const HistoryPoint& point : archived.log) {
        if (point.timestamp_ms > timestamp_ms || !is_later(point)) continue;
        last = {.point = point};
        last_at = at;
      }
    }
    if (!last || last_at != at) continue;
    for (ArchivedSnapshot& archived : snapshots) {
      if (archived.snapshot.snapshot_id == last->point.snapshot_id) last->snapshot = std::move(archived.snapshot);
    }
  }
  return last;
}

/// The last line of the window's log (the commit times where it has none) with this time or an earlier one.
const Snapshot* WindowAsOf(const iceberg::TableMetadata& metadata, int64_t timestamp_ms) {
  const Snapshot* found = nullptr;
  for (const iceberg::SnapshotLogEntry& entry : metadata.snapshot_log) {
    if (entry.timestamp_ms > timestamp_ms) continue;
    if (const Snapshot* snapshot = metadata.FindSnapshot(entry.snapshot_id)) found = snapshot;
  }
  if (!metadata.snapshot_log.empty()) return found;
  for (const auto& snapshot : metadata.snapshots) {
    if (snapshot->timestamp_ms > timestamp_ms) continue;
    if (found == nullptr || snapshot->timestamp_ms >= found->timestamp_ms) found = snapshot.get();
  }
  return found;
}

std::vector<Snapshot> WindowInOrder(const iceberg::TableMetadata& metadata) {
  std::vector<Snapshot> snapshots;
  snapshots.reserve(metadata.snapshots.size());
  for (const auto& snapshot : metadata.snapshots) snapshots.push_back(*snapshot);
  std::stable_sort(snapshots.begin(), snapshots.end(), iceberg::IsBefore);
  return snapshots;
}

/// Snapshots in commit order, taken from the front.
struct Source {
  std::vector<Snapshot> snapshots;
  size_t next = 0;
  const Snapshot& front() const { return snapshots[next]; }
};

/// Merges sources in commit order. Segments hardly ever overlap (only where a tag held a snapshot back), so each is read
/// when its first sequence number is due and dropped when it is used up.
class Merge {
 public:
  /// \param root  without what ends at `after_sequence` or before.
  Merge(ObjectStore& store, HistoryRoot root, std::vector<Snapshot> window, int64_t after_sequence)
      : store_(store), root_(std::move(root)), after_sequence_(after_sequence) {
    for (const HistoryEntry& entry : root_.entries) Await(entry);
    if (!window.empty()) open_.push_back({std::move(window)});
    Sort();
  }

  Result<std::optional<Snapshot>> Next() {
    for (;;) {
      const auto first = std::min_element(open_.begin(), open_.end(), [](const Source& a, const Source& b) {
        return iceberg::IsBefore(a.front(), b.front());
      });
      if (waiting_.empty() && first == open_.end()) return std::optional<Snapshot>();
      if (!waiting_.empty() &&
          (first == open_.end() || waiting_.front().range.first_sequence <= first->front().sequence_number)) {
        DS_RETURN_IF_ERROR(OpenFirst());
        continue;
      }
      std::optional<Snapshot> snapshot = std::move(first->snapshots[first->next]);
      if (++first->next == first->snapshots.size()) open_.erase(first);
      return snapshot;
    }
  }

 private:
  void Await(const HistoryEntry& entry) {
    if (!root_.is_below_floor(entry) && entry.range.last_sequence > after_sequence_) waiting_.push_back(entry);
  }
  void Sort() {
    std::stable_sort(waiting_.begin(), waiting_.end(), [](const HistoryEntry& a, const HistoryEntry& b) {
      return a.range.first_sequence < b.range.first_sequence;
    });
  }

  Status OpenFirst() {
    const HistoryEntry entry = waiting_.front();
    waiting_.pop_front();
    if (entry.is_index()) {
      DS_ASSIGN_OR_RETURN(const std::vector<HistoryEntry> segments, SegmentsOf(store_, entry));
      for (const HistoryEntry& segment : segments) Await(segment);
      Sort();
      return {};
    }
    DS_ASSIGN_OR_RETURN(const Bytes file, ReadHistoryFile(store_, entry));
    DS_ASSIGN_OR_RETURN(std::vector<ArchivedSnapshot> archived, SnapshotsOf(store_, entry, file));
    Source source;
    source.snapshots.reserve(archived.size());
    for (ArchivedSnapshot& one : archived) {
      const Snapshot& snapshot = one.snapshot;
      if (root_.IsExpired(snapshot.sequence_number, snapshot.snapshot_id) || snapshot.sequence_number <= after_sequence_) continue;
      source.snapshots.push_back(std::move(one.snapshot));
    }
    if (!source.snapshots.empty()) open_.push_back(std::move(source));
    return {};
  }

  ObjectStore& store_;
  const HistoryRoot root_;
  const int64_t after_sequence_;
  std::deque<HistoryEntry> waiting_;  // by first sequence number
  std::vector<Source> open_;
};

/// Snapshots, and none of their sequence numbers is below the floor.
struct AtLeast {
  int64_t floor = 0;
  int64_t count = 0;
};

/// No snapshot below this sequence number is among the newest `limit`.
int64_t FloorOfNewest(std::vector<AtLeast> known, int64_t limit) {
  std::sort(known.begin(), known.end(), [](const AtLeast& a, const AtLeast& b) { return a.floor > b.floor; });
  for (const AtLeast& some : known) {
    limit -= some.count;
    if (limit <= 0) return some.floor;
  }
  return std::numeric_limits<int64_t>::min();
}

/// The segments that may hold some of the newest `limit` snapshots that are not expired.
Result<std::vector<HistoryEntry>> FilesOfNewest(ObjectStore& store, const HistoryRoot& root,
                                                const std::vector<Snapshot>& window, int64_t limit) {
  // Those that were expired one by one may all be in the way.
  if (limit > 0) limit += static_cast<int64_t>(root.expired_ids.size());
  std::vector<HistoryEntry> waiting = root.entries;
  std::vector<HistoryEntry> files;
  std::vector<AtLeast> known;
  for (const Snapshot& snapshot : window) known.push_back({.floor = snapshot.sequence_number, .count = 1});
  const auto ends_earlier = [](const HistoryEntry& a, const HistoryEntry& b) {
    return a.range.last_sequence < b.range.last_sequence;
  };
  std::stable_sort(waiting.begin(), waiting.end(), ends_earlier);
  while (limit > 0 && !waiting.empty() && waiting.back().range.last_sequence >= FloorOfNewest(known, limit)) {
    const HistoryEntry entry = waiting.back();
    waiting.pop_back();
    if (entry.is_index()) {
      DS_ASSIGN_OR_RETURN(const std::vector<HistoryEntry> segments, SegmentsOf(store, entry));
      waiting.insert(waiting.end(), segments.begin(), segments.end());
      std::stable_sort(waiting.begin(), waiting.end(), ends_earlier);
      continue;
    }
    if (root.is_below_floor(entry)) break;
    // Where the floor cuts through it, nobody knows how many are left.
    const bool whole = entry.range.first_sequence >= root.floor_sequence;
    known.push_back({.floor = entry.range.first_sequence, .count = whole ? entry.range.count : 0});
    files.push_back(entry);
  }
  return files;
}

}  // namespace

std::string HistoryObject(const ObjectStore& store, const HistoryEntry& entry) {
  return fmt::format("{}/{}", store.root_uri(), entry.key());
}

Result<Bytes> ReadHistoryFile(ObjectStore& store, const HistoryEntry& entry, std::optional<ByteRange> part) {
  Result<Bytes> file = part ? store.GetRange(entry.key(), *part) : store.Get(entry.key());
  if (!file.ok() && file.kind() == ErrorKind::kNotFound) {
    return Corruption("the table's history is damaged: {} is missing, which holds its snapshots of sequence numbers {} to "
                      "{}; restore the file, or read other snapshots",
                      HistoryObject(store, entry), entry.range.first_sequence, entry.range.last_sequence)
        .About(ErrorSubject::kMetadata);
  }
  return file;
}

Result<std::vector<HistoryLine>> LinesOf(const ObjectStore& store, const HistoryEntry& index, ByteView file) {
  DS_ASSIGN_OR_RETURN(std::vector<HistoryLine> lines, iceberg::DecodeHistoryIndex(file, HistoryObject(store, index)));
  iceberg::HistoryRange range;
  for (const HistoryLine& line : lines) range.Add(line.segment.range);
  DS_RETURN_IF_ERROR(CheckCount(store, index, range));
  return lines;
}

Result<std::vector<ArchivedSnapshot>> SnapshotsOf(const ObjectStore& store, const HistoryEntry& segment, ByteView file,
                                                  const std::function<bool(const HistoryBlock&)>& wanted) {
  iceberg::HistoryRange range;
  DS_ASSIGN_OR_RETURN(std::vector<ArchivedSnapshot> snapshots,
                      iceberg::DecodeHistorySegment(file, HistoryObject(store, segment), [&](const HistoryBlock& block) {
                        range.Add(block.range);
                        return !wanted || wanted(block);
                      }));
  DS_RETURN_IF_ERROR(CheckCount(store, segment, range));
  return snapshots;
}

Result<std::optional<Snapshot>> FindSnapshotById(ObjectStore& store, const iceberg::TableMetadata& metadata,
                                                 int64_t snapshot_id) {
  if (const Snapshot* found = metadata.FindSnapshot(snapshot_id)) return std::optional(*found);
  DS_ASSIGN_OR_RETURN(const HistoryRoot root, iceberg::HistoryOf(metadata));
  for (auto entry = root.entries.rbegin(); entry != root.entries.rend(); ++entry) {
    std::vector<HistoryEntry> segments = {*entry};
    if (entry->is_index()) {
      DS_ASSIGN_OR_RETURN(const Bytes file, ReadHistoryFile(store, *entry));
      DS_ASSIGN_OR_RETURN(segments, iceberg::FindInHistoryIndex(file, HistoryObject(store, *entry), snapshot_id));
    }
    for (const HistoryEntry& segment : segments) {
      if (root.is_below_floor(segment)) continue;
      DS_ASSIGN_OR_RETURN(std::optional<Snapshot> found, FindIn(store, segment, snapshot_id));
      if (found && root.IsExpired(found->sequence_number, snapshot_id)) return std::optional<Snapshot>();
      if (found) return found;
    }
  }
  return std::optional<Snapshot>();
}

Result<std::optional<Snapshot>> FindSnapshotAsOf(ObjectStore& store, const iceberg::TableMetadata& metadata,
                                                 int64_t timestamp_ms) {
  DS_ASSIGN_OR_RETURN(const HistoryRoot root, iceberg::HistoryOf(metadata));
  if (timestamp_ms < root.floor_timestamp_ms) return StateExpired(metadata, timestamp_ms);
  if (const Snapshot* found = WindowAsOf(metadata, timestamp_ms)) return std::optional(*found);
  for (auto entry = root.entries.rbegin(); entry != root.entries.rend(); ++entry) {
    if (entry->range.first_timestamp_ms > timestamp_ms) continue;
    std::vector<HistoryEntry> segments = {*entry};
    if (entry->is_index()) {
      DS_ASSIGN_OR_RETURN(segments, SegmentsOf(store, *entry));
    }
    for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
      if (segment->range.first_timestamp_ms > timestamp_ms) continue;
      if (root.is_below_floor(*segment)) return StateExpired(metadata, timestamp_ms);
      DS_ASSIGN_OR_RETURN(std::optional<DatedPoint> last, PointIn(store, *segment, timestamp_ms));
      if (!last) continue;
      if (last->snapshot && !root.IsExpired(last->snapshot->sequence_number, last->snapshot->snapshot_id))
        return std::move(last->snapshot);
      DS_ASSIGN_OR_RETURN(std::optional<Snapshot> found, FindSnapshotById(store, metadata, last->point.snapshot_id));
      if (found) return found;
      if (root.has_expired()) return StateExpired(metadata, timestamp_ms);
    }
  }
  if (root.has_expired()) return StateExpired(metadata, timestamp_ms);
  return std::optional<Snapshot>();
}

Status ForEachSnapshot(ObjectStore& store, const iceberg::TableMetadata& metadata,
                       const std::function<Result<bool>(const Snapshot&)>& visit, int64_t after_sequence) {
  DS_ASSIGN_OR_RETURN(HistoryRoot root, iceberg::HistoryOf(metadata));
  Merge merge(store, std::move(root), WindowInOrder(metadata), after_sequence);
  for (;;) {
    DS_ASSIGN_OR_RETURN(const std::optional<Snapshot> snapshot, merge.Next());
    if (!snapshot) return {};
    DS_ASSIGN_OR_RETURN(const bool go_on, visit(*snapshot));
    if (!go_on) return {};
  }
}

Result<std::vector<Snapshot>> NewestSnapshots(ObjectStore& store, const iceberg::TableMetadata& metadata, int64_t limit) {
  std::vector<Snapshot> window = WindowInOrder(metadata);
  DS_ASSIGN_OR_RETURN(HistoryRoot root, iceberg::HistoryOf(metadata));
  DS_ASSIGN_OR_RETURN(root.entries, FilesOfNewest(store, root, window, limit));
  std::deque<Snapshot> newest;
  Merge merge(store, std::move(root), std::move(window), /*after_sequence=*/0);
  for (;;) {
    DS_ASSIGN_OR_RETURN(std::optional<Snapshot> snapshot, merge.Next());
    if (!snapshot) return std::vector<Snapshot>(std::make_move_iterator(newest.begin()), std::make_move_iterator(newest.end()));
    newest.push_back(*std::move(snapshot));
    if (static_cast<int64_t>(newest.size()) > limit) newest.pop_front();
  }
}

}  // namespace datashard::catalog
