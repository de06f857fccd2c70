#include "shardwrite/pair_sorter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "base/random.h"
#include "shardwrite/sort_entries.h"
#include "sim/seed.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard::shardwrite {
namespace {

using Model = std::vector<std::map<Bytes, Bytes>>;
using Pairs = std::vector<std::pair<Bytes, Bytes>>;

Pairs ReadAll(PairSorter& sorter, int32_t partition) {
  Result<std::unique_ptr<kv::Cursor>> cursor = sorter.Read(partition);
  EXPECT_THAT(cursor, IsOk());
  Pairs pairs;
  for (;;) {
    const Result<bool> more = (*cursor)->Next();
    EXPECT_THAT(more, IsOk());
    if (!more.ok() || !*more) return pairs;
    pairs.emplace_back((*cursor)->key(), (*cursor)->value());
  }
}

void ExpectHolds(PairSorter& sorter, const Model& model) {
  ASSERT_LE(sorter.partition_count(), static_cast<int32_t>(model.size()));
  for (int32_t partition = 0; partition < sorter.partition_count(); ++partition) {
    const auto& expected = model[static_cast<size_t>(partition)];
    EXPECT_EQ(ReadAll(sorter, partition), Pairs(expected.begin(), expected.end())) << "partition " << partition;
  }
}

// Keys that share beginnings, end in zeros, repeat, and are of all lengths.
Bytes TrickyKey(Random& random) {
  static constexpr std::string_view kBeginnings[] = {"", "user:", "user:000000000000000000000000", std::string_view("\0\0\0\0\0\0\0\0\0", 9)};
  Bytes key(kBeginnings[random.Next() % std::size(kBeginnings)]);
  if (random.Next() % 20 == 0) key.append(300, 'x');
  for (uint64_t left = random.Next() % 12; left > 0; --left) key.push_back(static_cast<char>(random.Next() % 3 == 0 ? random.Next() % 256 : random.Next() % 2));
  return key;
}

TEST(PairSorter, HoldsWhatAMapHoldsWhateverItsBudget) {
  const uint64_t seed = sim::SeedFromEnvOrRandom();
  const TemporaryDirectory directory;
  for (const int64_t budget : {int64_t{64} << 20, int64_t{200'000}, int64_t{40'000}, int64_t{1}}) {
    const auto random = SeededRandom(seed);
    PairSorter sorter({.memory_bytes_max = budget, .spill_directory = directory.path(), .threads = 2});
    Model model(3);
    const int count = budget == 1 ? 300 : 12'000;
    for (int i = 0; i < count; ++i) {
      const auto partition = static_cast<int32_t>(random->Next() % model.size());
      const Bytes key = TrickyKey(*random);
      const Bytes value(random->Next() % 40, static_cast<char>('a' + i % 26));
      ASSERT_THAT(sorter.Add(partition, key, value), IsOk());
      model[static_cast<size_t>(partition)][key] = value;
    }
    ASSERT_THAT(sorter.Seal(), IsOk());
    EXPECT_EQ(sorter.pairs_added(), count);
    EXPECT_EQ(sorter.spill_count() > 0, budget < (1 << 20)) << budget;
    ExpectHolds(sorter, model);
    ExpectHolds(sorter, model);  // again, as a retry would
  }
}

TEST(PairSorter, TakesAPairLargerThanItsBudget) {
  const TemporaryDirectory directory;
  PairSorter sorter({.memory_bytes_max = 100'000, .spill_directory = directory.path(), .threads = 1});
  Model model(1);
  for (const char fill : {'a', 'b', 'c'}) {
    const Bytes large(3'000'000, fill);
    for (const Bytes& key : {Bytes(1, fill), Bytes("same")}) {
      ASSERT_THAT(sorter.Add(0, key, large), IsOk());
      ASSERT_THAT(sorter.Add(0, key + "small", "v"), IsOk());
      model[0][key] = large;
      model[0][key + "small"] = "v";
    }
  }
  ASSERT_THAT(sorter.Seal(), IsOk());
  EXPECT_GE(sorter.spill_count(), 5);
  ExpectHolds(sorter, model);
}

TEST(PairSorter, KeepsOnlyTheLastOfAMillionRepeats) {
  const TemporaryDirectory directory;
  for (const int64_t budget : {int64_t{256} << 20, int64_t{1} << 20}) {
    PairSorter sorter({.memory_bytes_max = budget, .spill_directory = directory.path(), .threads = 1});
    const Bytes key(100'000 % 999, 'k');
    for (int i = 0; i < 100'000; ++i) ASSERT_THAT(sorter.Add(0, key, std::to_string(i)), IsOk());
    ASSERT_THAT(sorter.Seal(), IsOk());
    EXPECT_EQ(ReadAll(sorter, 0), (Pairs{{key, "99999"}}));
  }
}

TEST(PairSorter, LeavesNothingInItsDirectoryAndNamesItWhenItIsOfNoUse) {
  const TemporaryDirectory directory;
  {
    PairSorter sorter({.memory_bytes_max = 1'000, .spill_directory = directory.path() + "/run", .threads = 1});
    for (int i = 0; i < 1'000; ++i) ASSERT_THAT(sorter.Add(i % 7, std::to_string(i), "value"), IsOk());
    EXPECT_GT(sorter.spill_count(), 10);
    EXPECT_TRUE(std::filesystem::is_empty(directory.path() + "/run"));
  }
  PairSorter nowhere({.memory_bytes_max = 1'000, .spill_directory = "/proc/nowhere", .threads = 1});
  Status added;
  for (int i = 0; i < 1'000 && added.ok(); ++i) added = nowhere.Add(0, std::to_string(i), "value");
  ASSERT_FALSE(added.ok());
  EXPECT_THAT(added, HasMessage("/proc/nowhere"));
}

TEST(PairSorter, HasOneFileOpenHoweverManyShardsAndSpillsThereAre) {
  const auto open_files = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator()); };
  const TemporaryDirectory directory;
  const auto before = open_files();
  PairSorter sorter({.memory_bytes_max = 20'000, .spill_directory = directory.path(), .threads = 1});
  Model model(100);
  for (int i = 0; i < 10'000; ++i) {
    const std::string key = std::to_string(i);
    ASSERT_THAT(sorter.Add(i % 100, key, "value"), IsOk());
    model[static_cast<size_t>(i % 100)][key] = "value";
  }
  ASSERT_THAT(sorter.Seal(), IsOk());
  EXPECT_GT(sorter.spill_count(), 10);
  ExpectHolds(sorter, model);
  EXPECT_EQ(open_files(), before + 1);
}

TEST(PairSorter, HasNoPairsWhereNoneWereAdded) {
  const TemporaryDirectory directory;
  PairSorter sorter({.memory_bytes_max = 1'000, .spill_directory = directory.path(), .threads = 1});
  ASSERT_THAT(sorter.Add(2, "", ""), IsOk());
  ASSERT_THAT(sorter.Seal(), IsOk());
  EXPECT_EQ(sorter.partition_count(), 3);
  EXPECT_TRUE(ReadAll(sorter, 0).empty());
  EXPECT_EQ(ReadAll(sorter, 2), (Pairs{{"", ""}}));
}

}  // namespace
}  // namespace datashard::shardwrite
