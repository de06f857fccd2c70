#include "data/fetch_plan.h"

#include <algorithm>

namespace datashard::data {
namespace {

constexpr int64_t kWholeBytesAlways = 256 << 10;
constexpr int64_t kWholeBytesMax = 4 << 20;

int64_t EndOf(const ByteRange& range) { return range.offset_bytes + range.size_bytes; }

/// All of it where the manifest does not say.
int64_t WantedBytes(const DataFile& file, const std::vector<Field>& fields) {
  int64_t wanted = 0;
  for (const Field& field : fields) {
    const auto size = file.column_sizes.find(field.id);
    if (size != file.column_sizes.end()) wanted += std::clamp<int64_t>(size->second, 0, kWholeBytesMax);
  }
  return file.column_sizes.empty() ? file.file_size_in_bytes : wanted;
}

}  // namespace

bool IsReadWhole(const DataFile& file, const std::vector<Field>& fields, const Filter& filter) {
  if (file.file_size_in_bytes <= kWholeBytesAlways) return true;
  // The footer of a file of several row groups may say that some of them cannot match.
  const bool may_skip = !filter.all_of.empty() && file.split_offsets.size() != 1;
  return file.file_size_in_bytes <= kWholeBytesMax && !may_skip && WantedBytes(file, fields) >= file.file_size_in_bytes / 2;
}

std::vector<ByteRange> Coalesced(std::vector<ByteRange> wanted, const CoalesceLimits& limits) {
  std::erase_if(wanted, [](const ByteRange& range) { return range.size_bytes == 0; });
  std::sort(wanted.begin(), wanted.end(), [](const ByteRange& a, const ByteRange& b) { return a.offset_bytes < b.offset_bytes; });
  std::vector<ByteRange> joined;
  for (const ByteRange& range : wanted) {
    if (!joined.empty() && range.offset_bytes - EndOf(joined.back()) <= limits.gap_bytes_max) {
      ByteRange& last = joined.back();
      last.size_bytes = std::max(EndOf(last), EndOf(range)) - last.offset_bytes;
    } else {
      joined.push_back(range);
    }
  }
  std::vector<ByteRange> cut;
  for (const ByteRange& range : joined) {
    const int64_t pieces = (range.size_bytes + limits.range_bytes_max - 1) / limits.range_bytes_max;
    const int64_t piece_bytes = (range.size_bytes + pieces - 1) / pieces;
    for (int64_t offset = range.offset_bytes; offset < EndOf(range); offset += piece_bytes)
      cut.push_back({.offset_bytes = offset, .size_bytes = std::min(piece_bytes, EndOf(range) - offset)});
  }
  return cut;
}

}  // namespace datashard::data
