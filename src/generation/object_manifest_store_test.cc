// Publication: of a manifest and the pointer to it, by several at once, through faults.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "base/environment.h"
#include "generation/generation_test_support.h"
#include "generation/object_manifest_store.h"
#include "generation/pointer.h"
#include "sim/faulty_store.h"
#include "sim/forwarding_store.h"
#include "sim/sim_clock.h"
#include "support/matchers.h"

namespace datashard::generation {
namespace {

using sim::Effect;
using sim::FaultPlan;
using sim::FaultyStore;
using sim::StoreOp;

struct Surroundings {
  sim::SimClock clock;
  std::unique_ptr<Random> random = SeededRandom(7);
  MetricSums metrics;
  Outside outside{clock, *random, metrics, SilentLog()};
};

/// A store of manifests over `objects`, as one process has it.
std::unique_ptr<ManifestStore> StoreOn(std::shared_ptr<ObjectStore> objects, const Outside& outside) {
  auto place = std::make_shared<SnapshotPlace>("s3://b/p", std::move(objects));
  Result<std::unique_ptr<ManifestStore>> store = NewObjectManifestStore(std::move(place), {}, outside);
  return std::move(store).value();
}

class ObjectManifests : public testing::Test {
 protected:
  /// The run that is current, after its manifest was read; "" for none.
  std::string CurrentRun(ManifestStore& store) {
    const Result<std::optional<ManifestRef>> current = store.LoadCurrent();
    EXPECT_THAT(current, IsOk());
    if (!current.ok() || !current->has_value()) return "";
    const Result<ShardedManifest> manifest = store.LoadManifest((*current)->ref);
    EXPECT_THAT(manifest, IsOk());
    EXPECT_EQ(manifest->build.run_id, (*current)->run_id);
    return (*current)->run_id;
  }
  Status Publish(ManifestStore& store, const std::string& run_id) {
    DS_ASSIGN_OR_RETURN(const std::string ref, store.Store(SmallManifest(run_id)));
    return store.SetCurrent(ref);
  }

  Surroundings here_;
  std::shared_ptr<ObjectStore> objects_ = OpenMemoryStore("m", here_.clock);
  std::unique_ptr<ManifestStore> store_ = StoreOn(objects_, here_.outside);
};

TEST_F(ObjectManifests, WhatIsStoredIsListedAndBecomesCurrentOnlyWhenSaid) {
  EXPECT_EQ(store_->LoadCurrent().value(), std::nullopt);
  EXPECT_TRUE(store_->ListManifests(10).value().empty());
  ASSERT_OK_AND_ASSIGN(const std::string first, store_->Store(SmallManifest("r1")));
  EXPECT_EQ(first, "s3://b/p/manifests/2030-01-01T00:00:00.000000Z_run_id=r1/manifest");
  EXPECT_EQ(CurrentRun(*store_), "");
  ASSERT_THAT(store_->SetCurrent(first), IsOk());
  EXPECT_EQ(CurrentRun(*store_), "r1");
  here_.clock.Sleep(std::chrono::seconds(5));
  ASSERT_OK_AND_ASSIGN(const std::string second, store_->Store(SmallManifest("r2")));
  EXPECT_EQ(CurrentRun(*store_), "r1");
  ASSERT_OK_AND_ASSIGN(const std::vector<ManifestRef> listed, store_->ListManifests(10));
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0], (ManifestRef{second, "r2", sim::SimClock::kStart + std::chrono::seconds(5)}));
  EXPECT_EQ(listed[1].run_id, "r1");
  EXPECT_EQ(store_->ListManifests(1).value().size(), 1u);
  EXPECT_EQ(store_->LoadManifest(second).value(), SmallManifest("r2"));
}

