// Clean-up removes what nobody needs, and nothing else.
#include <gmock/gmock.h>

#include "base/error.h"
#include "generation/clean_up.h"
#include "generation/generation_test_support.h"
#include "generation/object_manifest_store.h"
#include "generation/object_run_registry.h"
#include "generation/remove_attempt.h"
#include "generation/shard_path.h"
#include "sim/faulty_store.h"
#include "sim/sim_clock.h"
#include "support/matchers.h"

namespace datashard::generation {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::ElementsAre;
using testing::IsEmpty;

class CleanUpTest : public testing::Test {
 protected:
  CleanUpTest() { EXPECT_THAT(Publish("r1"), IsOk()); }

  std::string AttemptKey(const std::string& run, int32_t db_id, int attempt) {
    return fmt::format("shards/run_id={}/db={:05}/attempt={:02}", run, db_id, attempt);
  }
  void Upload(const std::string& run, int32_t db_id, int attempt) {
    ASSERT_THAT(objects_->Replace(AttemptKey(run, db_id, attempt) + "/shard.db", "x"), IsOk());
  }
  /// Two shards, whose second attempt won.
  Status Publish(const std::string& run) {
    ShardedManifest manifest = SmallManifest(run);
    for (ShardMeta& shard : manifest.shards) {
      Upload(run, shard.db_id, 1);
      shard.db_url = "s3://b/p/" + AttemptKey(run, shard.db_id, 1);
    }
    return Publish(manifest);
  }
  Status Publish(const ShardedManifest& manifest) {
    DS_ASSIGN_OR_RETURN(const std::string ref, manifests_->Store(manifest));
    return manifests_->SetCurrent(ref);
  }
  void Register(const std::string& run, RunRecord::Status status, UtcTime lease) {
    ASSERT_OK_AND_ASSIGN(const auto registry, NewObjectRunRegistry(place_, "other-runs", outside_));
    ASSERT_THAT(registry->Create({.run_id = run, .writer_type = "python", .status = status, .started_at = clock_.Now(), .updated_at = clock_.Now(),
                                  .lease_expires_at = lease, .s3_prefix = "s3://b/p", .shard_prefix = "shards", .db_path_template = "db={db_id:05d}"}), IsOk());
  }
  Result<std::vector<CleanupAction>> Clean(const CleanupOptions& options) { return CleanUp(*place_, *manifests_, options, outside_); }
  static std::vector<std::string> KeysOf(ObjectStore& store) {
    std::vector<std::string> keys;
    const std::vector<ObjectInfo> objects = store.List("").value();
    for (const ObjectInfo& object : objects) keys.push_back(object.key);
    return keys;
  }
  /// Nothing but two generations, five hours old. \return the reference of the older one.
  std::string PublishOlderAndNewer() {
    EXPECT_THAT(memory_->DeleteMany(KeysOf(*memory_)), IsOk());
    EXPECT_THAT(Publish("older"), IsOk());
    const std::string ref = manifests_->LoadCurrent().value()->ref;
    clock_.Sleep(hours(5));
    EXPECT_THAT(Publish("newer"), IsOk());
    clock_.Sleep(hours(5));
    return ref;
  }
  Status Cleaned(SnapshotPlace& place, ManifestStore& manifests) {
    const auto actions = CleanUp(place, manifests, {.keep_last = 1}, outside_);
    return actions.ok() ? Status() : Status(actions.error());
  }
  /// Runs that still have shards.
  std::vector<std::string> Runs() {
    std::vector<std::string> runs;
    const std::vector<ObjectInfo> objects = objects_->List("shards/").value();
    for (const ObjectInfo& object : objects) {
      const std::string run = object.key.substr(14, object.key.find('/', 14) - 14);
      if (runs.empty() || runs.back() != run) runs.push_back(run);
    }
    return runs;
  }
  std::vector<std::string> Listed() {
    std::vector<std::string> runs;
    const std::vector<ManifestRef> refs = manifests_->ListManifests(100).value();
    for (const ManifestRef& ref : refs) runs.push_back(ref.run_id);
    return runs;
  }

