#include "commit/archive.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <set>

#include "base/error.h"
#include "catalog/history.h"
#include "iceberg/history_root.h"
#include "iceberg/history_segment.h"

namespace datashard::commit {
namespace {

using iceberg::ArchivedSnapshot;
using iceberg::HistoryEntry;
using iceberg::HistoryLine;

constexpr std::string_view kWindowProperty = "datashard.history.window-bytes";
// The window is rewritten by every commit, so it is most of what a commit writes: 64 KiB are 130 to 170 snapshots.
constexpr int64_t kWindowBytes = 64 << 10;
// Readers that started on a young snapshot find it in the metadata; later ones ask the archive.
constexpr int64_t kYoungMs = 10 * 60 * 1000;
// A table that comes with a long history is archived over several commits.
constexpr int kSegmentsAtOnceMax = 8;
// Keys, punctuation and numbers of a snapshot and its line of the log.
constexpr size_t kSnapshotJsonBytes = 220;

Result<int64_t> WindowBytesOf(const iceberg::TableMetadata& metadata) {
  const auto found = metadata.properties.find(std::string(kWindowProperty));
  if (found == metadata.properties.end()) return kWindowBytes;
  const std::string& text = found->second;
  int64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (error != std::errc() || end != text.data() + text.size() || bytes < 0) {
    return InvalidArgument("table property {} is '{}'; expected a number of bytes", kWindowProperty, text);
  }
  return bytes;
}

int64_t EstimatedBytes(const iceberg::TableMetadata& metadata) {
  size_t bytes = 0;
  for (const auto& snapshot : metadata.snapshots) {
    bytes += kSnapshotJsonBytes + snapshot->manifest_list.size();
    for (const auto* pairs : {&snapshot->summary, &snapshot->extra})
      for (const auto& [key, value] : *pairs) bytes += key.size() + value.size() + 6;
  }
  return static_cast<int64_t>(bytes);
}

/// Whether the oldest that may leave are as many as leave at once; they go from `next` into the result, in file order.
std::vector<std::shared_ptr<const Snapshot>> TakeOldest(iceberg::TableMetadata& next, int64_t window_bytes,
                                                        int64_t now_ms, int64_t floor_sequence) {
  std::vector<std::shared_ptr<const Snapshot>> taken;
  if (next.snapshots.size() < kWindowSnapshotsMin + kArchivedAtOnce) return taken;
  std::set<int64_t> held;
  if (next.current_snapshot_id) held.insert(*next.current_snapshot_id);
  for (const auto& [name, ref] : next.refs) held.insert(ref.snapshot_id);
  const bool full = EstimatedBytes(next) >= window_bytes;
  std::set<int64_t> ids;
  for (size_t i = 0; i + kWindowSnapshotsMin < next.snapshots.size() && taken.size() < kArchivedAtOnce; ++i) {
    const auto& snapshot = next.snapshots[i];
    if (held.contains(snapshot->snapshot_id)) continue;
    // A tag has held it back while its neighbours were expired; behind the floor it would be lost without being asked for.
    if (snapshot->sequence_number < floor_sequence) continue;
    if (!full && snapshot->timestamp_ms > now_ms - kYoungMs) continue;
    taken.push_back(snapshot);
    ids.insert(snapshot->snapshot_id);
  }
  if (taken.size() < kArchivedAtOnce) {
    taken.clear();
    return taken;
  }
  std::erase_if(next.snapshots, [&](const auto& snapshot) { return ids.contains(snapshot->snapshot_id); });
  return taken;
}

/// `taken` with the lines of the log up to the last that names one of them, which leave `next`: a log with a gap would
/// answer wrongly, so what lies before goes too.
std::vector<ArchivedSnapshot> WithLog(const std::vector<std::shared_ptr<const Snapshot>>& taken,
                                      iceberg::TableMetadata& next, bool has_log) {
  std::vector<ArchivedSnapshot> archived;
  for (const auto& snapshot : taken) archived.push_back({.snapshot = *snapshot});
  std::stable_sort(archived.begin(), archived.end(), [](const ArchivedSnapshot& a, const ArchivedSnapshot& b) {
    return iceberg::IsBefore(a.snapshot, b.snapshot);
  });
  if (!has_log) {
    // A writer that keeps no log: as in the window, commit times stand in for it.
    for (ArchivedSnapshot& one : archived) one.log = {{one.snapshot.timestamp_ms, one.snapshot.snapshot_id}};
    return archived;
  }
  std::map<int64_t, size_t> index;
  for (size_t i = 0; i < archived.size(); ++i) index[archived[i].snapshot.snapshot_id] = i;
  const auto names_one = [&](const iceberg::SnapshotLogEntry& line) { return index.contains(line.snapshot_id); };
  auto& log = next.snapshot_log;
  const auto end = std::find_if(log.rbegin(), log.rend(), names_one).base();
  const auto first = std::find_if(log.begin(), end, names_one);
  if (first == end) return archived;
  // Lines of others (a rollback, a snapshot that stays because of a tag) follow the line before them.
  size_t at = index[first->snapshot_id];
  for (auto line = log.begin(); line != end; ++line) {
    const auto own = index.find(line->snapshot_id);
    if (own != index.end()) at = std::max(at, own->second);
    archived[at].log.push_back({line->timestamp_ms, line->snapshot_id});
  }
  log.erase(log.begin(), end);
  return archived;
}

/// The archive as it grows in one attempt: files of the store and files not yet written.
class Archive {
 public:
  Archive(ObjectStore& store, Random& random, std::vector<HistoryEntry> entries)
      : store_(store), random_(random), entries_(std::move(entries)) {}

