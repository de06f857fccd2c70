#include "catalog/old_versions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "catalog/directory_catalog.h"
#include "sim/faulty_store.h"
#include "sim/forwarding_store.h"
#include "sim/sim_clock.h"
#include "support/matchers.h"

namespace datashard::catalog {
namespace {

constexpr VersionLimits kSmall{.bodies_min = 3, .bodies_max = 6, .body_age = std::chrono::seconds(5), .names = 10, .every = 1, .batch = 4};

class OldVersionsTest : public testing::Test {
 protected:
  sim::SimClock clock;
  std::shared_ptr<ObjectStore> memory = OpenMemoryStore("t", clock);
  std::shared_ptr<sim::FaultyStore> store = std::make_shared<sim::FaultyStore>(memory);
  MetricSums metrics;
  Outside outside{clock, SystemRandom(), metrics, SilentLog()};
  DirectoryCatalog catalog{store, outside, kSmall};

  static iceberg::TableMetadata Metadata() {
    iceberg::TableMetadata metadata;
    metadata.table_uuid = "7c3f4d7e-0000-4000-8000-000000000001";
    metadata.location = "memory://t";
    metadata.schemas.push_back({});
    metadata.partition_specs.push_back({});
    metadata.sort_orders.push_back({});
    // Or the look before the create would notice what these tests want noticed after it.
    metadata.properties["datashard.foreign-writers"] = "no";
    return metadata;
  }
  Result<Published> PublishOn(DirectoryCatalog& with, const VersionPtr& base) {
    const auto group = store->NewWriteGroup();
    DS_ASSIGN_OR_RETURN(const auto prepared, with.Prepare(base ? base->number + 1 : 1, Metadata(), *group));
    DS_RETURN_IF_ERROR(group->Sync());
    return with.Publish(prepared, base);
  }
  /// Publishes up to version `head`, a minute apart, and drops what is due after each.
  void GrowTo(int64_t head, bool hint = true) {
    for (;;) {
      Result<VersionPtr> base = catalog.Load();
      const int64_t number = base.ok() ? (*base)->number : 0;
      if (number >= head) return;
      clock.Sleep(age);
      ASSERT_OK_AND_ASSIGN(const Published published, PublishOn(catalog, base.ok() ? *base : nullptr));
      ASSERT_EQ(published, Published::kWon);
      if (hint) catalog.AdvanceHint(number + 1);
      catalog.DropOldVersions(number + 1);
    }
  }
  /// 'B' for each version with a body, 'T' for one without, '.' for none, from version 1 on.
  std::string Picture(int64_t last) {
    std::string picture;
    for (int64_t number = 1; number <= last; ++number) {
      const Result<Bytes> body = memory->Get(VersionKey(number));
      picture += !body.ok() ? '.' : *body == kTombstone ? 'T' : 'B';
    }
    return picture;
  }
  std::chrono::microseconds age = std::chrono::minutes(1);
};

TEST_F(OldVersionsTest, BodiesGoFirstAndNamesFollow) {
  GrowTo(3);
  EXPECT_EQ(Picture(3), "BBB");
  GrowTo(8);
  EXPECT_EQ(Picture(8), "TTTTTBBB");
  GrowTo(15);
  EXPECT_EQ(Picture(15), ".....TTTTTTTBBB");
  EXPECT_EQ((*catalog.Load())->number, 15);
}

TEST_F(OldVersionsTest, YoungBodiesStayUpToALimit) {
  age = std::chrono::milliseconds(1);
  GrowTo(9);
  EXPECT_EQ(Picture(9), "TTTBBBBBB");
  clock.Sleep(std::chrono::seconds(10));
  catalog.DropOldVersions(9);
  EXPECT_EQ(Picture(9), "TTTTTTBBB");
}

TEST_F(OldVersionsTest, ANewProcessFindsWhereTheLastOneStopped) {
  GrowTo(40);
  OldVersions fresh(*store, kSmall);
  GrowTo(41);
  const std::string expected = std::string(31, '.') + "TTTTTTTBBB";
  EXPECT_EQ(Picture(41), expected);
  store->SetPlan({});
  ASSERT_THAT(fresh.Drop(41), IsOk());
  EXPECT_EQ(Picture(41), expected) << "nothing was left to do";
  EXPECT_LT(store->call_count(), 30) << "found by halving";
  for (const sim::StoreCall& call : store->calls()) EXPECT_NE(call.op, sim::StoreOp::kList);
}

TEST_F(OldVersionsTest, ABacklogIsWorkedOffInAscendingBatches) {
  const VersionLimits never{.every = 1'000'000};
  DirectoryCatalog patient(store, outside, never);
  VersionPtr base;
  for (int64_t number = 1; number <= 20; ++number) {
    ASSERT_THAT(PublishOn(patient, base), IsOk());
    ASSERT_OK_AND_ASSIGN(base, patient.Load());
  }
  clock.Sleep(std::chrono::minutes(1));
  OldVersions old(*store, kSmall);
  ASSERT_THAT(old.Drop(20), IsOk());
  EXPECT_EQ(Picture(20), "....BBBBBBBBBBBBBBBB") << "a name goes after its body";
  ASSERT_THAT(old.Drop(20), IsOk());
  ASSERT_THAT(old.Drop(20), IsOk());
  EXPECT_EQ(Picture(20), "..........TTBBBBBBBB");
  // Two at once, one of them new, one refused a call.
  store->SetPlan({.faults = {{.op = sim::StoreOp::kDropBody, .occurrence = 1}}});
  EXPECT_THAT(OldVersions(*store, kSmall).Drop(20), HasKind(ErrorKind::kUnavailable));
  EXPECT_TRUE(store->all_fired());
  for (int i = 0; i < 3; ++i) {
    ASSERT_THAT(old.Drop(20), IsOk());
    ASSERT_THAT(OldVersions(*store, kSmall).Drop(20), IsOk());
  }
  EXPECT_EQ(Picture(20), "..........TTTTTTTBBB");
}

TEST_F(OldVersionsTest, ANameStaysAsLongAsItsBody) {
  GrowTo(8);
  ASSERT_EQ(Picture(8), "TTTTTBBB");
  // Everything is too young to lose its body, and old enough to lose its name.
  OldVersions patient(*store, {.bodies_min = 1, .bodies_max = 100, .body_age = std::chrono::hours(1), .names = 1, .every = 1, .batch = 10});
  ASSERT_THAT(patient.Drop(8), IsOk());
  EXPECT_EQ(Picture(8), ".....BBB");
}

TEST_F(OldVersionsTest, AHintThatNamesADroppedVersionLeadsToTheHead) {
  GrowTo(60);
  for (const char* const hint : {"51", "55", "60", "3"}) {
    ASSERT_THAT(memory->Replace("metadata/version-hint.text", hint), IsOk());
    EXPECT_EQ((*catalog.Load())->number, 60) << hint;
  }
  store->SetPlan({});
  ASSERT_THAT(memory->Replace("metadata/version-hint.text", "52"), IsOk());
  ASSERT_THAT(catalog.Load(), IsOk());
  for (const sim::StoreCall& call : store->calls()) EXPECT_NE(call.op, sim::StoreOp::kList);
}

TEST_F(OldVersionsTest, ADroppedVersionSaysSoAndAHeadThatRunsAwayIsFollowed) {
  GrowTo(5);
  // The head is dropped between the look and the reading.
  ASSERT_THAT(memory->DropBody(VersionKey(5), kTombstone), IsOk());
  EXPECT_THAT(catalog.Load(), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(catalog.Load(), HasMessage("body of version 5"));
  EXPECT_THAT(catalog.Load(), HasMessage("only the newest 3 are kept"));
}

TEST_F(OldVersionsTest, AStrayNumberIsNotTakenForTheTable) {
  GrowTo(30);
  ASSERT_THAT(memory->PutIfAbsent(VersionKey(1), *memory->Get(VersionKey(30))), IsOk());
  ASSERT_THAT(memory->Delete("metadata/version-hint.text"), IsOk());
  EXPECT_EQ((*catalog.Load())->number, 30);
}

TEST_F(OldVersionsTest, WhoWasStoppedOnAnOldBasePlansAgain) {
  GrowTo(2);
  ASSERT_OK_AND_ASSIGN(const VersionPtr base, catalog.Load());
  for (const int64_t head : {4, 8, 15, 40}) {
    SCOPED_TRACE(head);
    GrowTo(head);
    DirectoryCatalog stalled(store, outside, kSmall);
    ASSERT_OK_AND_ASSIGN(const Published published, PublishOn(stalled, base));
    EXPECT_EQ(published, Published::kLost);
    EXPECT_EQ((*stalled.Refresh(base))->number, head);
  }
  EXPECT_THAT(memory->Head(VersionKey(3)), HasKind(ErrorKind::kNotFound)) << "it takes its stray version back";
  EXPECT_EQ(metrics.Read().at("datashard_stray_versions_total"), 2) << "while the name was there the create itself failed";
}

TEST_F(OldVersionsTest, AStrayOfAWriterThatDiedIsNotFollowedFromAnOldBase) {
  GrowTo(2);
  ASSERT_OK_AND_ASSIGN(const VersionPtr base, catalog.Load());
  GrowTo(40);
  ASSERT_THAT(memory->PutIfAbsent(VersionKey(3), *memory->Get(VersionKey(40))), IsOk());
  EXPECT_EQ((*catalog.Refresh(base))->number, 40);
}

/// Stops its user right after version 3 got its name, for as long as `meanwhile` takes.
class StoppedAfterCreate final : public sim::ForwardingStore {
 public:
  StoppedAfterCreate(std::shared_ptr<ObjectStore> base, std::function<void()> meanwhile)
      : ForwardingStore(std::move(base)), meanwhile_(std::move(meanwhile)) {}
  Result<ObjectInfo> Head(std::string_view key) override {
    if (key == GzipVersionKey(3) && meanwhile_ && base_->Head(VersionKey(3)).ok()) std::exchange(meanwhile_, nullptr)();
    return base_->Head(key);
  }

 private:
  std::function<void()> meanwhile_;
};

TEST_F(OldVersionsTest, WhoIsStoppedAfterItsCreateIsToldWhatIsTrueOrThatItIsUnknown) {
  for (const int64_t head : {3, 5, 7, 9, 30}) {
    SCOPED_TRACE(head);
    memory = OpenMemoryStore("t", clock);
    store = std::make_shared<sim::FaultyStore>(memory);
    DirectoryCatalog others(store, outside, kSmall);
    const auto grow = [&](int64_t to) {
      for (;;) {
        const Result<VersionPtr> base = others.Load();
        if (base.ok() && (*base)->number >= to) return;
        clock.Sleep(age);
        ASSERT_EQ(*PublishOn(others, base.ok() ? *base : nullptr), Published::kWon);
        others.AdvanceHint(base.ok() ? (*base)->number + 1 : 1);
        others.DropOldVersions(base.ok() ? (*base)->number + 1 : 1);
      }
    };
    grow(2);
    bool stopped = false;
    const auto slow = std::make_shared<StoppedAfterCreate>(memory, [&] {
      stopped = true;
      grow(head);
    });
    DirectoryCatalog catalog(slow, outside, kSmall);
    ASSERT_OK_AND_ASSIGN(const VersionPtr base, catalog.Load());
    const Result<Published> told = PublishOn(catalog, base);
    EXPECT_TRUE(stopped);
    if (head < 3 + kSmall.names / 2) {
      ASSERT_THAT(told, IsOk());
      EXPECT_EQ(*told, Published::kWon);
    } else {
      // These versions have no snapshots, so that nothing but names is left to tell.
      EXPECT_THAT(told, HasKind(ErrorKind::kCommitUnknown));
    }
  }
}

TEST(StandingOf, TheLineOfParentsDecidesWhileItReachesBack) {
  const auto with = [](std::vector<std::pair<int64_t, int64_t>> ids_and_parents) {
    iceberg::TableMetadata metadata;
    for (const auto& [id, parent] : ids_and_parents) {
      auto snapshot = std::make_shared<Snapshot>();
      snapshot->snapshot_id = id;
      snapshot->sequence_number = id % 100;
      if (parent != 0) snapshot->parent_snapshot_id = parent;
      metadata.snapshots.push_back(std::move(snapshot));
      metadata.current_snapshot_id = id;
    }
    return metadata;
  };
  const auto ours = with({{1, 0}, {2, 1}, {103, 2}});
  EXPECT_EQ(StandingOf(ours, nullptr, with({{1, 0}, {2, 1}, {103, 2}, {4, 103}})), Standing::kIncluded);
  EXPECT_EQ(StandingOf(ours, nullptr, with({{1, 0}, {2, 1}, {3, 2}, {4, 3}})), Standing::kExcluded);
  EXPECT_EQ(StandingOf(ours, nullptr, with({{2, 1}, {4, 2}})), Standing::kExcluded);
  EXPECT_EQ(StandingOf(ours, nullptr, with({{4, 3}, {5, 4}})), Standing::kUnsaid) << "its snapshots begin later";
  EXPECT_EQ(StandingOf(ours, nullptr, with({})), Standing::kUnsaid);
  EXPECT_EQ(StandingOf(with({}), nullptr, ours), Standing::kUnsaid);
  // A version without a snapshot of its own has its base's, which every rival of it has too.
  EXPECT_EQ(StandingOf(ours, &ours, with({{1, 0}, {2, 1}, {103, 2}, {4, 103}})), Standing::kUnsaid);
  const auto base = with({{1, 0}, {2, 1}});
  EXPECT_EQ(StandingOf(ours, &base, with({{1, 0}, {2, 1}, {103, 2}})), Standing::kIncluded);
  auto other = ours;
  other.table_uuid = "another";
  EXPECT_EQ(StandingOf(ours, nullptr, other), Standing::kExcluded);
}

}  // namespace
}  // namespace datashard::catalog
