#include "iceberg/history_root.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace datashard::iceberg {
namespace {

constexpr std::string_view kFormat = "1";
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

std::string PrintHistory(std::span<const HistoryEntry> entries) {
  std::string text(kFormat);
  for (const HistoryEntry& entry : entries) {
    text += fmt::format(";{},{},{}", entry.level, entry.uuid, PrintRange(entry.range));
  }
  return text;
}

Result<std::vector<HistoryEntry>> ParseHistory(std::string_view text, std::string_view object) {
  if (text.size() > kHistoryTextBytesMax) {
    return Corruption("{}: {} bytes; at most {} are read", object, text.size(), kHistoryTextBytesMax)
        .About(ErrorSubject::kMetadata);
  }
  std::string_view rest = text;
  if (const std::string_view format = TakeUntil(rest, ';'); format != kFormat) {
    return Corruption("{}: expected format {}, found '{}'; a newer release may read it", object, kFormat,
                      format.substr(0, 20)).About(ErrorSubject::kMetadata);
  }
  std::vector<HistoryEntry> entries;
  while (!rest.empty()) {
    const std::string where = fmt::format("{}: entry {}", object, entries.size());
    if (entries.size() == kHistoryEntriesMax) {
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
    HistoryEntry& entry = entries.emplace_back();
    entry.level = static_cast<int32_t>(level);
    entry.uuid = uuid;
    DS_ASSIGN_OR_RETURN(entry.range, ParseRange(item, where));
  }
  return entries;
}

Result<std::vector<HistoryEntry>> HistoryOf(const TableMetadata& metadata) {
  const auto found = metadata.properties.find(std::string(kHistoryProperty));
  if (found == metadata.properties.end()) return std::vector<HistoryEntry>();
  return ParseHistory(found->second, fmt::format("{}: table property {}", metadata.location, kHistoryProperty));
}

}  // namespace datashard::iceberg