TEST_F(ObjectManifests, ThePointerIsThatOfTheFormatsPage) {
  ASSERT_THAT(Publish(*store_, "0f3c"), IsOk());
  EXPECT_EQ(objects_->Get("_CURRENT").value(),
            R"({"format_version":1,"manifest_content_type":"application/x-sqlite3","manifest_ref":)"
            R"("s3://b/p/manifests/2030-01-01T00:00:00.000000Z_run_id=0f3c/manifest","run_id":"0f3c","updated_at":"2030-01-01T00:00:00.000000Z"})");
}

TEST_F(ObjectManifests, OneManifestStoredTwiceHasTwoNames) {
  ASSERT_OK_AND_ASSIGN(const std::string first, store_->Store(SmallManifest("r")));
  ASSERT_OK_AND_ASSIGN(const std::string second, store_->Store(SmallManifest("r")));
  EXPECT_NE(first, second);
}

TEST_F(ObjectManifests, WhatIsMissingOrElsewhereIsNotFound) {
  EXPECT_THAT(store_->SetCurrent("s3://b/p/manifests/2030-01-01T00:00:00.000000Z_run_id=x/manifest"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store_->SetCurrent("s3://b/other/manifests/2030-01-01T00:00:00.000000Z_run_id=x/manifest"), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(store_->LoadManifest("s3://b/p/manifests/2030-01-01T00:00:00.000000Z_run_id=x/manifest"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store_->LoadManifest("s3://b/p/../q"), HasKind(ErrorKind::kUnsupported));
}

TEST_F(ObjectManifests, ADamagedPointerIsToldAndCanBeReplaced) {
  ASSERT_THAT(objects_->Replace("_CURRENT", "{\"run_id\":1}"), IsOk());
  EXPECT_THAT(store_->LoadCurrent(), HasKind(ErrorKind::kCorruption));
  ASSERT_THAT(objects_->Replace("_CURRENT", "{\"format_version\":2}"), IsOk());
  EXPECT_THAT(store_->LoadCurrent(), HasKind(ErrorKind::kUnsupported));
  ASSERT_OK_AND_ASSIGN(const std::string ref, store_->Store(SmallManifest("r")));
  EXPECT_THAT(store_->SetCurrent(ref, [](const auto&) { return Status(); }), HasKind(ErrorKind::kUnsupported)) << "nobody can say what the guard saw";
  EXPECT_THAT(store_->SetCurrent(ref), IsOk());
  EXPECT_EQ(CurrentRun(*store_), "r");
}

TEST_F(ObjectManifests, ADamagedManifestSaysWhichItIs) {
  ASSERT_OK_AND_ASSIGN(const std::string ref, store_->Store(SmallManifest("r")));
  ASSERT_THAT(objects_->Replace("manifests/2030-01-01T00:00:00.000000Z_run_id=r/manifest", "SQLite"), IsOk());
  EXPECT_THAT(store_->LoadManifest(ref), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(store_->LoadManifest(ref), HasMessage(ref));
}

TEST_F(ObjectManifests, AGuardSeesWhatIsCurrentAndEndsThePublication) {
  std::vector<std::optional<ManifestRef>> seen;
  const CurrentGuard guard = [&](const std::optional<ManifestRef>& current) {
    seen.push_back(current);
    return current ? Status(Error(ErrorKind::kConflict, "somebody was faster")) : Status();
  };
  ASSERT_OK_AND_ASSIGN(const std::string first, store_->Store(SmallManifest("r1")));
  ASSERT_THAT(store_->SetCurrent(first, guard), IsOk());
  here_.clock.Sleep(std::chrono::seconds(1));
  ASSERT_OK_AND_ASSIGN(const std::string second, store_->Store(SmallManifest("r2")));
  EXPECT_THAT(store_->SetCurrent(second, guard), HasKind(ErrorKind::kConflict));
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0], std::nullopt);
  EXPECT_EQ(seen[1]->ref, first);
  EXPECT_EQ(CurrentRun(*store_), "r1");
  EXPECT_EQ(store_->ListManifests(10).value().size(), 2u) << "it stays listed";
}

TEST_F(ObjectManifests, ARollbackBetweenLookAndReplaceIsSeenByTheGuard) {
  ASSERT_THAT(Publish(*store_, "r1"), IsOk());
  here_.clock.Sleep(std::chrono::seconds(1));
  ASSERT_THAT(Publish(*store_, "r2"), IsOk());
  const std::string first = store_->ListManifests(10).value()[1].ref;
  auto faulty = std::make_shared<FaultyStore>(objects_);
  const std::unique_ptr<ManifestStore> publisher = StoreOn(faulty, here_.outside);
  ASSERT_OK_AND_ASSIGN(const std::string third, publisher->Store(SmallManifest("r3")));
  bool rolled_back = false;
  faulty->SetPlan({.before_call = [&] {
    // Behind the look at the pointer, before its replacement.
    if (rolled_back || faulty->call_count() != 2) return;
    rolled_back = true;
    ASSERT_THAT(store_->SetCurrent(first), IsOk());
  }});
  std::vector<std::string> seen;
  ASSERT_THAT(publisher->SetCurrent(third, [&](const auto& current) { seen.push_back(current->run_id); return Status(); }), IsOk());
  EXPECT_TRUE(rolled_back);
  EXPECT_THAT(seen, testing::ElementsAre("r2", "r1"));
  EXPECT_EQ(CurrentRun(*store_), "r3");
}

TEST_F(ObjectManifests, OfPublishersAtTheSameTimeEachReplacesWhatItHasSeen) {
  constexpr int kThreads = 6;
  std::mutex mutex;
  std::vector<std::string> chain;  // "<before> <after>"
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const std::unique_ptr<ManifestStore> store = StoreOn(objects_, here_.outside);
      const std::string run = "r" + std::to_string(i);
      const Result<std::string> ref = store->Store(SmallManifest(run));
      ASSERT_THAT(ref, IsOk());
      std::string before;
      const Status set = store->SetCurrent(*ref, [&](const auto& current) { before = current ? current->run_id : ""; return Status(); });
      ASSERT_THAT(set, IsOk());
      const std::lock_guard lock(mutex);
      chain.push_back(before + " " + run);
    });
  }
  for (std::thread& thread : threads) thread.join();
  // A chain: every run but the last was replaced by exactly one other.
  std::string at;
  for (int i = 0; i < kThreads; ++i) {
    const auto next = std::ranges::find_if(chain, [&](const std::string& link) { return link.starts_with(at + " "); });
    ASSERT_NE(next, chain.end()) << "nothing follows '" << at << "'";
    at = next->substr(at.size() + 1);
  }
  EXPECT_EQ(CurrentRun(*store_), at);
}

