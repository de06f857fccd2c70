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

/// Oldest first, as archived. Errors: kCorruption (kMetadata) that names `object`.
Result<std::vector<HistoryEntry>> ParseHistory(std::string_view text, std::string_view object);
std::string PrintHistory(std::span<const HistoryEntry> entries);
/// The archive of `metadata`; empty where nothing was archived. Errors: as ParseHistory.
Result<std::vector<HistoryEntry>> HistoryOf(const TableMetadata& metadata);

/// 36 characters of lower-case hexadecimal digits and dashes, as RandomUuid makes them?
bool IsHistoryUuid(std::string_view text);

}  // namespace datashard::iceberg
