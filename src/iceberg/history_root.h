// The root of a table's archived history: a short list of files, carried as the table property `datashard.history`.
// Levels: a level-0 segment holds about 32 snapshots; eight files of one level become one of the next. Up to level 2 they
// are rewritten into one segment (2,048 snapshots); from level 3 on into an index that lists segments, so that no merge
// ever rewrites more. A million snapshots are some forty entries; each further million is one more. Source: docs/formats/history.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datashard/result.h"
#include "iceberg/metadata.h"

namespace datashard::iceberg {

inline constexpr std::string_view kHistoryProperty = "datashard.history";
/// Files of one level that become one of the next.
inline constexpr size_t kHistoryFanOut = 8;
/// From this level on a file is an index.
inline constexpr int32_t kHistoryIndexLevel = 3;
/// Files of this level stay as they are: a million snapshots each, 4 MB.
inline constexpr int32_t kHistoryTopLevel = 5;
/// What a reader of the property takes in at most.
inline constexpr size_t kHistoryTextBytesMax = 1 << 20;
inline constexpr size_t kHistoryEntriesMax = 10'000;

/// What a block, segment or index covers: how many snapshots, and the least and greatest of their sequence numbers and of
/// the times in them (those they were committed at, and those they became current at).
struct HistoryRange {
  int64_t count = 0;
  int64_t first_sequence = 0;
  int64_t last_sequence = 0;
  int64_t first_timestamp_ms = 0;
  int64_t last_timestamp_ms = 0;

  /// Takes `other` in.
  void Add(const HistoryRange& other);
  bool operator==(const HistoryRange&) const = default;
};

/// "count,first_sequence,last_sequence,first_timestamp_ms,last_timestamp_ms".
std::string PrintRange(const HistoryRange& range);
/// Errors: kCorruption (kMetadata) for anything Print would not give, and for ranges that end before they begin.
Result<HistoryRange> ParseRange(std::string_view text, std::string_view object);

/// One file of the archive.
struct HistoryEntry {
  int32_t level = 0;
  HistoryRange range;
  std::string uuid;  // 36 characters, lower case

  bool is_index() const { return level >= kHistoryIndexLevel; }
  /// "metadata/history/<first sequence>-<last sequence>-<uuid>.avro". Made from checked parts: it cannot leave the root.
  std::string key() const;
  bool operator==(const HistoryEntry&) const = default;
};

/// Archived snapshots that can be expired one by one, beside all below a floor: every version carries their ids.
inline constexpr size_t kExpiredIdsMax = 256;

/// The files of the archive, and which of their snapshots were expired. Segments are immutable, so expiry hides.
struct HistoryRoot {
  std::vector<HistoryEntry> entries;  // oldest first, as archived
  int64_t floor_sequence = 0;         // archived snapshots with a smaller sequence number are expired; it never falls
  int64_t floor_timestamp_ms = 0;     // the log before it was cut: which snapshot was current is not known any more
  int64_t hidden_count = 0;           // snapshots of `entries` below the floor
  std::vector<int64_t> expired_ids;   // ascending; of snapshots at or above the floor

  /// Was anything ever expired?
  bool has_expired() const { return floor_sequence > 0 || floor_timestamp_ms > 0 || !expired_ids.empty(); }
  /// Is nothing at all of a file's snapshots left by the floor?
  bool is_below_floor(const HistoryEntry& entry) const { return entry.range.last_sequence < floor_sequence; }
  /// Of an archived snapshot; one of the window never is.
  bool IsExpired(int64_t sequence_number, int64_t snapshot_id) const;
  /// Archived snapshots that are not expired.
  int64_t count() const;
  bool operator==(const HistoryRoot&) const = default;
};

/// Errors: kCorruption (kMetadata) that names `object`.
Result<HistoryRoot> ParseHistory(std::string_view text, std::string_view object);
std::string PrintHistory(const HistoryRoot& root);
/// The archive of `metadata`; empty where nothing was archived. Errors: as ParseHistory.
Result<HistoryRoot> HistoryOf(const TableMetadata& metadata);

/// 36 characters of lower-case hexadecimal digits and dashes, as RandomUuid makes them?
bool IsHistoryUuid(std::string_view text);

}  // namespace datashard::iceberg
