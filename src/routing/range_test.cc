#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/random.h"
#include "routing/router.h"
#include "routing/utf8.h"
#include "support/matchers.h"

namespace datashard::routing {
namespace {

using Boundaries = std::vector<RangeBoundary>;

uint64_t Below(Random& random, uint64_t count) { return random.Next() % count; }

/// The two routers of a range: among its boundaries, and by the expression that other readers have.
struct Both {
  std::shared_ptr<const Router> boundaries, expression;
};
Both RoutersOf(const Boundaries& boundaries) {
  auto spec = RangeSpec(boundaries);
  EXPECT_THAT(spec, IsOk());
  const auto num_dbs = static_cast<int32_t>(boundaries.size()) + 1;
  auto by_boundaries = MakeRouter(*spec, num_dbs, boundaries);
  auto by_expression = MakeRouter(*spec, num_dbs);
  EXPECT_THAT(by_boundaries, IsOk());
  EXPECT_THAT(by_expression, IsOk());
  return {*by_boundaries, *by_expression};
}

void ExpectShard(const Both& routers, const KeyView& key, int64_t shard) {
  for (const auto& router : {routers.boundaries, routers.expression}) {
    ASSERT_OK_AND_ASSIGN(const auto found, router->Route(key));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(*found, shard) << ToString(key);
  }
}

TEST(Range, CountsTheBoundariesThatAreNotAboveTheKey) {
  const Both routers = RoutersOf({int64_t{10}, int64_t{20}});
  EXPECT_EQ(routers.boundaries->num_dbs(), 3);
  EXPECT_FALSE(routers.expression->needs_context());
  for (const auto& [key, shard] : std::vector<std::pair<int64_t, int>>{{INT64_MIN, 0}, {9, 0}, {10, 1}, {19, 1}, {20, 2}, {INT64_MAX, 2}}) {
    ExpectShard(routers, KeyView::Int(key), shard);
  }
}

TEST(Range, IsPublishedAsATreeOfComparisons) {
  ASSERT_OK_AND_ASSIGN(ShardingSpec spec, RangeSpec({int64_t{-10}, int64_t{0}, int64_t{20}}));
  EXPECT_EQ(spec.cel_expr, "(key<0?(key<-10?0:1):(key<20?2:3))");
  EXPECT_EQ(spec.cel_columns, (std::vector<std::pair<std::string, CelType>>{{"key", CelType::kInt}}));
  EXPECT_EQ(spec.strategy, ShardingStrategy::kCel);
  EXPECT_FALSE(spec.routing_values.has_value());
  ASSERT_OK_AND_ASSIGN(spec, RangeSpec({"a\"\\", "b\n\u00e9"}));
  EXPECT_EQ(spec.cel_expr, "(key<\"b\\x0a\u00e9\"?(key<\"a\\\"\\\\\"?0:1):2)");
  EXPECT_EQ(spec.cel_columns->at(0).second, CelType::kString);
}

TEST(Range, TakesBoundariesOfDoublesWithoutRounding) {
  ASSERT_OK_AND_ASSIGN(const ShardingSpec spec, RangeSpec({-0.5, 2.5, 9007199254740994.0, 1e300}));
  EXPECT_EQ(spec.cel_expr, "(key<9007199254740994?(key<3?(key<0?0:1):2):(true?3:4))");
  const Both routers = RoutersOf({-0.5, 2.5, 9007199254740994.0, 1e300});
  for (const auto& [key, shard] : std::vector<std::pair<int64_t, int>>{
           {-1, 0}, {0, 1}, {2, 1}, {3, 2}, {9007199254740993, 2}, {9007199254740994, 3}, {INT64_MAX, 3}}) {
    ExpectShard(routers, KeyView::Int(key), shard);
  }
}

TEST(Range, OrdersTextByCodePointsAndTakesItsBytesToo) {
  const Both routers = RoutersOf({"b", "\uffee", "\U0001F600"});
  ExpectShard(routers, KeyView::Text(""), 0);
  ExpectShard(routers, KeyView::Text("b"), 1);
  ExpectShard(routers, KeyView::Bytes("bb"), 1);
  ExpectShard(routers, KeyView::Text("\uffef"), 2);
  ExpectShard(routers, KeyView::Text("\U0001F601"), 3);
  EXPECT_THAT(routers.expression->Route(KeyView::Bytes("\xff")), HasMessage("column \"key\" of the sharding expression takes string"));
  EXPECT_EQ(*routers.boundaries->Route(KeyView::Bytes("\xff")), 3);
}

TEST(Range, RefusesKeysOfAnotherKind) {
  const Both numbers = RoutersOf({int64_t{0}});
  const Both texts = RoutersOf({"m"});
  for (const auto& router : {numbers.boundaries, numbers.expression}) {
    EXPECT_THAT(router->Route(KeyView::Text("1")), HasKind(ErrorKind::kInvalidArgument));
    EXPECT_THAT(router->Route(KeyView::Unsigned(UINT64_MAX)), HasKind(ErrorKind::kInvalidArgument));
  }
  for (const auto& router : {texts.boundaries, texts.expression}) EXPECT_THAT(router->Route(KeyView::Int(1)), HasKind(ErrorKind::kInvalidArgument));
}

TEST(Range, RoutesAContextOfOneKey) {
  for (const auto& router : {RoutersOf({int64_t{5}}).boundaries, RoutersOf({int64_t{5}}).expression}) {
    const CelValue key = int64_t{7};
    EXPECT_EQ(**router->RouteContext({&key, 1}), 1);
    EXPECT_THAT(router->RouteContext({}), HasKind(ErrorKind::kInvalidArgument));
    const CelValue text = CelText{"x"};
    EXPECT_THAT(router->RouteContext({&text, 1}), HasKind(ErrorKind::kInvalidArgument));
  }
}

TEST(Range, WithoutBoundariesHasOneShardForAnyKey) {
  const Both routers = RoutersOf({});
  for (const KeyView key : {KeyView::Int(-1), KeyView::Text("x"), KeyView::Bytes("\xff"), KeyView::Unsigned(UINT64_MAX)}) ExpectShard(routers, key, 0);
}

TEST(Range, RefusesBoundariesThatDoNotAscendOrMix) {
  EXPECT_THAT(RangeSpec({int64_t{1}, int64_t{1}}), HasMessage("range boundaries 0 (1) and 1 (1) do not ascend"));
  EXPECT_THAT(RangeSpec({"b", "a"}), HasMessage("do not ascend"));
  EXPECT_THAT(RangeSpec({int64_t{1}, 2.0}), HasMessage("have different types"));
  EXPECT_THAT(RangeSpec({std::nan("")}), HasMessage("range boundary 0 is nan"));
  EXPECT_THAT(RangeSpec({0.0, std::numeric_limits<double>::infinity()}), HasMessage("finite"));
  EXPECT_THAT(RangeSpec({"\xff"}), HasMessage("not UTF-8"));
  Boundaries many;
  for (int64_t i = 0; i < 4096; ++i) many.push_back(i);
  EXPECT_THAT(RangeSpec(many), HasMessage("at most 4095"));
  ASSERT_OK_AND_ASSIGN(const ShardingSpec spec, RangeSpec({int64_t{1}}));
  EXPECT_THAT(MakeRouter(spec, 3, Boundaries{int64_t{1}}), HasMessage("1 range boundaries make 2 shards; the snapshot has 3"));
}

TEST(Range, FollowsTheExpressionWhereBoundariesSayOtherwise) {
  ASSERT_OK_AND_ASSIGN(const ShardingSpec spec, RangeSpec({int64_t{10}}));
  ASSERT_OK_AND_ASSIGN(const auto router, MakeRouter(spec, 2, Boundaries{int64_t{20}}));
  EXPECT_EQ(*router->Route(KeyView::Int(15)), 1);
}

TEST(Range, CompilesTheLargestTree) {
  Boundaries boundaries;
  for (int64_t i = 0; i < 4095; ++i) boundaries.push_back(i * 1'000'000'000'000'000 - INT64_MAX / 4);
  const Both routers = RoutersOf(boundaries);
  for (int64_t i = 0; i < 4095; ++i) ExpectShard(routers, KeyView::Int(std::get<int64_t>(boundaries[i])), i + 1);
}

TEST(Range, OfRandomBoundariesRoutesLikeACount) {
  const auto seeded = SeededRandom(20);
  Random& random = *seeded;
  for (int round = 0; round < 200; ++round) {
    const int bits = static_cast<int>(Below(random, 62)) + 1;
    std::set<int64_t> chosen;
    for (uint64_t i = 0; i < 1 + Below(random, 64); ++i) chosen.insert(static_cast<int64_t>(random.Next() >> (63 - bits)) - (int64_t{1} << (bits - 1)));
    Boundaries boundaries(chosen.begin(), chosen.end());
    const bool as_doubles = round % 2 == 1;
    if (as_doubles) {
      std::set<double> reals;
      for (const int64_t number : chosen) reals.insert(static_cast<double>(number) + 0.25 * static_cast<double>(Below(random, 4)));
      boundaries.assign(reals.begin(), reals.end());
    }
    const Both routers = RoutersOf(boundaries);
    for (int i = 0; i < 50; ++i) {
      const auto at = std::next(chosen.begin(), static_cast<int64_t>(Below(random, chosen.size())));
      const int64_t key = *at + static_cast<int64_t>(Below(random, 5)) - 2;
      const auto not_above = std::ranges::count_if(boundaries, [key](const RangeBoundary& boundary) {
        const auto* number = std::get_if<int64_t>(&boundary);
        return number != nullptr ? *number <= key : static_cast<long double>(std::get<double>(boundary)) <= static_cast<long double>(key);
      });
      ExpectShard(routers, KeyView::Int(key), not_above);
    }
  }
}

TEST(Range, OfRandomTextRoutesLikeACount) {
  const auto seeded = SeededRandom(21);
  Random& random = *seeded;
  const auto text = [&random] {
    Bytes made;
    for (uint64_t size = Below(random, 4); size > 0; --size) {
      constexpr uint32_t kAlphabet[] = {0, '"', '\\', '\n', 'a', 'b', 0x7F, 0xE9, 0xD7FF, 0xE000, 0xFFFD, 0x1F600, 0x10FFFF};
      AppendUtf8(kAlphabet[Below(random, std::size(kAlphabet))], made);
    }
    return made;
  };
  for (int round = 0; round < 100; ++round) {
    std::set<std::string> chosen;
    for (uint64_t i = 0; i < 1 + Below(random, 40); ++i) chosen.insert(text());
    const Both routers = RoutersOf(Boundaries(chosen.begin(), chosen.end()));
    for (int i = 0; i < 50; ++i) {
      const std::string key = text();
      ExpectShard(routers, KeyView::Text(key), std::ranges::count_if(chosen, [&key](const std::string& boundary) { return boundary <= key; }));
    }
  }
}

}  // namespace
}  // namespace datashard::routing
