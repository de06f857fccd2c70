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

/// The last line of a segment's log with this time or an earlier one.
Result<std::optional<HistoryPoint>> PointIn(ObjectStore& store, const HistoryEntry& segment, int64_t timestamp_ms) {
  DS_ASSIGN_OR_RETURN(const Bytes file, ReadHistoryFile(store, segment));
  DS_ASSIGN_OR_RETURN(const std::vector<ArchivedSnapshot> snapshots,
                      SnapshotsOf(store, segment, file, [&](const HistoryBlock& block) {
                        return block.range.first_timestamp_ms <= timestamp_ms;
                      }));
  // By time, equal times by commit order: a snapshot that was kept by a tag and archived late stands before its log's place.
  std::optional<HistoryPoint> last;
  for (const ArchivedSnapshot& archived : snapshots) {
    for (const HistoryPoint& point : archived.log) {
      if (point.timestamp_ms > timestamp_ms) continue;
      if (!last || point.timestamp_ms >= last->timestamp_ms) last = point;
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
    DS_ASSIGN_OR_RETURN(const Bytes file, ReadHistoryFile(store_, entry));
    if (entry.is_index()) {
      DS_ASSIGN_OR_RETURN(const std::vector<HistoryLine> lines, LinesOf(store_, entry, file));
      for (const HistoryLine& line : lines) Await(line.segment);
      Sort();
      return {};
    }
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

}  // namespace

std::string HistoryObject(const ObjectStore& store, const HistoryEntry& entry) {
  return fmt::format("{}/{}", store.root_uri(), entry.key());
}

Result<Bytes> ReadHistoryFile(ObjectStore& store, const HistoryEntry& entry) {
  Result<Bytes> file = store.Get(entry.key());
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
      segments.clear();
      DS_ASSIGN_OR_RETURN(const Bytes file, ReadHistoryFile(store, *entry));
      DS_ASSIGN_OR_RETURN(const std::vector<HistoryLine> lines, LinesOf(store, *entry, file));
      for (const HistoryLine& line : lines) {
        if (Holds(line.id_prints, snapshot_id)) segments.push_back(line.segment);
      }
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
      segments.clear();
      DS_ASSIGN_OR_RETURN(const Bytes file, ReadHistoryFile(store, *entry));
      DS_ASSIGN_OR_RETURN(const std::vector<HistoryLine> lines, LinesOf(store, *entry, file));
      for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
        if (line->segment.range.first_timestamp_ms <= timestamp_ms) segments.push_back(line->segment);
      }
    }
    for (const HistoryEntry& segment : segments) {
      if (root.is_below_floor(segment)) return StateExpired(metadata, timestamp_ms);
      DS_ASSIGN_OR_RETURN(const std::optional<HistoryPoint> point, PointIn(store, segment, timestamp_ms));
      if (!point) continue;
      DS_ASSIGN_OR_RETURN(std::optional<Snapshot> found, FindSnapshotById(store, metadata, point->snapshot_id));
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
  std::vector<Snapshot> newest = WindowInOrder(metadata);
  const auto wanted = static_cast<size_t>(std::max<int64_t>(limit, 0));
  if (newest.size() < wanted) {
    DS_ASSIGN_OR_RETURN(const HistoryRoot root, iceberg::HistoryOf(metadata));
    std::vector<HistoryEntry> waiting = root.entries;
    const auto ends_earlier = [](const HistoryEntry& a, const HistoryEntry& b) {
      return a.range.last_sequence < b.range.last_sequence;
    };
    // The oldest of the newest so far; what ends before it can wait.
    const auto due = [&] {
      return newest.size() < wanted || waiting.back().range.last_sequence >= newest[newest.size() - wanted].sequence_number;
    };
    std::stable_sort(waiting.begin(), waiting.end(), ends_earlier);
    while (!waiting.empty() && due()) {
      const HistoryEntry entry = waiting.back();
      waiting.pop_back();
      DS_ASSIGN_OR_RETURN(const Bytes file, ReadHistoryFile(store, entry));
      if (entry.is_index()) {
        DS_ASSIGN_OR_RETURN(const std::vector<HistoryLine> lines, LinesOf(store, entry, file));
        for (const HistoryLine& line : lines) {
          if (!root.is_below_floor(line.segment)) waiting.push_back(line.segment);
        }
        std::stable_sort(waiting.begin(), waiting.end(), ends_earlier);
        continue;
      }
      DS_ASSIGN_OR_RETURN(std::vector<ArchivedSnapshot> archived, SnapshotsOf(store, entry, file));
      std::vector<Snapshot> longer;
      longer.reserve(archived.size() + newest.size());
      for (ArchivedSnapshot& one : archived) {
        if (!root.IsExpired(one.snapshot.sequence_number, one.snapshot.snapshot_id)) longer.push_back(std::move(one.snapshot));
      }
      longer.insert(longer.end(), std::make_move_iterator(newest.begin()), std::make_move_iterator(newest.end()));
      std::stable_sort(longer.begin(), longer.end(), iceberg::IsBefore);
      newest = std::move(longer);
    }
  }
  if (newest.size() > wanted) newest.erase(newest.begin(), newest.end() - static_cast<std::ptrdiff_t>(wanted));
  return newest;
}

}  // namespace datashard::catalog
