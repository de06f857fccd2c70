#include "shardread/stored_boundaries.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "routing/router.h"

namespace datashard::shardread {
namespace {

// A boundary is right if exactly the keys that are not below it are stored at it or behind it.
void ExpectSplits(const RangeBoundary& boundary, KeyEncoding encoding, const std::vector<uint64_t>& keys, const std::function<bool(uint64_t)>& is_behind) {
  const auto stored = StoredBoundaries({boundary}, encoding);
  ASSERT_TRUE(stored);
  for (const uint64_t key : keys) {
    const routing::EncodedKey bytes = routing::EncodedKey::BigEndian(key, encoding == KeyEncoding::kU64Be ? 8 : 4);
    EXPECT_EQ(bytes.bytes() >= stored->front(), is_behind(key)) << key;
  }
}

const std::vector<uint64_t> kKeys64{0, 1, 2, 3, 255, 256, uint64_t{1} << 53, INT64_MAX, uint64_t{INT64_MAX} + 1, UINT64_MAX};
const std::vector<uint64_t> kKeys32{0, 1, 2, 3, 255, 256, INT32_MAX, UINT32_MAX - 1, UINT32_MAX};

TEST(StoredBoundaries, IntegersSplitStoredKeysWhereTheySplitKeys) {
  for (const int64_t boundary : {INT64_MIN, int64_t{-1}, int64_t{0}, int64_t{1}, int64_t{3}, int64_t{256}, int64_t{UINT32_MAX}, int64_t{UINT32_MAX} + 1, INT64_MAX}) {
    const auto is_behind = [&](uint64_t key) { return boundary < 0 || key >= static_cast<uint64_t>(boundary); };
    ExpectSplits(boundary, KeyEncoding::kU64Be, kKeys64, is_behind);
    ExpectSplits(boundary, KeyEncoding::kU32Be, kKeys32, is_behind);
  }
}

TEST(StoredBoundaries, DoublesSplitWholeNumbers) {
  for (const double boundary : {-HUGE_VAL, -0.5, 0.0, 0.5, 2.0, 2.5, 255.5, 4294967295.0, 4294967295.5, 9007199254740992.0, 1e30, HUGE_VAL}) {
    const auto is_behind = [&](uint64_t key) { return static_cast<long double>(key) >= static_cast<long double>(boundary); };
    ExpectSplits(boundary, KeyEncoding::kU64Be, kKeys64, is_behind);
    ExpectSplits(boundary, KeyEncoding::kU32Be, kKeys32, is_behind);
  }
}

TEST(StoredBoundaries, TextIsStoredAsItIsAndNothingElseAscends) {
  EXPECT_EQ(StoredBoundaries({"b", "d"}, KeyEncoding::kUtf8), (std::vector<std::string>{"b", "d"}));
  EXPECT_EQ(StoredBoundaries({"b"}, KeyEncoding::kU64Be), std::nullopt);
  EXPECT_EQ(StoredBoundaries({int64_t{5}}, KeyEncoding::kUtf8), std::nullopt);
  EXPECT_EQ(StoredBoundaries({2.5}, KeyEncoding::kRaw), std::nullopt);
}

}  // namespace
}  // namespace datashard::shardread