  Status Add(const std::vector<ArchivedSnapshot>& snapshots) {
    DS_ASSIGN_OR_RETURN(Bytes file, iceberg::EncodeHistorySegment(snapshots));
    HistoryEntry entry{.range = iceberg::RangeOf(snapshots), .uuid = RandomUuid(random_)};
    pending_[entry.key()] = std::move(file);
    entries_.push_back(std::move(entry));
    return {};
  }

  /// Merges as long as enough files of one level have gathered. After an error the archive is as before the last merge.
  Status MergeDue() {
    for (int32_t level = 0; level < iceberg::kHistoryTopLevel;) {
      const auto is_of_level = [&](const HistoryEntry& entry) { return entry.level == level; };
      const auto first = std::find_if(entries_.begin(), entries_.end(), is_of_level);
      if (std::count_if(entries_.begin(), entries_.end(), is_of_level) < static_cast<std::ptrdiff_t>(iceberg::kHistoryFanOut)) {
        if (std::none_of(entries_.begin(), entries_.end(), [&](const HistoryEntry& entry) { return entry.level > level; })) return {};
        ++level;
        continue;
      }
      std::vector<HistoryEntry> merged;
      for (auto entry = first; entry != entries_.end() && merged.size() < iceberg::kHistoryFanOut; ++entry) {
        if (entry->level == level) merged.push_back(*entry);
      }
      DS_ASSIGN_OR_RETURN(const HistoryEntry whole, Merge(merged));
      *first = whole;
      std::erase_if(entries_, [&](const HistoryEntry& entry) {
        return std::find(merged.begin(), merged.end(), entry) != merged.end();
      });
      for (const HistoryEntry& entry : merged) {
        // An index names the segments it was made of; everything else is replaced.
        if (!whole.is_index() || entry.is_index()) pending_.erase(entry.key());
      }
    }
    return {};
  }

  const std::vector<HistoryEntry>& entries() const { return entries_; }
  std::vector<NewFile> TakeFiles() && {
    std::vector<NewFile> files;
    for (auto& [key, body] : pending_) files.push_back({.key = key, .body = std::move(body), .bound_to_base = true});
    return files;
  }

 private:
  Result<Bytes> Read(const HistoryEntry& entry) {
    const auto pending = pending_.find(entry.key());
    if (pending != pending_.end()) return pending->second;
    return catalog::ReadHistoryFile(store_, entry);
  }

  Result<HistoryEntry> Merge(const std::vector<HistoryEntry>& parts) {
    HistoryEntry whole{.level = parts.front().level + 1, .uuid = RandomUuid(random_)};
    for (const HistoryEntry& part : parts) whole.range.Add(part.range);
    Bytes file;
    if (whole.is_index()) {
      DS_ASSIGN_OR_RETURN(file, MergeIntoIndex(parts));
    } else {
      DS_ASSIGN_OR_RETURN(file, MergeIntoSegment(parts));
    }
    pending_[whole.key()] = std::move(file);
    return whole;
  }

