#include "sqlite/page_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "support/matchers.h"

namespace datashard::sqlite {
namespace {

int32_t Recommended(CellShape shape) {
  const Result<int32_t> page_size = RecommendPageSize(shape);
  EXPECT_THAT(page_size, IsOk());
  return page_size.ok() ? *page_size : 0;
}

TEST(SqlitePageSize, ThresholdsAreThoseOfTheFormat) {
  const std::vector<std::pair<int32_t, int32_t>> expected = {{4096, 1002}, {8192, 2030}, {16'384, 4086}, {32'768, 8198}, {65'536, 16'422}};
  for (const auto& [page_size, threshold] : expected) {
    ASSERT_OK_AND_ASSIGN(const int32_t found, InlinePayloadThreshold(page_size));
    EXPECT_EQ(found, threshold);
  }
  for (const int32_t page_size : {0, 512, 2048, 5000, 131'072}) EXPECT_THAT(InlinePayloadThreshold(page_size), HasKind(ErrorKind::kInvalidArgument));
}

TEST(SqlitePageSize, RecommendsTheSmallestThatFits) {
  EXPECT_EQ(Recommended({.payload_bytes = 0}), 4096);
  EXPECT_EQ(Recommended({.payload_bytes = 926}), 4096);  // 926 + 64 + 12 = 1,002
  EXPECT_EQ(Recommended({.payload_bytes = 927}), 8192);
  EXPECT_EQ(Recommended({.payload_bytes = 982, .max_key_bytes = 8}), 4096);
  EXPECT_EQ(Recommended({.payload_bytes = 983, .max_key_bytes = 8}), 8192);
  EXPECT_EQ(Recommended({.payload_bytes = 16'346}), 65'536);
  EXPECT_EQ(Recommended({.payload_bytes = 1 << 30}), 65'536);
  EXPECT_EQ(Recommended({.payload_bytes = INT64_MAX, .max_key_bytes = INT64_MAX}), 65'536);
  EXPECT_THAT(RecommendPageSize({.payload_bytes = -1}), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(RecommendPageSize({.max_key_bytes = -1}), HasKind(ErrorKind::kInvalidArgument));
}

TEST(SqlitePageSize, OfSeveralShapesTheLargestCounts) {
  const std::vector<CellShape> shapes = {{.payload_bytes = 100}, {.payload_bytes = 3'000}, {.payload_bytes = 1'000}};
  ASSERT_OK_AND_ASSIGN(const int32_t page_size, RecommendPageSizeForCells(shapes));
  EXPECT_EQ(page_size, 16'384);
  EXPECT_THAT(RecommendPageSizeForCells({}), HasKind(ErrorKind::kInvalidArgument));
}

}  // namespace
}  // namespace datashard::sqlite
