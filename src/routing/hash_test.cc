#include <gtest/gtest.h>

#include "routing/router.h"
#include "support/matchers.h"

namespace datashard::routing {
namespace {

using namespace std::string_view_literals;

// docs/formats/sharded_keys.md, "Vectors".
TEST(HashOf, GivesThePublishedVectors) {
  const std::vector<std::pair<KeyView, uint64_t>> vectors = {
      {KeyView::Int(0), 14374147212387527897u}, {KeyView::Int(1), 3439722301264460078u}, {KeyView::Int(-1), 5841669975847748627u},
      {KeyView::Int(42), 15395265915043915720u}, {KeyView::Int(INT64_MAX), 11687913294787043142u}, {KeyView::Int(INT64_MIN), 9407778237848358495u},
      {KeyView::Text(""), 3244421341483603138u}, {KeyView::Bytes(""), 3244421341483603138u}, {KeyView::Text("a"), 16629034431890738719u},
      {KeyView::Bytes("a"), 16629034431890738719u}, {KeyView::Text("h\u00e9llo"), 7657728615535385375u},
      {KeyView::Bytes("\x00\xff"sv), 12221366661834116083u},
  };
  for (const auto& [key, digest] : vectors) {
    ASSERT_OK_AND_ASSIGN(const uint64_t hash, HashOf(key));
    EXPECT_EQ(hash, digest) << ToString(key);
  }
}

TEST(HashOf, RefusesIntegersAboveInt64) {
  const auto hash = HashOf(KeyView::Unsigned(uint64_t{1} << 63));
  EXPECT_THAT(hash, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(hash, HasMessage("key 9223372036854775808: hash sharding takes integers of int64"));
}

TEST(HashRouter, TakesTheDigestModuloTheNumberOfShards) {
  ASSERT_OK_AND_ASSIGN(const auto router, MakeRouter({}, 7));
  EXPECT_EQ(router->num_dbs(), 7);
  EXPECT_FALSE(router->needs_context());
  for (int64_t key = -1000; key < 1000; ++key) {
    ASSERT_OK_AND_ASSIGN(const auto shard, router->Route(KeyView::Int(key)));
    EXPECT_EQ(*shard, static_cast<int32_t>(*HashOf(KeyView::Int(key)) % 7));
  }
  EXPECT_THAT(router->RouteContext({}), HasMessage("without a routing context"));
  EXPECT_THAT(router->Route(KeyView::Unsigned(UINT64_MAX)), HasKind(ErrorKind::kInvalidArgument));
}

TEST(HashRouter, PutsTextAndItsBytesIntoOneShard) {
  ASSERT_OK_AND_ASSIGN(const auto router, MakeRouter({}, 1000));
  EXPECT_EQ(*router->Route(KeyView::Text("abc")), *router->Route(KeyView::Bytes("abc")));
}

TEST(MakeRouter, RefusesRulesThatContradictThemselves) {
  EXPECT_THAT(MakeRouter({}, 0), HasMessage("0 shards"));
  ShardingSpec spec;
  spec.cel_expr = "0";
  EXPECT_THAT(MakeRouter(spec, 1), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(MakeRouter({}, 1, std::vector<RangeBoundary>()), HasMessage("range boundaries"));
  spec = {};
  spec.strategy = ShardingStrategy::kCel;
  EXPECT_THAT(MakeRouter(spec, 1), HasMessage("needs cel_expr and cel_columns"));
}

}  // namespace
}  // namespace datashard::routing
