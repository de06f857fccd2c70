#include "sqlite/page_size.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "sqlite/format.h"

namespace datashard::sqlite {
namespace {

// Smaller pages are never advised: they make trees deep and files larger.
constexpr std::array<int32_t, 5> kPageSizes = {4096, 8192, 16'384, 32'768, 65'536};
constexpr int64_t kCellOverheadBytes = 12;

}  // namespace

Result<int32_t> InlinePayloadThreshold(int32_t page_size) {
  if (std::find(kPageSizes.begin(), kPageSizes.end(), page_size) == kPageSizes.end()) {
    return InvalidArgument("a page size of {}; 4096, 8192, 16384, 32768 or 65536 is needed", page_size);
  }
  return static_cast<int32_t>(LocalRule::OfIndex(static_cast<uint32_t>(page_size)).local_max);
}

Result<int32_t> RecommendPageSize(CellShape shape) {
  if (shape.payload_bytes < 0 || shape.max_key_bytes < 0) {
    return InvalidArgument("values of {} and keys of {} bytes; sizes are 0 or more", shape.payload_bytes, shape.max_key_bytes);
  }
  for (const int32_t page_size : kPageSizes) {
    DS_ASSIGN_OR_RETURN(const int64_t threshold, InlinePayloadThreshold(page_size));
    // In this order nothing overflows, however large the sizes are.
    const int64_t room = threshold - kCellOverheadBytes;
    if (shape.payload_bytes <= room && shape.max_key_bytes <= room - shape.payload_bytes) return page_size;
  }
  return kPageSizes.back();
}

Result<int32_t> RecommendPageSizeForCells(std::span<const CellShape> shapes) {
  if (shapes.empty()) return InvalidArgument("a page size for no rows at all; give at least one shape of them");
  int32_t recommended = 0;
  for (const CellShape& shape : shapes) {
    DS_ASSIGN_OR_RETURN(const int32_t page_size, RecommendPageSize(shape));
    recommended = std::max(recommended, page_size);
  }
  return recommended;
}

}  // namespace datashard::sqlite
