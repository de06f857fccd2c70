// A writer that was stopped for hours meets a clean-up that takes it for dead. Invariants: what is current is whole; a run that was not published
// has said so.
#include "shardwrite/publish_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "generation/clean_up.h"
#include "shardwrite/write_test_support.h"
#include "sim/faulty_store.h"

namespace datashard::shardwrite {
namespace {

using sim::FaultPlan;
using sim::FaultyStore;

class LateWriter : public ::testing::Test {
 protected:
  void WriteOld() {
    base_ = OpenMemoryStore("snapshot", clock_);
    healthy_ = std::make_unique<SimSnapshot>(base_);
    ASSERT_THAT(Write(*healthy_, "old"), IsOk());
  }

  Result<BuildResult> Write(SimSnapshot& snapshot, const std::string& run) {
    ShardedWriteSettings settings = snapshot.Settings(2);
    settings.run_id = run;
    DS_ASSIGN_OR_RETURN(const std::unique_ptr<ShardedWriter> writer, snapshot.Start(std::move(settings)));
    for (uint64_t key = 0; key < 40; ++key) DS_RETURN_IF_ERROR(writer->Add(KeyView::Unsigned(key), fmt::format("{} {}", run, key)));
    return writer->Finish();
  }
  Result<std::vector<CleanupAction>> CleanUp(SimSnapshot& snapshot) {
    const auto manifests = snapshot.Manifests();
    return generation::CleanUp(*snapshot.place, *manifests, {.include_old_runs = true}, snapshot.process.outside);
  }
  void ExpectCurrent(const std::string& run) {
    const auto read = ReadCurrent(*healthy_);
    ASSERT_THAT(read, IsOk());
    EXPECT_EQ((*read)->manifest.build.run_id, run);
    EXPECT_EQ((*read)->pairs.size(), 40u);
  }

  sim::SimClock clock_;
  std::shared_ptr<ObjectStore> base_;
  std::unique_ptr<SimSnapshot> healthy_;
};

TEST_F(LateWriter, StoppedBeforeAnyCallPublishesItsWholeRunOrNothing) {
  bool fired = true;
  int given_up = 0;
  for (int64_t call = 0; fired; ++call) {
    WriteOld();
    int64_t calls = 0;
    fired = false;
    SimSnapshot snapshot(std::make_shared<FaultyStore>(base_, FaultPlan{.before_call = [&] {
      if (calls++ != call) return;
      fired = true;
      clock_.Sleep(std::chrono::hours(2));
      EXPECT_THAT(CleanUp(*healthy_), IsOk());
    }}), /*seed=*/2);
    const Result<BuildResult> written = Write(snapshot, "late");
    SCOPED_TRACE(fmt::format("before call {}: {}", call, written.ok() ? "published" : written.error().ToString()));
    ExpectCurrent(written.ok() ? "late" : "old");
    given_up += written.ok() ? 0 : 1;
    if (!written.ok()) EXPECT_THAT(written, HasMessage("clean-up has taken it for dead"));
  }
  EXPECT_GE(given_up, 3);
}

TEST_F(LateWriter, GoingOnBeforeAnyCallOfTheCleanUpPublishesItsWholeRunOrNothing) {
  bool fired = true;
  int given_up = 0;
  int published = 0;
  for (int64_t call = 0; fired; ++call) {
    WriteOld();
    // All of a run but its publication.
    ShardedManifest manifest = ReadCurrent(*healthy_).value()->manifest;
    manifest.build.run_id = "late";
    for (ShardMeta& shard : manifest.shards) {
      const std::string from = *healthy_->place->KeyOf(*shard.db_url);
      const std::string to = fmt::format("shards/run_id=late/db={:05}/attempt=00", shard.db_id);
      for (const ShardObject& object : shard.objects) ASSERT_THAT(base_->Replace(to + "/" + object.name, base_->Get(from + "/" + object.name).value()), IsOk());
      shard.db_url = std::string(SimSnapshot::kUrl) + "/" + to;
    }
    clock_.Sleep(std::chrono::hours(2));
    const auto manifests = healthy_->Manifests();
    WriteEvents events(nullptr, healthy_->process.clock);
    const CurrentGuard no_guard;
    Result<PublishedRun> late = Unavailable("it does not go on");
    int64_t calls = 0;
    fired = false;
    SimSnapshot cleaning(std::make_shared<FaultyStore>(base_, FaultPlan{.before_call = [&] {
      if (calls++ != call) return;
      fired = true;
      ShardedManifest without_shards = manifest;
      without_shards.shards.clear();
      late = PublishRun(without_shards, manifest.shards, {*healthy_->place, *manifests, true, no_guard, nullptr, healthy_->process.outside, events});
    }}), /*seed=*/3);
    const auto cleaned = CleanUp(cleaning);
    SCOPED_TRACE(fmt::format("before call {}: {}", call, late.ok() ? "published" : late.error().ToString()));
    EXPECT_TRUE(cleaned.ok() || cleaned.kind() == ErrorKind::kConflict);
    ExpectCurrent(late.ok() ? "late" : "old");
    (late.ok() ? published : given_up) += fired ? 1 : 0;
  }
  EXPECT_GE(published, 3);
  EXPECT_GE(given_up, 3);
}

}  // namespace
}  // namespace datashard::shardwrite