TEST_F(ObjectManifests, AfterACrashAtAnyCallTheOldOrTheNewGenerationIsCurrent) {
  for (const Effect effect : {Effect::kNotApplied, Effect::kApplied, Effect::kLate}) {
    int visited = 0;
    for (int64_t crash_at = 0;; ++crash_at) {
      const std::shared_ptr<ObjectStore> objects = OpenMemoryStore("m", here_.clock);
      const std::unique_ptr<ManifestStore> reader = StoreOn(objects, here_.outside);
      ASSERT_THAT(Publish(*reader, "old"), IsOk());
      auto faulty = std::make_shared<FaultyStore>(objects, FaultPlan{.crash_after_calls = crash_at, .crash_effect = effect});
      const Status published = Publish(*StoreOn(faulty, here_.outside), "new");
      if (!faulty->crashed()) {
        EXPECT_THAT(published, IsOk());
        break;
      }
      ++visited;
      EXPECT_FALSE(published.ok());
      faulty->DeliverLate();
      const std::string current = CurrentRun(*reader);
      EXPECT_TRUE(current == "old" || (current == "new" && published.kind() == ErrorKind::kCommitUnknown)) << current << ", " << published.error().ToString();
      EXPECT_THAT(Publish(*reader, "next"), IsOk());
    }
    EXPECT_GE(visited, 4);
  }
}

TEST_F(ObjectManifests, ALostAnswerIsSettledByReadingBack) {
  for (const StoreOp op : {StoreOp::kPutIfAbsent, StoreOp::kReplaceIf}) {
    for (const Effect effect : {Effect::kApplied, Effect::kLate}) {
      const std::shared_ptr<ObjectStore> objects = OpenMemoryStore("m", here_.clock);
      auto faulty = std::make_shared<FaultyStore>(objects, FaultPlan{.faults = {{.op = op, .effect = effect}}});
      const std::unique_ptr<ManifestStore> store = StoreOn(faulty, here_.outside);
      ASSERT_THAT(Publish(*store, "r"), IsOk());
      EXPECT_TRUE(faulty->all_fired());
      faulty->DeliverLate();
      EXPECT_EQ(CurrentRun(*store), "r");
    }
  }
}

TEST_F(ObjectManifests, WhatCannotBeSettledIsToldAsUnknown) {
  auto faulty = std::make_shared<FaultyStore>(objects_, FaultPlan{.faults = {{.op = StoreOp::kReplaceIf, .effect = Effect::kApplied}, {.op = StoreOp::kGet, .key_part = "_CURRENT", .occurrence = 1}}});
  const std::unique_ptr<ManifestStore> store = StoreOn(faulty, here_.outside);
  EXPECT_THAT(Publish(*store, "r"), HasKind(ErrorKind::kCommitUnknown));
  EXPECT_TRUE(faulty->all_fired());
}

TEST_F(ObjectManifests, ARefusalAfterALostAnswerLeavesItOpen) {
  ASSERT_THAT(Publish(*store_, "r1"), IsOk());
  const std::string first = store_->ListManifests(1).value()[0].ref;
  auto faulty = std::make_shared<FaultyStore>(objects_);
  const std::unique_ptr<ManifestStore> publisher = StoreOn(faulty, here_.outside);
  ASSERT_OK_AND_ASSIGN(const std::string second, publisher->Store(SmallManifest("r2")));
  bool rolled_back = false;
  faulty->SetPlan({.faults = {{.op = StoreOp::kReplaceIf, .effect = Effect::kApplied}}, .before_call = [&] {
    // Behind the replacement whose answer is lost.
    if (rolled_back || faulty->calls().empty() || faulty->calls().back().op != StoreOp::kReplaceIf) return;
    rolled_back = true;
    ASSERT_THAT(store_->SetCurrent(first), IsOk());
  }});
  int asked = 0;
  const Status set = publisher->SetCurrent(second, [&](const auto&) { return ++asked == 1 ? Status() : Status(Error(ErrorKind::kConflict, "no more")); });
  EXPECT_THAT(set, HasKind(ErrorKind::kCommitUnknown)) << "it was current for a moment";
  EXPECT_TRUE(rolled_back && faulty->all_fired());
  EXPECT_EQ(asked, 2);
}

TEST_F(ObjectManifests, AStoreThatCannotCompareIsWrittenToWithout) {
  class CannotCompare final : public sim::ForwardingStore {
   public:
    using ForwardingStore::ForwardingStore;
    Status ReplaceIf(std::string_view, ByteView, std::string_view) override { return Error(ErrorKind::kUnsupported, "no If-Match"); }
  };
  const std::unique_ptr<ManifestStore> store = StoreOn(std::make_shared<CannotCompare>(objects_), here_.outside);
  ASSERT_THAT(Publish(*store, "r"), IsOk());
  EXPECT_EQ(CurrentRun(*store_), "r");
}

}  // namespace
}  // namespace datashard::generation
