// What a write leaves behind when a call of the store fails, or the process dies in it, at every call there is.
// Invariants: the current generation is the old one or the new one, whole and readable; a write that answered ok is current; one that answered an
// error other than kCommitUnknown is not, and has left no shard and no manifest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "shardwrite/publish_run.h"
#include "shardwrite/write_test_support.h"
#include "sim/faulty_store.h"

namespace datashard::shardwrite {
namespace {

using sim::Effect;
using sim::FaultPlan;
using sim::FaultyStore;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Pairs PairsNamed(std::string_view name) {
  Pairs pairs;
  for (uint64_t key = 0; key < 40; ++key) pairs[Stored(key)] = fmt::format("{} {}", name, key);
  return pairs;
}

Result<BuildResult> Write(SimSnapshot& snapshot, ShardedWriteSettings settings, const std::string& name, ShardedWriteParts parts = {}) {
  settings.run_id = name;
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<ShardedWriter> writer, snapshot.Start(std::move(settings), std::move(parts)));
  for (uint64_t key = 0; key < 40; ++key) DS_RETURN_IF_ERROR(writer->Add(KeyView::Unsigned(key), fmt::format("{} {}", name, key)));
  return writer->Finish();
}

std::vector<std::string> KeysOfRun(ObjectStore& store, std::string_view run) {
  std::vector<std::string> keys;
  for (std::string& key : KeysBelow(store, "")) {
    if (key.find(run) != std::string::npos && !key.starts_with("runs/")) keys.push_back(std::move(key));
  }
  return keys;
}

class WriteFaults : public ::testing::TestWithParam<ShardFormat> {
 protected:
  ShardedWriteSettings Settings(const SimSnapshot& snapshot) const {
    ShardedWriteSettings settings = snapshot.Settings(2);
    settings.format.format = GetParam();
    settings.format.sqlite_sidecar = true;
    return settings;
  }
  // The old generation on a store that never fails.
  void WriteOld() {
    base_ = OpenMemoryStore("snapshot", clock_);
    healthy_ = std::make_unique<SimSnapshot>(base_);
    ASSERT_THAT(Write(*healthy_, Settings(*healthy_), "old"), IsOk());
  }
  std::string CurrentRun() {
    const auto read = ReadCurrent(*healthy_);
    EXPECT_THAT(read, IsOk());
    if (!read.ok() || !*read) return "none";
    const std::string run = (*read)->manifest.build.run_id;
    EXPECT_EQ((*read)->pairs, PairsNamed(run));
    return run;
  }