  sim::SimClock clock_;
  std::unique_ptr<Random> random_ = SeededRandom(7);
  MetricSums metrics_;
  Outside outside_{clock_, *random_, metrics_, SilentLog()};
  std::shared_ptr<ObjectStore> memory_ = OpenMemoryStore("m", clock_);
  std::shared_ptr<sim::FaultyStore> objects_ = std::make_shared<sim::FaultyStore>(memory_);
  std::shared_ptr<SnapshotPlace> place_ = std::make_shared<SnapshotPlace>("s3://b/p", objects_);
  std::unique_ptr<ManifestStore> manifests_ = NewObjectManifestStore(place_, {}, outside_).value();
};

TEST_F(CleanUpTest, WithoutAGenerationThereIsNothingToKeep) {
  ASSERT_THAT(objects_->Delete("_CURRENT"), IsOk());
  EXPECT_THAT(Clean({}), HasKind(ErrorKind::kNotFound));
}

TEST_F(CleanUpTest, AttemptsOfTheCurrentRunThatLostGo) {
  Upload("r1", 0, 0);
  Upload("r1", 2, 0);
  Upload("r1", 2, 3);
  Upload("r1", 1, 0);  // of a shard without pairs in the end
  ASSERT_THAT(objects_->Replace("shards/run_id=r1/notes/attempt=00/x", "not a shard's"), IsOk());
  CleanupOptions options{.dry_run = true};
  ASSERT_OK_AND_ASSIGN(const auto planned, Clean(options));
  EXPECT_EQ(planned.size(), 4u);
  EXPECT_THAT(objects_->Head(AttemptKey("r1", 0, 0) + "/shard.db"), IsOk()) << "a dry run";
  ASSERT_OK_AND_ASSIGN(const auto actions, Clean({}));
  ASSERT_EQ(actions.size(), 4u);
  EXPECT_EQ(actions[0].prefix_url, "s3://b/p/shards/run_id=r1/db=00000/attempt=00");
  EXPECT_EQ(actions[0].db_id, 0);
  EXPECT_EQ(actions[0].kind, CleanupAction::Kind::kStaleAttempt);
  EXPECT_EQ(actions[0].objects_deleted, 1);
  EXPECT_EQ(objects_->List("shards/run_id=r1/").value().size(), 3u) << "two winners and what is not a shard's";
  EXPECT_THAT(Clean({}).value(), IsEmpty());
}

TEST_F(CleanUpTest, RunsWithoutAManifestGoOnceTheyAreOld) {
  Upload("dead", 0, 0);
  clock_.Sleep(minutes(59));
  EXPECT_THAT(Clean({.include_old_runs = true}).value(), IsEmpty()) << "younger than an hour";
  clock_.Sleep(minutes(2));
  EXPECT_THAT(Clean({}).value(), IsEmpty()) << "not asked for";
  ASSERT_OK_AND_ASSIGN(const auto actions, Clean({.include_old_runs = true}));
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(actions[0].kind, CleanupAction::Kind::kOldRun);
  EXPECT_EQ(actions[0].prefix_url, "s3://b/p/shards/run_id=dead");
  EXPECT_EQ(actions[0].run_id, "dead");
  EXPECT_THAT(Runs(), ElementsAre("r1"));
}

TEST_F(CleanUpTest, ARunIsLeftAloneWhileItsRecordSaysItLives) {
  for (const char* const run : {"damaged", "ended", "expired", "live"}) Upload(run, 0, 0);
  Register("live", RunRecord::Status::kRunning, clock_.Now() + hours(3));
  Register("expired", RunRecord::Status::kRunning, clock_.Now() + minutes(10));
  Register("ended", RunRecord::Status::kFailed, clock_.Now() + hours(3));
  ASSERT_THAT(objects_->Replace("runs/2030-01-01T00:00:00.000000Z_run_id=damaged_" + std::string(32, 'a') + "/run.yaml", "?"), IsOk());
  clock_.Sleep(hours(2));
  EXPECT_THAT(Clean({.include_old_runs = true, .keep_last = 0}), IsOk());
  EXPECT_THAT(Runs(), ElementsAre("damaged", "live", "r1"));
}

TEST_F(CleanUpTest, OldGenerationsGoWithTheirManifestsAsTheOptionsSay) {
  for (const char* const run : {"r2", "r3", "r4"}) {
    clock_.Sleep(hours(24));
    ASSERT_THAT(Publish(run), IsOk());
  }
  clock_.Sleep(hours(24));
  EXPECT_THAT(Clean({.include_old_runs = true}).value(), IsEmpty()) << "all were published";
  EXPECT_EQ(Clean({.dry_run = true, .older_than = hours(60)}).value().size(), 2u);
  EXPECT_EQ(Clean({.dry_run = true, .keep_last = 3}).value().size(), 1u);
  EXPECT_EQ(Clean({.dry_run = true, .older_than = hours(60), .keep_last = 3}).value().size(), 2u) << "kept is what both keep";
  ASSERT_THAT(Clean({.keep_last = 2}), IsOk());
  EXPECT_THAT(Runs(), ElementsAre("r3", "r4"));
  EXPECT_THAT(Listed(), ElementsAre("r4", "r3"));
  EXPECT_EQ(Clean({.keep_last = 0}).value().size(), 1u);
  EXPECT_THAT(Runs(), ElementsAre("r4")) << "what is current stays";
}

TEST_F(CleanUpTest, WhatACurrentManifestNamesOfAnotherRunStays) {
  ShardedManifest both = SmallManifest("r2");
  both.shards[0].db_url = "s3://b/p/" + AttemptKey("r1", 0, 1);
  clock_.Sleep(hours(5));
  ASSERT_THAT(Publish(both), IsOk());
  EXPECT_THAT(Clean({.keep_last = 1}).value(), IsEmpty());
  EXPECT_THAT(Runs(), ElementsAre("r1"));
}

TEST_F(CleanUpTest, ARollbackMeanwhileEndsIt) {
  clock_.Sleep(hours(5));
  ASSERT_THAT(Publish("r2"), IsOk());
  const std::string first = manifests_->ListManifests(10).value()[1].ref;
  const auto others = NewObjectManifestStore(std::make_shared<SnapshotPlace>("s3://b/p", memory_), {}, outside_).value();
  bool rolled_back = false;
  objects_->SetPlan({.before_call = [&] {
    if (rolled_back || objects_->calls().empty() || objects_->calls().back().op != sim::StoreOp::kList || !objects_->calls().back().key.empty()) return;
    rolled_back = true;
    ASSERT_THAT(others->SetCurrent(first), IsOk());
  }});
  EXPECT_THAT(Clean({.keep_last = 1}), HasKind(ErrorKind::kConflict));
  EXPECT_TRUE(rolled_back);
  EXPECT_THAT(Runs(), ElementsAre("r1", "r2"));
}

// One of the two runs before call after call of the other.
TEST_F(CleanUpTest, ARollbackAtAnyMomentLeadsToAWholeGenerationOrIsRefused) {
  for (const bool is_rollback_stopped : {false, true}) {
    bool fired = true;
    int ended = 0;
    int refused = 0;
    for (int64_t call = 0; fired; ++call) {
      const std::string ref = PublishOlderAndNewer();
      const auto others_place = std::make_shared<SnapshotPlace>("s3://b/p", memory_);
      const auto others = NewObjectManifestStore(others_place, {}, outside_).value();
      Status rolled_back = NotFound("never tried");
      Status cleaned;
      int64_t calls = 0;
      fired = false;
      objects_->SetPlan({.before_call = [&] {
        if (calls++ != call) return;
        fired = true;
        if (is_rollback_stopped) {
          cleaned = Cleaned(*others_place, *others);
        } else {
          rolled_back = others->SetCurrent(ref);
        }
      }});
      if (is_rollback_stopped) {
        rolled_back = manifests_->SetCurrent(ref);
      } else {
        cleaned = Cleaned(*place_, *manifests_);
      }
      objects_->SetPlan({});
      SCOPED_TRACE(fmt::format("before call {}: {}", call, rolled_back.ok() ? "rolled back" : rolled_back.error().ToString()));
      EXPECT_TRUE(cleaned.ok() || cleaned.kind() == ErrorKind::kConflict);
      EXPECT_TRUE(rolled_back.ok() || rolled_back.kind() == ErrorKind::kNotFound);
      ended += cleaned.ok() ? 0 : 1;
      refused += fired && !rolled_back.ok() ? 1 : 0;
      ASSERT_OK_AND_ASSIGN(const auto current, manifests_->LoadCurrent());
      EXPECT_EQ(current->run_id, rolled_back.ok() ? "older" : "newer");
      ASSERT_OK_AND_ASSIGN(const ShardedManifest manifest, manifests_->LoadManifest(current->ref));
      for (const ShardMeta& shard : manifest.shards) EXPECT_THAT(memory_->Head(*place_->KeyOf(*shard.db_url) + "/shard.db"), IsOk());
    }
    EXPECT_GE(refused, 3);
    EXPECT_TRUE(is_rollback_stopped || ended > 3);
  }
}

TEST_F(CleanUpTest, ALeaseAlsoLastsByTheStoresClock) {
  Upload("behind", 0, 0);
  clock_.Sleep(hours(2));
  // Its writer's clock is an hour late.
  ASSERT_OK_AND_ASSIGN(const auto registry, NewObjectRunRegistry(place_, "runs", outside_));
  const UtcTime late = clock_.Now() - hours(1);
  ASSERT_THAT(registry->Create({.run_id = "behind", .writer_type = "python", .status = RunRecord::Status::kRunning, .started_at = late, .updated_at = late,
                                .lease_expires_at = late + minutes(10), .s3_prefix = "s3://b/p", .shard_prefix = "shards", .db_path_template = "db={db_id:05d}"}), IsOk());
  clock_.Sleep(minutes(9));
  EXPECT_THAT(Clean({.include_old_runs = true}).value(), IsEmpty());
  clock_.Sleep(minutes(2));
  EXPECT_EQ(Clean({.include_old_runs = true}).value().size(), 1u);
}

TEST_F(CleanUpTest, ADeletionWithoutAnswerIsTriedAgain) {
  Upload("r1", 0, 0);
  objects_->SetPlan({.faults = {{.op = sim::StoreOp::kDelete}, {.op = sim::StoreOp::kDelete, .occurrence = 1, .effect = sim::Effect::kApplied}}});
  EXPECT_THAT(Clean({.max_retries = 2}), IsOk());
  EXPECT_TRUE(objects_->all_fired());
  EXPECT_EQ(objects_->List("shards/").value().size(), 2u);
  Upload("r1", 0, 0);
  objects_->SetPlan({.faults = {{.op = sim::StoreOp::kDelete}}});
  EXPECT_THAT(Clean({.max_retries = 0}), HasKind(ErrorKind::kUnavailable));
}

TEST_F(CleanUpTest, OneAttemptIsRemovedAndNothingBesideIt) {
  Upload("r1", 0, 0);
  Upload("r1", 0, 10);
  EXPECT_EQ(RemoveAttempt(*place_, "s3://b/p/" + AttemptKey("r1", 0, 1)).value(), 1);
  EXPECT_EQ(objects_->List("shards/run_id=r1/db=00000/").value().size(), 2u);
  EXPECT_EQ(RemoveAttempt(*place_, "s3://b/p/" + AttemptKey("r1", 0, 1)).value(), 0);
  for (const char* const url : {"s3://b/p/shards/run_id=r1", "s3://b/p", "s3://b/q/attempt=00", "s3://b/p/shards/attempt=x", "s3://b/p/attempt=00/deeper", ""})
    EXPECT_THAT(RemoveAttempt(*place_, url), HasKind(ErrorKind::kInvalidArgument)) << url;
  EXPECT_EQ(objects_->List("shards/").value().size(), 3u);
}

TEST(ShardPath, TemplatesAreThoseOfPythonsFormat) {
  EXPECT_EQ(FormatDbPath("db={db_id:05d}", 42).value(), "db=00042");
  EXPECT_EQ(FormatDbPath("{db_id}", 42).value(), "42");
  EXPECT_EQ(FormatDbPath("a/{{x}}{db_id:03}", 1234).value(), "a/{x}1234");
  for (const char* const wrong : {"", "db", "{db_id", "{other}", "{db_id:x}", "{db_id!r}", "../{db_id}", "{db_id}/", "{", "a}{db_id}"})
    EXPECT_THAT(FormatDbPath(wrong, 1), HasKind(ErrorKind::kInvalidArgument)) << wrong;
}

}  // namespace
}  // namespace datashard::generation
