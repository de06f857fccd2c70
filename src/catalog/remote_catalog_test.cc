// The catalog on a store where every call is a round trip: how many it makes, and what keeps that safe.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "catalog/directory_catalog.h"
#include "sim/faulty_store.h"
#include "sim/sim_clock.h"
#include "support/matchers.h"

namespace datashard::catalog {
namespace {

using testing::ElementsAre;

constexpr VersionLimits kSmall{.every = 1, .batch = 4, .remote_min = 3, .remote_age = std::chrono::hours(1)};

class RemoteCatalogTest : public testing::Test {
 protected:
  sim::SimClock clock;
  std::shared_ptr<ObjectStore> memory = OpenMemoryStore("t", clock, /*remote=*/true);
  std::shared_ptr<sim::FaultyStore> store = std::make_shared<sim::FaultyStore>(memory);
  MetricSums metrics;
  Outside outside{clock, SystemRandom(), metrics, SilentLog()};
  DirectoryCatalog catalog{store, outside, kSmall};
  VersionPtr head;

  void SetUp() override { clock.Sleep(std::chrono::hours(1)); }

  iceberg::TableMetadata Metadata(int64_t snapshot_id) {
    iceberg::TableMetadata metadata;
    metadata.last_updated_ms = ToMillis(clock.Now());
    metadata.table_uuid = "7c3f4d7e-0000-4000-8000-000000000001";
    metadata.location = "memory://t";
    metadata.schemas.push_back({});
    metadata.partition_specs.push_back({});
    metadata.sort_orders.push_back({});
    metadata.snapshots.push_back(std::make_shared<Snapshot>(
        Snapshot{.snapshot_id = snapshot_id, .sequence_number = snapshot_id, .manifest_list = "memory://t/metadata/l.avro"}));
    metadata.current_snapshot_id = snapshot_id;
    metadata.refs["main"] = {.snapshot_id = snapshot_id, .type = "branch"};
    metadata.last_sequence_number = snapshot_id;
    return metadata;
  }
  Result<Published> PublishOn(const VersionPtr& base, int64_t snapshot_id = 1) {
    const auto group = store->NewWriteGroup();
    DS_ASSIGN_OR_RETURN(const auto prepared,
                        catalog.Prepare(base ? base->number + 1 : 1, Metadata(snapshot_id), *group));
    DS_RETURN_IF_ERROR(group->Sync());
    store->SetPlan({});  // the calls that follow are the publication's
    DS_ASSIGN_OR_RETURN(const Published published, catalog.Publish(prepared, base));
    if (published == Published::kWon) head = prepared.version;
    return published;
  }
  void GrowTo(int64_t number) {
    while (head == nullptr || head->number < number) {
      ASSERT_OK_AND_ASSIGN(const Published published, PublishOn(head, head == nullptr ? 1 : head->number + 1));
      ASSERT_EQ(published, Published::kWon);
    }
    Hint(number);
  }
  // What a thread does soon is done when the catalog ends.
  void Hint(int64_t number) { DirectoryCatalog(store, outside, kSmall).AdvanceHint(number); }
  void DropOld(int64_t number) { DirectoryCatalog(store, outside, kSmall).DropOldVersions(number); }
  std::vector<std::string> Calls() const {
    std::vector<std::string> calls;
    for (const sim::StoreCall& call : store->calls()) calls.push_back(fmt::format("{} {}", ToString(call.op), call.key));
    return calls;
  }
  int64_t Names() const {
    return std::ranges::count_if(*memory->List("metadata/"),
                                 [](const ObjectInfo& object) { return NumberOfKey(object.key).has_value(); });
  }
};

TEST_F(RemoteCatalogTest, OpeningIsThreeRequestsWhereTheHintIsRight) {
  GrowTo(20);
  store->SetPlan({});
  ASSERT_OK_AND_ASSIGN(const VersionPtr opened, catalog.Load());
  EXPECT_EQ(opened->number, 20);
  EXPECT_THAT(Calls(), ElementsAre("Get metadata/version-hint.text", "GetRange metadata/v20.metadata.json",
                                   "Head metadata/v21.metadata.json"));
}

TEST_F(RemoteCatalogTest, OpeningFarBehindLeapsInsteadOfListing) {
  GrowTo(900);
  Hint(5);
  store->SetPlan({});
  ASSERT_OK_AND_ASSIGN(const VersionPtr opened, catalog.Load());
  EXPECT_EQ(opened->number, 900);
  EXPECT_LT(store->call_count(), 45);
}

TEST_F(RemoteCatalogTest, ARefreshOfAnOpenTableIsOneRequestHoweverLongItStaysOpen) {
  GrowTo(3);
  for (int minute = 0; minute < 90; minute += 5) {
    clock.Sleep(std::chrono::minutes(5));
    store->SetPlan({});
    ASSERT_OK_AND_ASSIGN(const VersionPtr refreshed, catalog.Refresh(head));
    EXPECT_EQ(refreshed, head);
    EXPECT_THAT(Calls(), ElementsAre("Head metadata/v4.metadata.json"));
  }
}

TEST_F(RemoteCatalogTest, PublishingOnABaseSeenLatelyIsOneRequest) {
  GrowTo(3);
  clock.Sleep(std::chrono::minutes(9));
  ASSERT_OK_AND_ASSIGN(const Published published, PublishOn(head));
  EXPECT_EQ(published, Published::kWon);
  EXPECT_THAT(Calls(), ElementsAre("PutIfAbsent metadata/v4.metadata.json"));
}

TEST_F(RemoteCatalogTest, ABaseNotSeenForLongIsLookedAtAfterwards) {
  GrowTo(3);
  clock.Sleep(std::chrono::minutes(11));
  ASSERT_OK_AND_ASSIGN(const Published published, PublishOn(head));
  EXPECT_EQ(published, Published::kWon);
  EXPECT_THAT(Calls(), ElementsAre("PutIfAbsent metadata/v4.metadata.json", "StillNamed metadata/v3.metadata.json",
                                   "Head metadata/v1.metadata.json"));
}

TEST_F(RemoteCatalogTest, AWriterStoppedForHoursOnARemovedBaseTakesItsStrayBack) {
  GrowTo(3);
  const VersionPtr old = head;
  GrowTo(12);
  clock.Sleep(std::chrono::hours(2));
  for (int round = 0; round < 3; ++round) DropOld(12);
  ASSERT_EQ(memory->Head(VersionKey(4)).kind(), ErrorKind::kNotFound) << "the successor's name is free again";
  ASSERT_OK_AND_ASSIGN(const Published published, PublishOn(old, 99));
  EXPECT_EQ(published, Published::kLost);
  EXPECT_EQ(memory->Head(VersionKey(4)).kind(), ErrorKind::kNotFound);
  ASSERT_OK_AND_ASSIGN(const VersionPtr refreshed, catalog.Refresh(old));
  EXPECT_EQ(refreshed->number, 12);
}

TEST_F(RemoteCatalogTest, ANameThatALateRequestHasMadeAgainProvesNothing) {
  GrowTo(6);
  ASSERT_OK_AND_ASSIGN(const VersionPtr old, DirectoryCatalog(store, outside, kSmall).Load());  // read, not ours
  ASSERT_OK_AND_ASSIGN(const Bytes late, memory->Get(VersionKey(5)));
  GrowTo(12);
  clock.Sleep(std::chrono::hours(2));
  for (int round = 0; round < 3; ++round) DropOld(12);
  ASSERT_EQ(memory->Head(VersionKey(7)).kind(), ErrorKind::kNotFound);
  ASSERT_THAT(memory->PutIfAbsent(VersionKey(5), late), IsOk());  // the first of its batch
  ASSERT_OK_AND_ASSIGN(const Published published, PublishOn(old, 99));
  EXPECT_EQ(published, Published::kLost);
  ASSERT_OK_AND_ASSIGN(const VersionPtr refreshed, catalog.Refresh(old));
  EXPECT_EQ(refreshed->number, 12);
}

TEST_F(RemoteCatalogTest, TheLoserReadsTheWinnerWithOneRequest) {
  GrowTo(3);
  const VersionPtr base = head;
  GrowTo(4);
  ASSERT_OK_AND_ASSIGN(const Published published, PublishOn(base, 77));
  EXPECT_EQ(published, Published::kLost);
  EXPECT_THAT(Calls(), ElementsAre("PutIfAbsent metadata/v4.metadata.json"));
  store->SetPlan({});
  ASSERT_OK_AND_ASSIGN(const VersionPtr winner, catalog.RefreshAfterLoss(base));
  EXPECT_EQ(winner->number, 4);
  EXPECT_THAT(Calls(), ElementsAre("GetRange metadata/v4.metadata.json"));
}

TEST_F(RemoteCatalogTest, ALostAnswerIsSettledByReadingTheVersionBack) {
  GrowTo(3);
  const auto group = store->NewWriteGroup();
  ASSERT_OK_AND_ASSIGN(const auto prepared, catalog.Prepare(4, Metadata(4), *group));
  ASSERT_THAT(group->Sync(), IsOk());
  store->SetPlan({.faults = {{.op = sim::StoreOp::kPutIfAbsent, .effect = sim::Effect::kApplied}}});
  ASSERT_OK_AND_ASSIGN(const Published published, catalog.Publish(prepared, head));
  EXPECT_TRUE(store->all_fired());
  EXPECT_EQ(published, Published::kWon);
}

TEST_F(RemoteCatalogTest, VersionsGoOnlyAfterAnHourAndNeverTheNewest) {
  GrowTo(10);
  DropOld(10);
  EXPECT_EQ(Names(), 10) << "too young";
  clock.Sleep(std::chrono::minutes(61));
  DropOld(10);
  EXPECT_EQ(Names(), 6) << "a batch of four";
  for (int round = 0; round < 4; ++round) DropOld(10);
  EXPECT_EQ(Names(), 6) << "the next one holds one of the newest three";
  GrowTo(11);
  DropOld(11);
  EXPECT_EQ(Names(), 3);
  ASSERT_OK_AND_ASSIGN(const VersionPtr opened, catalog.Load());
  EXPECT_EQ(opened->number, 11);
}

TEST_F(RemoteCatalogTest, TheOtherSpellingIsFoundAndThenLookedFor) {
  GrowTo(2);
  ASSERT_OK_AND_ASSIGN(const Bytes body, memory->Get(VersionKey(2)));
  ASSERT_THAT(memory->Delete(VersionKey(2)), IsOk());
  ASSERT_THAT(memory->Replace(GzipVersionKey(2), body), IsOk());
  ASSERT_OK_AND_ASSIGN(const VersionPtr opened, catalog.Load());
  EXPECT_EQ(opened->key, GzipVersionKey(2));
  ASSERT_THAT(memory->Replace(GzipVersionKey(3), body), IsOk());
  ASSERT_OK_AND_ASSIGN(const Published published, PublishOn(opened, 5));
  EXPECT_EQ(published, Published::kLost);
}

}  // namespace
}  // namespace datashard::catalog
