#include "kv/joined_read.h"

#include <vector>

#include "base/error.h"

namespace datashard::kv {
namespace {

// A request costs a store as much as some 64 KiB more of one that is under way anyway.
constexpr int64_t kGapBytesMax = int64_t{64} << 10;
constexpr int64_t kRequestBytesMax = int64_t{2} << 20;  // larger ones would leave connections without work
constexpr int64_t kRoundBytesMax = int64_t{32} << 20;   // what is held at once, beside what was taken

int64_t EndOf(const ByteRange& range) { return range.offset_bytes + range.size_bytes; }

// Ranges `first` to `behind` - 1 by one request.
struct Request {
  ByteRange all;
  size_t first = 0;
  size_t behind = 0;
};

Request Join(std::span<const ByteRange> ranges, size_t first) {
  Request request{ranges[first], first, first + 1};
  for (; request.behind < ranges.size(); ++request.behind) {
    const ByteRange& next = ranges[request.behind];
    const int64_t gap_bytes = next.offset_bytes - EndOf(request.all);
    const int64_t size_bytes = EndOf(next) - request.all.offset_bytes;
    if (gap_bytes < 0 || gap_bytes > kGapBytesMax || size_bytes > kRequestBytesMax) break;
    request.all.size_bytes = size_bytes;
  }
  return request;
}

}  // namespace

Status ReadJoined(const ShardFile& file, std::span<const ByteRange> ranges, const std::function<Status(size_t range, ByteView bytes)>& take) {
  for (size_t next = 0; next < ranges.size();) {
    std::vector<Request> requests;
    std::vector<ByteRange> asked;
    for (int64_t bytes = 0; next < ranges.size() && bytes < kRoundBytesMax; next = requests.back().behind) {
      requests.push_back(Join(ranges, next));
      asked.push_back(requests.back().all);
      bytes += asked.back().size_bytes;
    }
    const std::vector<Result<Bytes>> read = file.Read(asked);
    for (size_t i = 0; i < requests.size(); ++i) {
      if (!read[i].ok()) return read[i].error();
      const ByteView all = *read[i];
      if (static_cast<int64_t>(all.size()) != asked[i].size_bytes) {
        return Corruption("{}: {} of {} bytes at {} came; the object is cut off", file.uri(), all.size(), asked[i].size_bytes, asked[i].offset_bytes);
      }
      for (size_t range = requests[i].first; range < requests[i].behind; ++range) {
        const auto offset = static_cast<size_t>(ranges[range].offset_bytes - asked[i].offset_bytes);
        DS_RETURN_IF_ERROR(take(range, all.substr(offset, static_cast<size_t>(ranges[range].size_bytes))));
      }
    }
  }
  return {};
}

}  // namespace datashard::kv
