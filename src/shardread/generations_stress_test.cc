// Readers that refresh while a publisher publishes and a cleaner removes what is old: none ever sees two generations in one call,
// a value of neither, or a hole.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <thread>

#include "shardread/reader_test_support.h"

namespace datashard::shardread {
namespace {

constexpr int64_t kKeys = 24;

// Few pairs and many generations: what is tested is the change from one to the next.
void PublishAndClean(LocalSnapshot& snapshot, const TestSnapshots::Options& options, int first, int last) {
  constexpr int kKept = 3;
  for (int number = first; number <= last; ++number) {
    snapshot.snapshots.Publish(snapshot.manifests, std::to_string(number), Numbered(kKeys, std::to_string(number)), options);
    if (number > kKept) std::filesystem::remove_all(snapshot.directory.path() + "/shards/run_id=" + std::to_string(number - kKept));
  }
}

// "17:5" is of generation 17, and the key is 5.
int GenerationOf(std::string_view value, int64_t key) {
  const size_t colon = value.find(':');
  EXPECT_EQ(value.substr(colon + 1), std::to_string(key));
  return std::atoi(std::string(value.substr(0, colon)).c_str());
}

struct Seen {
  int lookups = 0;
  int newest = 0;
};

void ReadUntil(ShardedReader& reader, const std::atomic<bool>& stop, bool refreshes, Seen& seen) {
  std::vector<KeyView> keys;
  for (int64_t i = 0; i < kKeys; ++i) keys.push_back(KeyView::Int(i));
  while (!stop) {
    if (refreshes) {
      ASSERT_THAT(reader.Refresh(), IsOk());
    }
    // A look at the pointer may come just before a generation, and the cleaner three generations later: then the shards of both are gone.
    const auto values = reader.MultiGet(keys);
    if (!values.ok()) {
      ASSERT_THAT(values, HasKind(ErrorKind::kNotFound));
      continue;
    }
    std::set<int> generations;
    for (int64_t i = 0; i < kKeys; ++i) {
      ASSERT_TRUE((*values)[static_cast<size_t>(i)]) << "a hole at " << i;
      generations.insert(GenerationOf((*values)[static_cast<size_t>(i)]->bytes(), i));
    }
    ASSERT_EQ(generations.size(), 1u);
    ASSERT_GE(*generations.begin(), seen.newest) << "time does not run backwards";
    seen.newest = *generations.begin();
    const auto sink = [&](std::string_view value) { seen.newest = std::max(seen.newest, GenerationOf(value, 3)); };
    const auto one = reader.Visit(keys[3], LookupReach::kAnywhere, sink);
    if (one.ok()) {
      ASSERT_EQ(*one, LookupOutcome::kFound);
    }
    const auto scan = reader.Scan("", std::nullopt);
    if (scan.ok()) {
      std::set<int> scanned;
      int64_t at = 0;
      for (; (*scan)->Next().value(); ++at) scanned.insert(GenerationOf((*scan)->value(), at));
      ASSERT_EQ(at, kKeys);
      ASSERT_EQ(scanned.size(), 1u);
    }
    ++seen.lookups;
  }
}

TEST(Generations, NoReaderEverSeesAMixedOrAMissingOne) {
  for (const auto& [format, generations] : {std::pair(ShardFormat::kSqlite, 1'000), std::pair(ShardFormat::kSlateDb, 200)}) {
    LocalSnapshot snapshot;
    const TestSnapshots::Options options{.format = format, .num_dbs = 2};
    PublishAndClean(snapshot, options, 1, 1);
    ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open({.max_workers = 2}));
    std::atomic<bool> stop = false;
    Seen seen[3];
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back([&, i] { ReadUntil(*reader, stop, /*refreshes=*/i == 0, seen[i]); });
    PublishAndClean(snapshot, options, 2, generations);
    stop = true;
    for (std::thread& thread : threads) thread.join();
    ASSERT_THAT(reader->Refresh(), IsOk());
    EXPECT_EQ(Looked(reader->Get(KeyView::Int(1))), std::to_string(generations) + ":1");
    for (const Seen& one : seen) EXPECT_GT(one.lookups, 0);
  }
}

}  // namespace
}  // namespace datashard::shardread
