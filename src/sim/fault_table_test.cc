// Lines of the fault table (docs/design/fault-table.md) that no other test says by name: writers and requests that come back
// after the table has dropped the body of the version they knew, or removed its name. On a real directory and in a bucket.
// Invariants: an acknowledged row is there once; nobody follows a version that is not the table's.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "catalog/version_names.h"
#include "sim/faulty_store.h"
#include "sim/forwarding_store.h"
#include "sim/sim_clock.h"
#include "storage/temporary_directory.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"
#include "table/table_impl.h"

namespace datashard::sim {
namespace {

/// One body and ten names stay: after some commits a version's name is taken by a tombstone, after more it is free again.
constexpr catalog::VersionLimits kFewNames{
    .bodies_min = 1, .bodies_max = 1, .body_age = {}, .names = 10, .every = 1, .batch = 10};
constexpr int kUntilDropped = 5;
constexpr int kUntilRemoved = 30;

/// Stands still right before its next version gets its name, as a process does that was sent SIGSTOP.
class StoppedBeforeCreate final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  void StopOnce(std::function<void()> meanwhile) { meanwhile_ = std::move(meanwhile); }
  Status Delete(std::string_view key) override {
    // The last call before a version gets its name: a stale checksum of that version is removed.
    if (key.ends_with(".metadata.json.crc") && meanwhile_) std::exchange(meanwhile_, nullptr)();
    return base_->Delete(key);
  }

 private:
  std::function<void()> meanwhile_;
};

struct FaultTable : testing::Test {
  SimClock clock;
  MetricSums metrics;
  Outside outside{clock, SystemRandom(), metrics, SilentLog()};

  /// Appends rows `first` … `first` + `count` - 1 through a table of its own, one by one.
  void Others(const std::shared_ptr<ObjectStore>& store, int64_t first, int count) {
    ASSERT_OK_AND_ASSIGN(const auto table, OpenTableOn(store, outside, kFewNames));
    for (int64_t id = first; id < first + count; ++id) ASSERT_THAT(table->Append(RowsWithIds({id})), IsOk());
  }
  std::multiset<int64_t> Rows(const std::shared_ptr<ObjectStore>& store) {
    auto table = OpenTableOn(store, outside, kFewNames);
    EXPECT_THAT(table, IsOk());
    const std::vector<int64_t> ids = IdsOf((*table)->Scan().value()).value();
    return {ids.begin(), ids.end()};
  }
  static std::multiset<int64_t> Numbers(int64_t first, int count) {
    std::multiset<int64_t> numbers;
    for (int64_t id = first; id < first + count; ++id) numbers.insert(id);
    return numbers;
  }
};

TEST_F(FaultTable, AStalledWriterWhoseBaseWasDroppedPlansAgainAndItsRowIsThereOnce) {
  for (const int others : {1, kUntilDropped, kUntilRemoved}) {
    SCOPED_TRACE(others);
    const TemporaryDirectory directory;
    const std::shared_ptr<ObjectStore> disk = OpenLocalStore(directory.path(), /*create=*/true).value();
    // Or the look at foreign writers before the create would notice what is to be noticed after it.
    ASSERT_THAT(CreateTableOn(disk, outside, {.schema = IdAndText(), .properties = {{"datashard.foreign-writers", "no"}}}, kFewNames),
                IsOk());
    const auto slow = std::make_shared<StoppedBeforeCreate>(disk);
    ASSERT_OK_AND_ASSIGN(const auto stalled, OpenTableOn(slow, outside, kFewNames));
    bool stopped = false;
    slow->StopOnce([&] {
      stopped = true;
      Others(disk, 100, others);
    });
    const double strays = metrics.Read()["datashard_stray_versions_total"];
    ASSERT_THAT(stalled->Append(RowsWithIds({1})), IsOk());
    EXPECT_TRUE(stopped);
    // A taken name fails the create itself, a tombstone's too; a free one is noticed after it, by the base check.
    EXPECT_EQ(metrics.Read()["datashard_stray_versions_total"] - strays, others == kUntilRemoved ? 1 : 0);
    std::multiset<int64_t> expected = Numbers(100, others);
    expected.insert(1);
    EXPECT_EQ(Rows(disk), expected);
  }
}

TEST_F(FaultTable, ALatePutAfterItsNameWasDroppedOrRemovedChangesNothing) {
  for (const int others : {kUntilDropped, kUntilRemoved}) {
    SCOPED_TRACE(others);
    const std::shared_ptr<ObjectStore> bucket = OpenMemoryStore("b", clock);
    const auto store = std::make_shared<FaultyStore>(bucket);
    ASSERT_THAT(CreateTableOn(store, outside, {.schema = IdAndText()}, kFewNames), IsOk());
    ASSERT_OK_AND_ASSIGN(const auto dying, OpenTableOn(store, outside, kFewNames));
    int64_t calls = 0;
    {
      const auto counted = std::make_shared<FaultyStore>(OpenMemoryStore("c", clock));
      ASSERT_OK_AND_ASSIGN(const auto table, CreateTableOn(counted, outside, {.schema = IdAndText()}, kFewNames));
      ASSERT_OK_AND_ASSIGN(const auto same, OpenTableOn(counted, outside, kFewNames));
      counted->SetPlan({});
      ASSERT_THAT(same->Append(RowsWithIds({1})), IsOk());
      const auto made = counted->calls();
      calls = std::find_if(made.begin(), made.end(), [](const StoreCall& call) { return call.op == StoreOp::kPutIfAbsent; }) -
              made.begin();
    }
    // Its create of version 2 is under way when it dies, and arrives long after.
    store->SetPlan({.crash_after_calls = calls, .crash_effect = Effect::kLate});
    EXPECT_THAT(dying->Append(RowsWithIds({1})), HasKind(ErrorKind::kCommitUnknown));
    ASSERT_TRUE(store->all_fired());
    EXPECT_THAT(bucket->Head(catalog::VersionKey(2)), HasKind(ErrorKind::kNotFound)) << "another call was cut off";
    ASSERT_NO_FATAL_FAILURE(Others(bucket, 100, others));
    ASSERT_OK_AND_ASSIGN(const auto reader, OpenTableOn(bucket, outside, kFewNames));
    store->DeliverLate();
    if (others == kUntilDropped) {
      EXPECT_EQ(*bucket->Get(catalog::VersionKey(2)), catalog::kTombstone) << "the name was free for a late request";
    } else {
      EXPECT_THAT(bucket->Head(catalog::VersionKey(2)), IsOk()) << "the request did not arrive";
    }
    EXPECT_EQ(Rows(bucket), Numbers(100, others));
    ASSERT_THAT(reader->Append(RowsWithIds({2})), IsOk());
    std::multiset<int64_t> expected = Numbers(100, others);
    expected.insert(2);
    EXPECT_EQ(Rows(bucket), expected);
    ASSERT_THAT(bucket->Delete("metadata/version-hint.text"), IsOk());
    EXPECT_EQ(Rows(bucket), expected) << "without the hint the stray was taken for the table";
  }
}

}  // namespace
}  // namespace datashard::sim
