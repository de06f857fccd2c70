// A Hadoop catalog, imitated: it creates "<uuid>.metadata.json", looks whether the version exists, and renames.
#include "catalog/foreign_writers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "catalog/directory_catalog.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard::catalog {
namespace {

namespace fs = std::filesystem;

/// Wall time is the machine's, as that stamps files; sleeping moves the other clock only, and tells.
class HookedClock final : public Clock {
 public:
  Instant Now() override { return SystemClock().Now(); }
  std::chrono::microseconds Monotonic() override { return slept; }
  void Sleep(std::chrono::microseconds duration) override {
    slept += duration;
    if (on_sleep) on_sleep(slept);
  }
  std::chrono::microseconds slept{0};
  std::function<void(std::chrono::microseconds)> on_sleep;
};

class ForeignWritersTest : public testing::Test {
 protected:
  TemporaryDirectory directory;
  HookedClock clock;
  VersionPtr published;
  MetricSums metrics;
  Outside outside{clock, SystemRandom(), metrics, SilentLog()};
  std::shared_ptr<ObjectStore> store = OpenLocalStore(directory.path(), /*create=*/true).value();
  DirectoryCatalog catalog{store, outside};
  const std::string temporary = directory.path() + "/metadata/7c3f4d7e-0000-4000-8000-00000000abcd.metadata.json";