  Result<Bytes> MergeIntoSegment(const std::vector<HistoryEntry>& parts) {
    std::vector<ArchivedSnapshot> all;
    for (const HistoryEntry& part : parts) {
      DS_ASSIGN_OR_RETURN(const Bytes file, Read(part));
      DS_ASSIGN_OR_RETURN(std::vector<ArchivedSnapshot> some, catalog::SnapshotsOf(store_, part, file));
      all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    }
    std::stable_sort(all.begin(), all.end(), [](const ArchivedSnapshot& a, const ArchivedSnapshot& b) {
      return iceberg::IsBefore(a.snapshot, b.snapshot);
    });
    return iceberg::EncodeHistorySegment(all);
  }

  Result<Bytes> MergeIntoIndex(const std::vector<HistoryEntry>& parts) {
    std::vector<HistoryLine> all;
    for (const HistoryEntry& part : parts) {
      DS_ASSIGN_OR_RETURN(const Bytes file, Read(part));
      if (part.is_index()) {
        DS_ASSIGN_OR_RETURN(std::vector<HistoryLine> lines, catalog::LinesOf(store_, part, file));
        all.insert(all.end(), std::make_move_iterator(lines.begin()), std::make_move_iterator(lines.end()));
        continue;
      }
      HistoryLine line{.segment = part};
      DS_ASSIGN_OR_RETURN(const auto blocks, iceberg::ReadHistoryBlocks(file, catalog::HistoryObject(store_, part)));
      for (const iceberg::HistoryBlock& block : blocks)
        line.id_prints.insert(line.id_prints.end(), block.id_prints.begin(), block.id_prints.end());
      if (static_cast<int64_t>(line.id_prints.size()) != part.range.count) {
        return Corruption("{}: {} snapshots, but the table's metadata says {}", catalog::HistoryObject(store_, part),
                          line.id_prints.size(), part.range.count).About(ErrorSubject::kMetadata);
      }
      all.push_back(std::move(line));
    }
    return iceberg::EncodeHistoryIndex(all);
  }

  ObjectStore& store_;
  Random& random_;
  std::vector<HistoryEntry> entries_;
  std::map<std::string, Bytes> pending_;
};

}  // namespace

Result<std::vector<NewFile>> ArchiveOverflow(ObjectStore& store, iceberg::TableMetadata& next,
                                             const ArchiveContext& context) {
  if (next.snapshots.size() < kWindowSnapshotsMin + kArchivedAtOnce) return std::vector<NewFile>();
  DS_ASSIGN_OR_RETURN(const int64_t window_bytes, WindowBytesOf(next));
  DS_ASSIGN_OR_RETURN(iceberg::HistoryRoot root, iceberg::HistoryOf(next));
  std::vector<std::vector<std::shared_ptr<const Snapshot>>> slices;
  while (slices.size() < kSegmentsAtOnceMax) {
    auto taken = TakeOldest(next, window_bytes, ToMillis(context.now), root.floor_sequence);
    if (taken.empty()) break;
    slices.push_back(std::move(taken));
  }
  if (slices.empty()) return std::vector<NewFile>();

  Archive archive(store, context.random, std::move(root.entries));
  const bool has_log = !next.snapshot_log.empty();
  for (const auto& slice : slices) DS_RETURN_IF_ERROR(archive.Add(WithLog(slice, next, has_log)));
  if (const Status merged = archive.MergeDue(); !merged.ok()) {
    // What is damaged stays to be found by whoever reads it; the rows of this commit are not its hostage.
    if (merged.kind() != ErrorKind::kCorruption) return merged.error();
    context.log.Write(LogLevel::kWarning,
                      fmt::format("{}: archived history is not merged: {}", next.location, merged.error().ToString()));
  }
  root.entries = archive.entries();
  next.properties[std::string(iceberg::kHistoryProperty)] = iceberg::PrintHistory(root);
  // Archived snapshots look expired to other engines: their orphan removal would delete what only the archive names.
  const auto gc = next.properties.find("gc.enabled");
  if (gc == next.properties.end() || gc->second == "true") next.properties[std::string(kGcProperty)] = "ours";
  next.properties["gc.enabled"] = "false";
  next.properties["write.metadata.delete-after-commit.enabled"] = "false";
  return std::move(archive).TakeFiles();
}

}  // namespace datashard::commit
