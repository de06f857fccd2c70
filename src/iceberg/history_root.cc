#include "iceberg/history_root.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/ranges.h>

#include "base/error.h"

namespace datashard::iceberg {
namespace {

constexpr std::string_view kFormat = "1";
constexpr std::string_view kFormatWithExpiry = "2";
constexpr int32_t kLevelMax = 20;                  // 8^20 files: more than there will ever be
constexpr int64_t kCountMax = int64_t{1} << 50;

/// What stands before the next `end`, taken off `rest` together with it.
std::string_view TakeUntil(std::string_view& rest, char end) {
  const size_t at = std::min(rest.find(end), rest.size());
  const std::string_view taken = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return taken;
}

/// Exactly what printing gives: no sign, space or leading zero.
bool ParseNumber(std::string_view text, int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && fmt::format("{}", number) == text;
}

}  // namespace

void HistoryRange::Add(const HistoryRange& other) {
  if (other.count == 0) return;
  if (count == 0) {
    *this = other;
    return;
  }
  count += other.count;
  first_sequence = std::min(first_sequence, other.first_sequence);
  last_sequence = std::max(last_sequence, other.last_sequence);
  first_timestamp_ms = std::min(first_timestamp_ms, other.first_timestamp_ms);
  last_timestamp_ms = std::max(last_timestamp_ms, other.last_timestamp_ms);
}

std::string PrintRange(const HistoryRange& range) {
  return fmt::format("{},{},{},{},{}", range.count, range.first_sequence, range.last_sequence, range.first_timestamp_ms,
                     range.last_timestamp_ms);
}

Result<HistoryRange> ParseRange(std::string_view text, std::string_view object) {
  HistoryRange range;
  std::string_view rest = text;
  bool whole = true;
  for (int64_t* number : {&range.count, &range.first_sequence, &range.last_sequence, &range.first_timestamp_ms,
                          &range.last_timestamp_ms}) {
    whole = whole && ParseNumber(TakeUntil(rest, ','), *number);
  }
  if (!whole || !rest.empty() || text.ends_with(',') || range.count < 1 || range.count > kCountMax ||
      range.first_sequence < 0 || range.last_sequence < range.first_sequence ||
      range.last_timestamp_ms < range.first_timestamp_ms) {
    return Corruption("{}: expected a count, the first and last sequence number, and the first and last time, found '{}'",
                      object, text.substr(0, 120)).About(ErrorSubject::kMetadata);
  }
  return range;
}

bool IsHistoryUuid(std::string_view text) {
  return text.size() == 36 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-';
         });
}

std::string HistoryEntry::key() const {
  return fmt::format("metadata/history/{}-{}-{}.avro", range.first_sequence, range.last_sequence, uuid);
}

bool HistoryRoot::IsExpired(int64_t sequence_number, int64_t snapshot_id) const {
  return sequence_number < floor_sequence || std::binary_search(expired_ids.begin(), expired_ids.end(), snapshot_id);
}

int64_t HistoryRoot::count() const {
  int64_t count = -hidden_count - static_cast<int64_t>(expired_ids.size());
  for (const HistoryEntry& entry : entries) count += entry.range.count;
  return count;
}

std::string PrintHistory(const HistoryRoot& root) {
  std::string text(kFormat);
  if (root.has_expired()) {
    text = fmt::format("{};{},{},{};{}", kFormatWithExpiry, root.floor_sequence, root.floor_timestamp_ms, root.hidden_count,
                       fmt::join(root.expired_ids, ","));
  }
  for (const HistoryEntry& entry : root.entries) {
    text += fmt::format(";{},{},{}", entry.level, entry.uuid, PrintRange(entry.range));
  }
  return text;
}