  static iceberg::TableMetadata Metadata(int64_t stamp) {
    iceberg::TableMetadata metadata;
    metadata.table_uuid = "7c3f4d7e-0000-4000-8000-000000000001";
    metadata.location = "file:///t";
    metadata.last_updated_ms = stamp;
    metadata.schemas.push_back({});
    metadata.partition_specs.push_back({});
    metadata.sort_orders.push_back({});
    // One snapshot per version, so that it can be traced.
    for (int64_t number = 1; number <= stamp % 100; ++number) {
      auto snapshot = std::make_shared<Snapshot>();
      snapshot->snapshot_id = number == stamp % 100 ? stamp : number;
      snapshot->sequence_number = number;
      snapshot->manifest_list = "file:///t/metadata/list.avro";
      snapshot->summary = {{"operation", "append"}};
      metadata.last_sequence_number = number;
      if (number > 1) snapshot->parent_snapshot_id = number - 1;
      metadata.current_snapshot_id = snapshot->snapshot_id;
      metadata.refs["main"].snapshot_id = snapshot->snapshot_id;
      metadata.snapshots.push_back(std::move(snapshot));
    }
    return metadata;
  }
  Result<Published> PublishOn(DirectoryCatalog& with, const VersionPtr& base, iceberg::TableMetadata metadata) {
    const auto group = store->NewWriteGroup();
    DS_ASSIGN_OR_RETURN(const auto prepared, with.Prepare(base ? base->number + 1 : 1, std::move(metadata), *group));
    DS_RETURN_IF_ERROR(group->Sync());
    published = prepared.version;
    return with.Publish(prepared, base);
  }
  /// A base that is ours, so that nobody is waited for before the create.
  VersionPtr First() {
    EXPECT_THAT(PublishOn(catalog, nullptr, Metadata(1)), IsOk());
    return published;
  }
  void SparkCreates(int64_t stamp) { std::ofstream(temporary) << iceberg::EncodeTableMetadata(Metadata(stamp)).value(); }
  void SparkRenames(int64_t number) { fs::rename(temporary, directory.path() + "/" + VersionKey(number)); }
  double Count(std::string_view name) {
    const auto sums = metrics.Read();
    const auto found = sums.find(name);
    return found == sums.end() ? 0 : found->second;
  }
};

TEST_F(ForeignWritersTest, OnlyUuidsAreHadoopsTemporaries) {
  EXPECT_TRUE(IsHadoopTemporary("7c3f4d7e-0000-4000-8000-00000000abcd.metadata.json"));
  EXPECT_TRUE(IsHadoopTemporary("7c3f4d7e-0000-4000-8000-00000000abcd.gz.metadata.json"));
  for (const char* const name : {"v7.metadata.json", "v7.gz.metadata.json", "version-hint.text", ".v7.metadata.json.crc",
                                 ".7c3f4d7e-0000-4000-8000-00000000abcd.metadata.json.crc", "00001-7c3f4d7e-0000-4000-8000-00000000abcd.metadata.json",
                                 "7c3f4d7e-0000-4000-8000-00000000abcd-m0.avro", ""})
    EXPECT_FALSE(IsHadoopTemporary(name)) << name;
}

TEST_F(ForeignWritersTest, NobodyIsWaitedForWhereNobodyIs) {
  const VersionPtr base = First();
  EXPECT_EQ(PublishOn(catalog, base, Metadata(2)).value(), Published::kWon);
  EXPECT_EQ(clock.slept.count(), 0);
  EXPECT_EQ(Count("datashard_foreign_waits_total"), 0);
}

TEST_F(ForeignWritersTest, AVersionThatIsReplacedIsNotAcknowledged) {
  const VersionPtr base = First();
  // Spark has looked before our create and is held before its rename.
  SparkCreates(102);
  clock.on_sleep = [&](auto slept) {
    if (slept >= std::chrono::milliseconds(300) && fs::exists(temporary) && store->Head(VersionKey(2)).ok()) SparkRenames(2);
  };
  EXPECT_EQ(PublishOn(catalog, base, Metadata(2)).value(), Published::kLost);
  EXPECT_EQ(Count("datashard_foreign_replacements_total"), 1);
  EXPECT_GE(Count("datashard_foreign_waits_total"), 1);
  ASSERT_OK_AND_ASSIGN(const VersionPtr now, catalog.Refresh(base));
  EXPECT_EQ(now->number, 2);
  EXPECT_EQ(now->metadata.current_snapshot_id, 102) << "Spark's version stands";
  EXPECT_EQ(PublishOn(catalog, now, Metadata(3)).value(), Published::kWon);
}

TEST_F(ForeignWritersTest, AVersionWithoutASnapshotThatIsReplacedIsNotTakenForOurs) {
  const VersionPtr base = First();
  // Only a mark rises, so that the snapshot of the base is in Spark's history as well as in ours.
  iceberg::TableMetadata withdrawal = base->metadata;
  withdrawal.properties["datashard.ring.00112233445566778899aabbccddeeff"] = "1764000000000;0:1";
  iceberg::TableMetadata sparks = Metadata(102);
  sparks.snapshots.front() = base->metadata.snapshots.front();
  auto second = std::make_shared<Snapshot>(*sparks.snapshots.back());
  second->parent_snapshot_id = base->metadata.current_snapshot_id;
  sparks.snapshots.back() = std::move(second);
  std::ofstream(temporary) << iceberg::EncodeTableMetadata(sparks).value();
  bool replaced = false;
  clock.on_sleep = [&](auto) {
    if (fs::exists(temporary) && store->Head(VersionKey(2)).ok()) SparkRenames(2), replaced = true;
  };
  EXPECT_EQ(PublishOn(catalog, base, withdrawal).value(), Published::kLost);
  EXPECT_TRUE(replaced);
  EXPECT_EQ(Count("datashard_foreign_replacements_total"), 1);
  ASSERT_OK_AND_ASSIGN(const VersionPtr now, catalog.Refresh(base));
  EXPECT_FALSE(now->metadata.properties.contains("datashard.ring.00112233445566778899aabbccddeeff"));

  // The table has gone on by so much that the replaced version has lost its body: nobody can tell whose it was.
  iceberg::TableMetadata third = now->metadata;
  third.properties["a"] = "b";
  ASSERT_EQ(PublishOn(catalog, now, third).value(), Published::kWon);
  const VersionPtr ours = published;
  std::ofstream(temporary) << iceberg::EncodeTableMetadata(third).value();
  withdrawal = third;
  withdrawal.properties["datashard.ring.00112233445566778899aabbccddeeff"] = "1764000000000;0:2";
  replaced = false;
  clock.on_sleep = [&](auto) {
    if (!fs::exists(temporary) || !store->Head(VersionKey(4)).ok()) return;
    SparkRenames(4);
    ASSERT_THAT(store->PutIfAbsent(VersionKey(5), *store->Get(VersionKey(4))), IsOk());
    ASSERT_THAT(store->DropBody(VersionKey(4), kTombstone), IsOk());
    replaced = true;
  };
  EXPECT_THAT(PublishOn(catalog, ours, withdrawal), HasKind(ErrorKind::kCommitUnknown));
  EXPECT_TRUE(replaced);
}

TEST_F(ForeignWritersTest, ABaseThatMayBeReplacedIsNotBuiltUpon) {
  const VersionPtr first = First();
  SparkCreates(102);
  // Another process of ours has published version 2 and waits; we have read it already.
  ASSERT_THAT(store->PutIfAbsent(VersionKey(2), iceberg::EncodeTableMetadata(Metadata(2)).value()), IsOk());
  ASSERT_OK_AND_ASSIGN(const VersionPtr unsettled, catalog.Refresh(first));
  ASSERT_EQ(unsettled->number, 2);
  clock.on_sleep = [&](auto) {
    EXPECT_THAT(store->Head(VersionKey(3)), HasKind(ErrorKind::kNotFound));
    if (fs::exists(temporary)) SparkRenames(2);
  };
  EXPECT_EQ(PublishOn(catalog, unsettled, Metadata(3)).value(), Published::kLost);
  EXPECT_THAT(store->Head(VersionKey(3)), HasKind(ErrorKind::kNotFound));
  EXPECT_EQ((*catalog.Refresh(unsettled))->metadata.current_snapshot_id, 102);
}

TEST_F(ForeignWritersTest, WhoWaitsShowsThatItLives) {
  const VersionPtr base = First();
  SparkCreates(102);
  const auto group = store->NewWriteGroup();
  ASSERT_OK_AND_ASSIGN(const auto prepared, catalog.Prepare(2, Metadata(2), *group));
  ASSERT_THAT(group->Sync(), IsOk());
  std::vector<std::chrono::microseconds> seen = {clock.slept};
  EXPECT_EQ(catalog.Publish(prepared, base, [&] { seen.push_back(clock.slept); }).value(), Published::kWon);
  seen.push_back(clock.slept);
  EXPECT_GT(clock.slept, std::chrono::seconds(4));
  for (size_t i = 1; i < seen.size(); ++i) EXPECT_LE(seen[i] - seen[i - 1], ForeignWriters::kLookMax);
}

TEST_F(ForeignWritersTest, AWriterThatGivesUpIsWaitedForAndNoLonger) {
  const VersionPtr base = First();
  SparkCreates(102);
  clock.on_sleep = [&](auto slept) {
    if (slept >= std::chrono::milliseconds(50)) fs::remove(temporary);
  };
  EXPECT_EQ(PublishOn(catalog, base, Metadata(2)).value(), Published::kWon);
  EXPECT_LT(clock.slept, std::chrono::milliseconds(200));
  EXPECT_EQ(Count("datashard_foreign_waits_total"), 1);
}

TEST_F(ForeignWritersTest, WhoLostARaceGoesFirst) {
  const VersionPtr base = First();
  SparkCreates(102);
  clock.on_sleep = [&](auto) { fs::remove(temporary); };  // it has found our version
  ASSERT_EQ(PublishOn(catalog, base, Metadata(2)).value(), Published::kWon);
  const VersionPtr second = published;
  // It comes back after a while, plans on our version, and would lose again if we did not wait.
  const auto start = clock.slept;
  clock.on_sleep = [&](auto slept) {
    if (fs::exists(temporary)) {
      SparkRenames(3);
    } else if (slept - start >= std::chrono::milliseconds(120) && store->Head(VersionKey(3)).kind() == ErrorKind::kNotFound) {
      SparkCreates(103);
    }
  };
  EXPECT_EQ(PublishOn(catalog, second, Metadata(3)).value(), Published::kLost);
  EXPECT_EQ(Count("datashard_foreign_turns_total"), 1);
  EXPECT_EQ((*catalog.Refresh(second))->metadata.current_snapshot_id, 103);
  clock.on_sleep = nullptr;
  const auto slept = clock.slept;
  EXPECT_EQ(PublishOn(catalog, catalog.Refresh(second).value(), Metadata(4)).value(), Published::kWon);
  EXPECT_EQ(clock.slept, slept) << "it has won";
}

TEST_F(ForeignWritersTest, WhoDoesNotComeBackIsGivenWayToOnce) {
  VersionPtr base = First();
  SparkCreates(102);
  clock.on_sleep = [&](auto) { fs::remove(temporary); };
  ASSERT_EQ(PublishOn(catalog, base, Metadata(2)).value(), Published::kWon);
  base = published;
  for (int64_t number = 3; number < 6; ++number) {
    ASSERT_EQ(PublishOn(catalog, base, Metadata(number)).value(), Published::kWon);
    base = published;
  }
  EXPECT_EQ(Count("datashard_foreign_turns_total"), 1);
  EXPECT_LT(clock.slept, ForeignWriters::kTurn + std::chrono::milliseconds(100));
}

TEST_F(ForeignWritersTest, NobodyGoesFirstTwiceRunning) {
  const VersionPtr base = First();
  SparkCreates(102);
  clock.on_sleep = [&](auto) { fs::remove(temporary); };
  ASSERT_EQ(PublishOn(catalog, base, Metadata(2)).value(), Published::kWon);
  const VersionPtr second = published;
  // Two that get into each other's way leave us our turn.
  bool there = false;
  clock.on_sleep = [&](auto) {
    there = !there;
    if (there) SparkCreates(103);
    else fs::remove(temporary);
  };
  EXPECT_EQ(PublishOn(catalog, second, Metadata(3)).value(), Published::kWon);
  EXPECT_EQ(Count("datashard_foreign_turns_total"), 1);
}

TEST_F(ForeignWritersTest, LitterIsWaitedForOnce) {
  const VersionPtr base = First();
  SparkCreates(102);
  EXPECT_EQ(PublishOn(catalog, base, Metadata(2)).value(), Published::kWon);
  EXPECT_GT(clock.slept, std::chrono::seconds(4));
  const auto slept = clock.slept;
  ASSERT_OK_AND_ASSIGN(const VersionPtr second, catalog.Refresh(base));
  EXPECT_EQ(PublishOn(catalog, second, Metadata(3)).value(), Published::kWon);
  EXPECT_EQ(clock.slept, slept);
  // Old litter costs a new process nothing; neither is a stamp from the future waited for longer than usual.
  fs::last_write_time(temporary, fs::last_write_time(temporary) - std::chrono::hours(1));
  DirectoryCatalog fresh(store, outside);
  EXPECT_THAT(PublishOn(fresh, fresh.Load().value(), Metadata(4)), IsOk());
  EXPECT_EQ(clock.slept, slept);
  fs::last_write_time(temporary, fs::last_write_time(temporary) + std::chrono::hours(24));
  DirectoryCatalog another(store, outside);
  EXPECT_THAT(PublishOn(another, another.Load().value(), Metadata(5)), IsOk());
  EXPECT_LT(clock.slept - slept, std::chrono::seconds(6));
}

TEST_F(ForeignWritersTest, ThePropertySaysThatNobodyElseWrites) {
  const VersionPtr base = First();
  SparkCreates(102);
  iceberg::TableMetadata alone = Metadata(2);
  alone.properties["datashard.foreign-writers"] = "no";
  EXPECT_EQ(PublishOn(catalog, base, alone).value(), Published::kWon);
  EXPECT_EQ(clock.slept.count(), 0);
  alone.properties["datashard.foreign-writers"] = "perhaps";
  EXPECT_THAT(PublishOn(catalog, base, alone), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(PublishOn(catalog, base, alone), HasMessage("expected 'auto' or 'no'"));
}

}  // namespace
}  // namespace datashard::catalog
