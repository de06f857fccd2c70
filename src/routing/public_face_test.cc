#include <gtest/gtest.h>

#include "datashard/sharding_functions.h"
#include "support/matchers.h"

namespace datashard {
namespace {

TEST(ShardingFunctions, HashAndStoredKeysAreThoseOfTheFormat) {
  EXPECT_EQ(*RoutingHash(KeyView::Int(42)), 15395265915043915720u);
  EXPECT_THAT(RoutingHash(KeyView::Unsigned(uint64_t{1} << 63)), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_EQ(*StoredKey(KeyView::Int(1), KeyEncoding::kU32Be), std::string("\0\0\0\1", 4));
  EXPECT_THAT(StoredKey(KeyView::Bytes("abcd"), KeyEncoding::kU32Be), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_EQ(*StoredLookupKey(KeyView::Bytes("abcd"), KeyEncoding::kU32Be), "abcd");
}

TEST(ShardingFunctions, ARuleRoutesByKeyOrByColumns) {
  const auto hash = ShardRule::Make({}, 4);
  ASSERT_THAT(hash, IsOk());
  EXPECT_FALSE((*hash)->needs_context());
  EXPECT_EQ(**(*hash)->Route(KeyView::Int(42)), static_cast<int32_t>(15395265915043915720u % 4));

  ShardingSpec by_region{.strategy = ShardingStrategy::kCel};
  by_region.cel_expr = "region";
  by_region.cel_columns = {{"region", CelType::kString}};
  by_region.routing_values = {Key(KeyView::Text("eu")), Key(KeyView::Text("us"))};
  const auto cel = ShardRule::Make(by_region, 2);
  ASSERT_THAT(cel, IsOk());
  EXPECT_TRUE((*cel)->needs_context());
  const CelValue us = CelText{"us"};
  const CelValue mars = CelText{"mars"};
  EXPECT_EQ(**(*cel)->RouteContext({&us, 1}), 1);
  EXPECT_EQ(*(*cel)->RouteContext({&mars, 1}), std::nullopt);
}

TEST(ShardingFunctions, AnExpressionOwnsWhatItGives) {
  const auto joined = CelExpression::Compile("a + \":\" + a", {{"a", CelType::kString}});
  ASSERT_THAT(joined, IsOk());
  const CelValue x = CelText{"x"};
  EXPECT_EQ((*joined)->Evaluate({&x, 1})->bytes, "x:x");
  EXPECT_THAT(CelExpression::Compile("a.matches('x')", {{"a", CelType::kString}}), HasKind(ErrorKind::kUnsupported));
}

}  // namespace
}  // namespace datashard