namespace {

/// The two items that format 2 has before its entries.
Status ParseExpiry(std::string_view& rest, std::string_view object, HistoryRoot& root) {
  std::string_view floor = TakeUntil(rest, ';');
  std::string_view ids = TakeUntil(rest, ';');
  const std::string_view floor_text = floor;
  const std::string_view ids_text = ids;
  bool whole = true;
  for (int64_t* number : {&root.floor_sequence, &root.floor_timestamp_ms, &root.hidden_count}) {
    whole = whole && ParseNumber(TakeUntil(floor, ','), *number) && *number >= 0 && *number < std::numeric_limits<int64_t>::max() / 4;
  }
  whole = whole && floor.empty() && !floor_text.ends_with(',') && !ids_text.ends_with(',');
  while (whole && !ids.empty()) {
    int64_t id = 0;
    whole = ParseNumber(TakeUntil(ids, ','), id) && (root.expired_ids.empty() || id > root.expired_ids.back()) &&
            root.expired_ids.size() < kExpiredIdsMax;
    root.expired_ids.push_back(id);
  }
  if (whole && root.has_expired()) return {};
  return Corruption("{}: expected the floor of expired snapshots (sequence number, time, count) and at most {} ascending ids, "
                    "found '{}' and '{}'", object, kExpiredIdsMax, floor_text.substr(0, 80), ids_text.substr(0, 80))
      .About(ErrorSubject::kMetadata);
}

}  // namespace

Result<HistoryRoot> ParseHistory(std::string_view text, std::string_view object) {
  if (text.size() > kHistoryTextBytesMax) {
    return Corruption("{}: {} bytes; at most {} are read", object, text.size(), kHistoryTextBytesMax)
        .About(ErrorSubject::kMetadata);
  }
  HistoryRoot root;
  std::string_view rest = text;
  const std::string_view format = TakeUntil(rest, ';');
  if (format != kFormat && format != kFormatWithExpiry) {
    return Corruption("{}: expected format {} or {}, found '{}'; a newer release may read it", object, kFormat,
                      kFormatWithExpiry, format.substr(0, 20)).About(ErrorSubject::kMetadata);
  }
  if (format == kFormatWithExpiry) DS_RETURN_IF_ERROR(ParseExpiry(rest, object, root));
  int64_t count = 0;
  while (!rest.empty()) {
    const std::string where = fmt::format("{}: entry {}", object, root.entries.size());
    if (root.entries.size() == kHistoryEntriesMax) {
      return Corruption("{}: more than {} entries", object, kHistoryEntriesMax).About(ErrorSubject::kMetadata);
    }
    std::string_view item = TakeUntil(rest, ';');
    const std::string_view level_text = TakeUntil(item, ',');
    const std::string_view uuid = TakeUntil(item, ',');
    int64_t level = 0;
    if (!ParseNumber(level_text, level) || level < 0 || level > kLevelMax || !IsHistoryUuid(uuid)) {
      return Corruption("{}: expected a level and a uuid, found '{}' and '{}'", where, level_text.substr(0, 40),
                        uuid.substr(0, 40)).About(ErrorSubject::kMetadata);
    }
    HistoryEntry& entry = root.entries.emplace_back();
    entry.level = static_cast<int32_t>(level);
    entry.uuid = uuid;
    DS_ASSIGN_OR_RETURN(entry.range, ParseRange(item, where));
    if (__builtin_add_overflow(count, entry.range.count, &count)) {
      return Corruption("{}: more snapshots than can be counted", where).About(ErrorSubject::kMetadata);
    }
  }
  if (root.count() < 0) {
    return Corruption("{}: more snapshots are expired than archived", object).About(ErrorSubject::kMetadata);
  }
  return root;
}

Result<HistoryRoot> HistoryOf(const TableMetadata& metadata) {
  const auto found = metadata.properties.find(std::string(kHistoryProperty));
  if (found == metadata.properties.end()) return HistoryRoot();
  return ParseHistory(found->second, fmt::format("{}: table property {}", metadata.location, kHistoryProperty));
}

}  // namespace datashard::iceberg
