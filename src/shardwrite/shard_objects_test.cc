#include <gtest/gtest.h>

#include "datashard/shard_objects.h"
#include "support/matchers.h"

namespace datashard {
namespace {

using Pairs = std::vector<std::pair<std::string_view, std::string_view>>;

TEST(ShardObjects, TheLastObjectMakesTheDatabaseReadable) {
  const Pairs pairs = {{"a", "1"}, {"b", "2"}};
  const auto slatedb = BuildShardObjects({}, pairs);
  ASSERT_THAT(slatedb, IsOk());
  ASSERT_EQ(slatedb->size(), 2u);
  EXPECT_EQ(slatedb->back().name, "manifest/00000000000000000001.manifest");

  const auto sqlite = BuildShardObjects({.format = ShardFormat::kSqlite, .sqlite_page_size = 0}, pairs);
  ASSERT_THAT(sqlite, IsOk());
  EXPECT_EQ(sqlite->back().name, "shard.db");
  EXPECT_EQ(sqlite->back().bytes.substr(0, 15), "SQLite format 3");
}

TEST(ShardObjects, KeysAscend) {
  EXPECT_THAT(BuildShardObjects({}, Pairs{{"b", ""}, {"a", ""}}), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(BuildShardObjects({.slatedb_compression = "rar"}, Pairs{{"a", ""}}), HasKind(ErrorKind::kInvalidArgument));
}

}  // namespace
}  // namespace datashard
