// Files of archived history, as Avro: a segment holds snapshots in blocks of at most 64, an index lists segments. Immutable.
// The header says what each block covers and the low half of every snapshot id, so that a reader inflates only the blocks
// that may hold what it looks for; that of an index names its segments. No I/O here. Source: docs/formats/history.md.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"
#include "datashard/snapshot.h"
#include "iceberg/history_root.h"

namespace datashard::iceberg {

/// When which snapshot became the current one: a line of the table's snapshot-log.
struct HistoryPoint {
  int64_t timestamp_ms = 0;
  int64_t snapshot_id = 0;
  bool operator==(const HistoryPoint&) const = default;
};

struct ArchivedSnapshot {
  Snapshot snapshot;
  /// The lines of the log from the snapshot's own up to that of the next archived one; a rollback adds one, a snapshot
  /// that was never current has none.
  std::vector<HistoryPoint> log;
  bool operator==(const ArchivedSnapshot&) const = default;
};

/// Commit order.
bool IsBefore(const Snapshot& a, const Snapshot& b);

HistoryRange RangeOf(std::span<const ArchivedSnapshot> snapshots);

/// The low half of a snapshot id, by which files say whose snapshots they hold.
inline uint32_t IdPrint(int64_t snapshot_id) { return static_cast<uint32_t>(snapshot_id); }

struct HistoryBlock {
  HistoryRange range;
  std::vector<uint32_t> id_prints;  // one per snapshot, in order
};

/// At least one snapshot, in commit order. The same snapshots give the same bytes.
Result<Bytes> EncodeHistorySegment(std::span<const ArchivedSnapshot> snapshots);

/// What the header of a segment says. Errors of this and the following: kCorruption (kMetadata).
Result<std::vector<HistoryBlock>> ReadHistoryBlocks(ByteView avro, std::string_view object);
/// The snapshots of the blocks for which `wanted` answers true, in order; only those blocks are inflated. All, where it is
/// empty. Checked: counts, ranges and ids against the header.
Result<std::vector<ArchivedSnapshot>> DecodeHistorySegment(
    ByteView avro, std::string_view object, const std::function<bool(const HistoryBlock&)>& wanted = {});

/// A segment of an index, and whose snapshots it holds.
struct HistoryLine {
  HistoryEntry segment;
  std::vector<uint32_t> id_prints;
  bool operator==(const HistoryLine&) const = default;
};
/// At most kHistoryFanOut ^ (kHistoryTopLevel - kHistoryIndexLevel + 1) segments.
Result<Bytes> EncodeHistoryIndex(std::span<const HistoryLine> lines);
/// The header of an index ends within so many bytes.
inline constexpr int64_t kHistoryIndexHeadBytes = 128 << 10;
/// The segments of an index, in order, from its header: bytes behind that need not be there.
Result<std::vector<HistoryEntry>> ReadHistoryIndex(ByteView avro, std::string_view object);
/// Those that may hold the snapshot with this id.
Result<std::vector<HistoryEntry>> FindInHistoryIndex(ByteView avro, std::string_view object, int64_t snapshot_id);
Result<std::vector<HistoryLine>> DecodeHistoryIndex(ByteView avro, std::string_view object);

}  // namespace datashard::iceberg
