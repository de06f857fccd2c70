// Which page size keeps most rows of a shard within their pages. The same advice as shardyfusion.sqlite_page_size gives.
#pragma once

#include <cstdint>
#include <span>

#include "datashard/result.h"

namespace datashard::sqlite {

/// The rows of one table; sizes in bytes.
struct CellShape {
  int64_t payload_bytes = 0;  ///< of values; their 95th percentile, say
  int64_t max_key_bytes = 64;
};

/// The most bytes of key and value that a page holds without overflow. Errors: kInvalidArgument unless `page_size` is one of
/// 4,096, 8,192, 16,384, 32,768 and 65,536.
Result<int32_t> InlinePayloadThreshold(int32_t page_size);
/// The least of those page sizes whose threshold fits `shape` and 12 bytes more; the largest where none does.
/// Errors: kInvalidArgument for negative sizes.
Result<int32_t> RecommendPageSize(CellShape shape);
/// The greatest of what is recommended for each. Errors: kInvalidArgument for none at all.
Result<int32_t> RecommendPageSizeForCells(std::span<const CellShape> shapes);

}  // namespace datashard::sqlite