  sim::SimClock clock_;
  std::shared_ptr<ObjectStore> base_;
  std::unique_ptr<SimSnapshot> healthy_;
};

INSTANTIATE_TEST_SUITE_P(Formats, WriteFaults, ::testing::Values(ShardFormat::kSqlite, ShardFormat::kSlateDb),
                         [](const auto& each) { return each.param == ShardFormat::kSqlite ? "Sqlite" : "SlateDb"; });

TEST_P(WriteFaults, OneCallFailsAndTheWriterGoesOn) {
  for (const Effect effect : {Effect::kNotApplied, Effect::kApplied}) {
    int failed = 0;
    bool fired = true;
    for (int64_t call = 0; fired; ++call) {
      WriteOld();
      const auto faulty = std::make_shared<FaultyStore>(base_, FaultPlan{.crash_after_calls = call, .crash_effect = effect, .crash_persists = false});
      SimSnapshot snapshot(faulty, /*seed=*/2);
      const Result<BuildResult> result = Write(snapshot, Settings(snapshot), "new");
      fired = faulty->fired_count() > 0;
      const std::string current = CurrentRun();
      SCOPED_TRACE(fmt::format("call {} of {}: {}", call, faulty->call_count(), result.ok() ? "ok" : result.error().ToString()));
      if (result.ok()) {
        EXPECT_EQ(current, "new");
        continue;
      }
      ++failed;
      if (result.kind() == ErrorKind::kCommitUnknown) continue;
      EXPECT_EQ(current, "old");
      EXPECT_THAT(KeysOfRun(*base_, "new"), IsEmpty());
      EXPECT_TRUE(std::filesystem::is_empty(snapshot.local.path()));
    }
    EXPECT_GE(failed, 4);
  }
}

TEST_P(WriteFaults, TheProcessDies) {
  for (const Effect effect : {Effect::kNotApplied, Effect::kApplied}) {
    std::set<std::string> seen;
    bool crashed = true;
    for (int64_t call = 0; crashed; ++call) {
      WriteOld();
      const auto faulty = std::make_shared<FaultyStore>(base_, FaultPlan{.crash_after_calls = call, .crash_effect = effect});
      SimSnapshot snapshot(faulty, /*seed=*/2);
      const Result<BuildResult> result = Write(snapshot, Settings(snapshot), "new");
      crashed = faulty->crashed();
      SCOPED_TRACE(fmt::format("call {}: {}", call, result.ok() ? "ok" : result.error().ToString()));
      const std::string current = CurrentRun();
      seen.insert(current);
      EXPECT_TRUE(!result.ok() || current == "new");
    }
    EXPECT_THAT(seen, ElementsAre("new", "old"));
  }
}

TEST_P(WriteFaults, AShardIsTriedAgainInADirectoryOfItsOwn) {
  WriteOld();
  const auto faulty = std::make_shared<FaultyStore>(base_, FaultPlan{.faults = {{.op = sim::StoreOp::kGroupSync}, {.op = sim::StoreOp::kGroupSync, .occurrence = 1}}});
  SimSnapshot snapshot(faulty, /*seed=*/2);
  ShardedWriteSettings settings = Settings(snapshot);
  settings.shard_retry = ShardRetry{};
  std::vector<std::string> events;
  ShardedWriteParts parts;
  parts.events = [&](std::string_view event, auto, auto) { events.emplace_back(event); };
  const Result<BuildResult> result = Write(snapshot, settings, "new", std::move(parts));
  ASSERT_THAT(result, IsOk());
  EXPECT_TRUE(faulty->all_fired());
  EXPECT_EQ(CurrentRun(), "new");
  EXPECT_EQ(std::count(events.begin(), events.end(), "write.shard.retried"), 2);
  EXPECT_GE(snapshot.process.clock.slept(), std::chrono::seconds(2));
  std::set<int64_t> attempts;
  for (const ShardMeta& shard : result->winners) {
    attempts.insert(shard.attempt);
    EXPECT_TRUE(shard.db_url->ends_with(fmt::format("/attempt={:02d}", shard.attempt)));
    EXPECT_EQ(shard.writer_info.attempt, shard.attempt);
  }
  EXPECT_TRUE(attempts.contains(1) || attempts.contains(2));
  for (const std::string& key : KeysOfRun(*base_, "shards/run_id=new")) {
    const bool is_of_a_winner = std::any_of(result->winners.begin(), result->winners.end(), [&](const ShardMeta& shard) {
      return key.starts_with(*healthy_->place->KeyOf(*shard.db_url) + "/");
    });
    EXPECT_TRUE(is_of_a_winner) << key;
  }
}

TEST_P(WriteFaults, AShardThatNeverWorksEndsTheWriteAfterItsRetries) {
  WriteOld();
  FaultPlan plan;
  for (int64_t i = 0; i < 3; ++i) plan.faults.push_back({.op = sim::StoreOp::kGroupSync, .occurrence = i});
  const auto faulty = std::make_shared<FaultyStore>(base_, plan);
  SimSnapshot snapshot(faulty, /*seed=*/2);
  ShardedWriteSettings settings = Settings(snapshot);
  settings.shard_retry = ShardRetry{.max_retries = 2};
  const Result<BuildResult> result = Write(snapshot, settings, "new");
  EXPECT_THAT(result, HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(result, HasMessage("after 3 attempts"));
  EXPECT_TRUE(faulty->all_fired());
  EXPECT_EQ(CurrentRun(), "old");
  EXPECT_THAT(KeysOfRun(*base_, "new"), IsEmpty());
}

TEST_P(WriteFaults, AFullDiskLeavesNothing) {
  WriteOld();
  const auto faulty = std::make_shared<FaultyStore>(base_, FaultPlan{.disk_full_after_bytes = 3'000});
  SimSnapshot snapshot(faulty, /*seed=*/2);
  EXPECT_THAT(Write(snapshot, Settings(snapshot), "new"), HasKind(ErrorKind::kUnavailable));
  EXPECT_GT(faulty->fired_count(), 0);
  EXPECT_EQ(CurrentRun(), "old");
  EXPECT_THAT(KeysOfRun(*base_, "new"), IsEmpty());
}

TEST_P(WriteFaults, TwoWritersBothPublishAndTheCurrentOneIsWhole) {
  bool interleaved = true;
  for (int64_t call = 0; interleaved; ++call) {
    WriteOld();
    SimSnapshot other(base_, /*seed=*/3);
    int64_t calls = 0;
    interleaved = false;
    const auto faulty = std::make_shared<FaultyStore>(base_, FaultPlan{.before_call = [&] {
      if (calls++ != call) return;
      interleaved = true;
      EXPECT_THAT(Write(other, Settings(other), "other"), IsOk());
    }});
    SimSnapshot snapshot(faulty, /*seed=*/2);
    EXPECT_THAT(Write(snapshot, Settings(snapshot), "new"), IsOk()) << call;
    const std::string current = CurrentRun();
    EXPECT_TRUE(current == "new" || current == "other") << current;
    EXPECT_EQ(healthy_->Manifests()->ListManifests(10)->size(), interleaved ? 3u : 2u);
  }
}

TEST(SelectWinners, TakesTheLeastAttemptOfEachShard) {
  const auto attempt = [](int32_t db_id, int64_t number, std::optional<int64_t> task, std::optional<std::string> url) {
    ShardMeta meta;
    meta.db_id = db_id;
    meta.attempt = number;
    meta.writer_info.task_attempt_id = task;
    meta.db_url = std::move(url);
    return meta;
  };
  const auto winners = SelectWinners({attempt(1, 1, {}, "b1"), attempt(1, 0, {}, "b0"), attempt(0, 0, {}, "a9"), attempt(0, 0, 7, "a7"),
                                      attempt(0, 0, 3, "a3"), attempt(2, 0, 1, std::nullopt), attempt(0, 0, 3, "a3")},
                                     3);
  ASSERT_THAT(winners, IsOk());
  ASSERT_EQ(winners->shards.size(), 2u);
  EXPECT_EQ(*winners->shards[0].db_url, "a3");
  EXPECT_EQ(*winners->shards[1].db_url, "b0");
  EXPECT_THAT(winners->losing_urls, ElementsAre("a7", "a9", "b1"));
  const auto outside = SelectWinners({attempt(3, 0, {}, "x")}, 3);
  EXPECT_THAT(outside, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(outside, HasMessage("shard coverage: a result for shard 3"));
}

}  // namespace
}  // namespace datashard::shardwrite
