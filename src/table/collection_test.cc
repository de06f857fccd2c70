// Invariants: nothing that a snapshot needs goes, whoever writes meanwhile; nothing goes where anything is in doubt; what no
// snapshot needs goes once it is old, and nothing else.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "commit/append_files.h"
#include "iceberg/manifest.h"
#include "sim/faulty_store.h"
#include "sim/forwarding_store.h"
#include "storage/temporary_directory.h"
#include "table/maintenance_test_support.h"

namespace datashard {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kOrphan = "data/auto_0123456789abcdef.parquet";
const std::string kUuid = "7c3f4d7e-0000-4000-8000-000000000001";

class CollectorTest : public TestTable {
 protected:
  CollectReport Collect(const CollectOptions& options = {}) {
    auto report = table->CollectGarbage(options);
    EXPECT_THAT(report, IsOk());
    return report.ok() ? *report : CollectReport();
  }
  void ExpectAllReadable(size_t first = 0) {
    ASSERT_OK_AND_ASSIGN(const auto reopened, OpenTableOn(store, outside()));
    EXPECT_EQ(reopened->snapshots()->size(), model.size() - first);
    for (size_t i = first; i < model.size(); i += 7) ExpectRows(*reopened, i);
    ExpectRows(*reopened, model.size() - 1);
  }
  /// A file of rows that no snapshot names, and what a manifest would say of it.
  DataFile Orphan() {
    DataFile file = (*table->ReadManifest((*table->ReadManifestList(model[0].manifest_list))[0].manifest_path))[0].data_file;
    Put(std::string(kOrphan), *store->Get(*table->RelativePath(file.file_path)));
    file.file_path = "memory://t/" + std::string(kOrphan);
    return file;
  }
};

TEST_F(CollectorTest, WhatArchivedSnapshotsNeedStaysUntilTheyAreExpired) {
  Append(400);
  clock.Sleep(std::chrono::hours(100));
  EXPECT_THAT(Collect().other_files, IsEmpty()) << "versions that still have a body name all of the archive";
  Append(130);
  const CollectReport first = Collect();
  EXPECT_THAT(first.data_files, IsEmpty());
  EXPECT_THAT(first.manifests, IsEmpty());
  EXPECT_THAT(first.manifest_lists, IsEmpty());
  EXPECT_EQ(first.snapshots_read, 530);
  EXPECT_EQ(first.other_files.size(), 7u) << "segments that were merged after they were written, and that only dropped versions named";
  ExpectAllReadable();

  ASSERT_THAT(table->ExpireSnapshots({.older_than_ms = model[350].timestamp_ms}), IsOk());
  const CollectReport second = Collect();
  EXPECT_EQ(second.manifest_lists.size(), 350u);
  EXPECT_FALSE(second.manifests.empty());
  EXPECT_THAT(second.data_files, IsEmpty()) << "later snapshots have all the rows";
  ExpectAllReadable(350);
}

TEST_F(CollectorTest, FilesThatWereReplacedGoWithTheLastSnapshotThatNamesThem) {
  Append(3);
  const std::string file = *table->RelativePath(
      (*table->ReadManifest((*table->ReadManifestList(model[0].manifest_list))[0].manifest_path))[0].data_file.file_path);
  // As a merge of files leaves it: the newest snapshot has other manifests.
  Edit([&](iceberg::TableMetadata& next) {
    auto replaced = std::make_shared<Snapshot>(model[2]);
    replaced->snapshot_id = 77;
    replaced->parent_snapshot_id = model[2].snapshot_id;
    replaced->sequence_number = ++next.last_sequence_number;
    replaced->timestamp_ms = model[2].timestamp_ms + 1;
    replaced->summary = {{"operation", "replace"}};
    replaced->manifest_list = "memory://t/metadata/m/0/snap-77-1-" + kUuid + ".avro";
    const auto list = iceberg::EncodeManifestList({.snapshot_id = 77, .parent_snapshot_id = model[2].snapshot_id, .sequence_number = 4}, {});
    ASSERT_THAT(list, IsOk());
    Put("metadata/m/0/snap-77-1-" + kUuid + ".avro", *list);
    next.current_snapshot_id = 77;
    next.refs["main"].snapshot_id = 77;
    next.snapshots.push_back(replaced);
  });
  clock.Sleep(std::chrono::hours(100));
  EXPECT_THAT(Collect().data_files, IsEmpty());
  ASSERT_THAT(table->ExpireSnapshots({.older_than_ms = ToMillis(clock.Now()), .retain_last = 2}), IsOk());
  EXPECT_THAT(Collect().data_files, IsEmpty());
  EXPECT_TRUE(Has(file));
  ASSERT_THAT(table->ExpireSnapshots({.older_than_ms = ToMillis(clock.Now())}), IsOk());
  EXPECT_EQ(Collect().data_files.size(), 3u);
  EXPECT_FALSE(Has(file));
}

TEST_F(CollectorTest, OnlyOldFilesOfKnownKindsGo) {
  Append(2);
  const std::vector<std::string> own = {std::string(kOrphan), "data/day=1/auto_0123456789abcdef.parquet",
                                        "metadata/history/1-32-" + kUuid + ".avro", "metadata/m/0/" + kUuid + "-2-merged.avro",
                                        "metadata/m/0/" + kUuid + "-m0.avro", "metadata/m/0/snap-12-1-" + kUuid + ".avro",
                                        "metadata/pending/0123456789abcdef0123456789abcdef"};
  const std::vector<std::string> foreign = {"data/.00000-0.parquet.crc", "data/00000-0-" + kUuid + ".parquet",
                                            "data/auto_0123456789abcdeF.parquet", "data/auto_0123456789abcdef0.parquet",
                                            "metadata/" + kUuid + "-m0.avro", "metadata/" + kUuid + ".metadata.json",
                                            "metadata/m/x/" + kUuid + "-m0.avro", "metadata/snap-12-1-" + kUuid + ".avro",
                                            "metadata/x.stats"};
  const std::vector<std::string> kept = {".locks/metadata.lock", "README.txt", "metadata/.v1.metadata.json.crc",
                                         "metadata/notes.txt", "other/auto_0123456789abcdef.parquet", "version-hint.text"};
  for (const auto* keys : {&own, &foreign, &kept})
    for (const std::string& key : *keys) Put(key);
  const auto all_of = [](const CollectReport& report) {
    std::vector<std::string> keys;
    for (const auto* some : {&report.data_files, &report.manifests, &report.manifest_lists, &report.other_files})
      keys.insert(keys.end(), some->begin(), some->end());
    std::sort(keys.begin(), keys.end());
    return keys;
  };
  clock.Sleep(std::chrono::minutes(60));
  EXPECT_THAT(all_of(Collect()), IsEmpty());
  clock.Sleep(std::chrono::seconds(1));
  const int64_t version = *table->version();
  EXPECT_EQ(all_of(Collect({.dry_run = true})), own);
  EXPECT_EQ(*table->version(), version) << "a dry run publishes nothing";
  for (const std::string& key : own) EXPECT_TRUE(Has(key)) << key;
  const CollectReport report = Collect();
  EXPECT_EQ(all_of(report), own);
  EXPECT_EQ(report.unknown_files, 1);
  EXPECT_EQ(report.kept_files, static_cast<int64_t>(foreign.size()));
  EXPECT_EQ(report.size_bytes, static_cast<int64_t>(own.size()));
  for (const std::string& key : own) EXPECT_FALSE(Has(key)) << key;
  EXPECT_EQ(*table->version(), version + 1);
  clock.Sleep(std::chrono::hours(71));
  EXPECT_EQ(all_of(Collect()), foreign);
  for (const std::string& key : kept) EXPECT_TRUE(Has(key)) << key;
  ExpectAllReadable();
}

TEST_F(CollectorTest, GracePeriodsHaveMinimums) {
  EXPECT_THAT(table->CollectGarbage({.grace_own = std::chrono::minutes(4)}), HasMessage("too short"));
  EXPECT_THAT(table->CollectGarbage({.grace_foreign = std::chrono::hours(23)}), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(table->CollectGarbage({.grace_own = std::chrono::minutes(-1), .allow_short_grace = true}),
              HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(table->CollectGarbage({.grace_own = {}, .grace_foreign = {}, .allow_short_grace = true}), IsOk());
  Edit([](iceberg::TableMetadata& next) { next.properties["gc.enabled"] = "false"; });
  EXPECT_THAT(table->CollectGarbage(), HasKind(ErrorKind::kUnsupported));
}

TEST_F(CollectorTest, AnyDoubtEndsItWithNothingRemoved) {
  Append(200);
  Put(std::string(kOrphan));
  clock.Sleep(std::chrono::hours(2));
  const auto manifest = (*table->ReadManifestList(model[3].manifest_list))[0];
  const auto key_of = [&](const std::string& uri) { return *table->RelativePath(uri); };
  const std::string data = key_of((*table->ReadManifest(manifest.manifest_path))[0].data_file.file_path);
  const std::string segment = (*store->List("metadata/history/"))[0].key;
  const auto expect_refusal = [&](ErrorKind kind, const std::string& about) {
    const std::vector<std::string> before = Keys();
    EXPECT_THAT(table->CollectGarbage(), HasKind(kind)) << about;
    EXPECT_THAT(table->CollectGarbage(), HasMessage(about));
    EXPECT_EQ(Keys(), before);
  };
  for (const std::string& key : {key_of(model[3].manifest_list), key_of(model[199].manifest_list), key_of(manifest.manifest_path),
                                 data, segment}) {
    const Bytes body = *store->Get(key);
    ASSERT_THAT(store->Delete(key), IsOk());
    expect_refusal(ErrorKind::kCorruption, key);
    if (key != data) {
      Put(key, body.substr(0, body.size() / 2));
      expect_refusal(ErrorKind::kCorruption, key);
    }
    Put(key, body);
  }
  const std::string inner = "data/inner/metadata/v1.metadata.json";
  Put(inner);
  expect_refusal(ErrorKind::kUnsupported, inner);
  ASSERT_THAT(store->Delete(inner), IsOk());
  Edit([](iceberg::TableMetadata& next) { next.statistics = R"([{"snapshot-id":1,"statistics-path":"s3://elsewhere/x"}])"; });
  expect_refusal(ErrorKind::kInvalidArgument, "elsewhere");
  Edit([](iceberg::TableMetadata& next) { next.statistics.reset(); });
  EXPECT_THAT(Collect().data_files, ElementsAre(std::string(kOrphan)));
}

/// Does something once, when files below data/ are listed: the walk is over then.
class AtListing final : public sim::ForwardingStore {
 public:
  AtListing(std::shared_ptr<ObjectStore> base, std::function<void()> then) : ForwardingStore(std::move(base)), then_(std::move(then)) {}
  Result<std::vector<ObjectInfo>> List(std::string_view prefix) override {
    auto listed = base_->List(prefix);
    if (prefix == "data/" && then_) std::exchange(then_, {})();
    return listed;
  }

 private:
  std::function<void()> then_;
};

TEST_F(CollectorTest, AFileThatANewVersionNamesMeanwhileEndsIt) {
  Append(3);
  const DataFile orphan = Orphan();
  clock.Sleep(std::chrono::hours(2));
  bool named = false;
  const auto hooked = std::make_shared<AtListing>(store, [&] {
    commit::AppendFiles change({std::vector<DataFile>{orphan}}, IdAndText(), commit::NewChangeIds(*random));
    named = Commit(store, outside(), change).ok();
    for (int i = 0; i < 200; ++i) ASSERT_THAT(table->Append(RowsWithIds({900 + i})), IsOk());  // and is archived
  });
  ASSERT_OK_AND_ASSIGN(const auto collecting, OpenTableOn(hooked, outside()));
  const auto collected = collecting->CollectGarbage();
  EXPECT_TRUE(named);
  EXPECT_THAT(collected, HasKind(ErrorKind::kConflict));
  EXPECT_THAT(collected, HasMessage(std::string(kOrphan)));
  EXPECT_TRUE(Has(std::string(kOrphan)));
  EXPECT_EQ(*table->row_count(), 204);
  EXPECT_THAT(IdsOf(*table->Scan()), IsOk());
}

/// Stands still once, right before a version gets its name.
class BeforeCreate final : public sim::ForwardingStore {
 public:
  BeforeCreate(std::shared_ptr<ObjectStore> base, std::function<void()> then) : ForwardingStore(std::move(base)), then_(std::move(then)) {}
  Status Delete(std::string_view key) override {
    // The last call before that: a stale checksum of the version is removed.
    if (key.ends_with(".metadata.json.crc") && then_) std::exchange(then_, {})();
    return base_->Delete(key);
  }

 private:
  std::function<void()> then_;
};

TEST_F(CollectorTest, AWriterStoppedInACommitDoesNotNameWhatWasCollected) {
  Append(2);
  Edit([](iceberg::TableMetadata& next) { next.properties["datashard.commit.timeout"] = "1000000"; });
  for (const auto& [stopped, told] : {std::pair(std::chrono::minutes(1), true), std::pair(std::chrono::minutes(180), false)}) {
    Put("data/auto_00000000000000aa.parquet");
    clock.Sleep(std::chrono::hours(2));
    int64_t collected = -1;
    const auto hooked = std::make_shared<BeforeCreate>(store, [&] {
      clock.Sleep(stopped);
      const CollectReport report = Collect();
      collected = static_cast<int64_t>(report.data_files.size());
    });
    ASSERT_OK_AND_ASSIGN(const auto writer, OpenTableOn(hooked, outside()));
    const auto appended = writer->Append(RowsWithIds({50}));
    EXPECT_EQ(collected, told ? 1 : 2) << "the writer's own file too, if it was stopped for long";
    EXPECT_EQ(appended.ok(), told);
    if (!told) {
      EXPECT_THAT(appended, HasKind(ErrorKind::kConflict));
      EXPECT_THAT(appended, HasMessage("held up"));
    }
    EXPECT_EQ(*table->row_count(), 3) << "one of the two";
    EXPECT_THAT(IdsOf(*table->Scan()), IsOk());
    EXPECT_THAT(writer->CollectGarbage(), IsOk());
  }
}

TEST_F(CollectorTest, ALongTransactionKeepsItsFilesAsLongAsItsLeaseHolds) {
  Append(1);
  auto transaction = table->NewTransaction();
  transaction->Begin();
  ASSERT_THAT(transaction->Append(RowsWithIds({1})), IsOk());
  for (int hours = 0; hours < 60; hours += 20) {
    clock.Sleep(std::chrono::hours(20));
    EXPECT_THAT(Collect().data_files, IsEmpty());
    ASSERT_THAT(transaction->Append(RowsWithIds({2})), IsOk());
  }
  ASSERT_THAT(transaction->Commit(), IsOk());
  EXPECT_THAT(*store->List("metadata/inflight/"), IsEmpty());
  EXPECT_EQ(IdsOf(*table->Scan())->size(), 5u);

  transaction->Begin();
  ASSERT_THAT(transaction->Append(RowsWithIds({3})), IsOk());
  clock.Sleep(std::chrono::minutes(23 * 60 + 30));
  EXPECT_THAT(transaction->Commit(), HasKind(ErrorKind::kConflict));
  EXPECT_EQ(IdsOf(*table->Scan())->size(), 5u);

  // A process that died: a day later its files go, and the lease with them.
  auto dead = table->NewTransaction();
  dead->Begin();
  ASSERT_THAT(dead->Append(RowsWithIds({4})), IsOk());
  clock.Sleep(std::chrono::hours(24));
  EXPECT_THAT(Collect().data_files, IsEmpty());
  clock.Sleep(std::chrono::seconds(1));
  const CollectReport report = Collect();
  EXPECT_EQ(report.data_files.size(), 1u);
  EXPECT_EQ(report.other_files.size(), 1u);
  EXPECT_THAT(*store->List("metadata/inflight/"), IsEmpty());
}

TEST_F(CollectorTest, MarkersOfTheReleasedPackageAreHonoured) {
  Append(1);
  const std::vector<std::string> files = {"data/auto_00000000000000a1.parquet", "data/auto_00000000000000a2.parquet",
                                          "data/auto_00000000000000a3.parquet"};
  for (const std::string& file : files) Put(file);
  clock.Sleep(std::chrono::hours(2));
  Put("metadata/inflight/a1.inflight", R"({"file_path": "data/auto_00000000000000a1.parquet"})");
  Put("metadata/inflight/a2.inflight", R"({"file_path": "/data/auto_00000000000000a2.parquet"})");
  EXPECT_THAT(Collect().data_files, ElementsAre(files[2]));
  // One that says something else holds everything that is not older than it.
  Put("metadata/inflight/b.inflight", R"(["what is this"])");
  Put(files[2]);
  clock.Sleep(std::chrono::hours(2));
  EXPECT_THAT(Collect().data_files, IsEmpty());
  clock.Sleep(std::chrono::hours(23));
  EXPECT_EQ(Collect().data_files, files) << "after a day they are abandoned";
  Put("metadata/inflight/0123456789abcdef.lease", "{");
  Put(files[0]);
  clock.Sleep(std::chrono::hours(2));
  EXPECT_THAT(Collect().data_files, IsEmpty()) << "a lease that cannot be read may be of any age";
}

TEST_F(CollectorTest, AppendersBesideACollectorLoseNothing) {
  for (int round = 0; round < 12; ++round) {
    Append(10);
    clock.Sleep(std::chrono::minutes(40));
    const auto hooked = std::make_shared<AtListing>(store, [&] { Append(40); });
    ASSERT_OK_AND_ASSIGN(const auto collecting, OpenTableOn(hooked, outside()));
    ASSERT_THAT(collecting->ExpireSnapshots({.older_than_ms = model[model.size() - 5].timestamp_ms}), IsOk());
    ASSERT_THAT(collecting->CollectGarbage(), IsOk());
    ExpectRows(*table, model.size() - 1);
    ExpectRows(*table, model.size() - 30);
  }
}

TEST_F(CollectorTest, AFaultAtAnyCallLeavesATableThatReadsAndCanBeCollected) {
  for (const bool persists : {true, false}) {
    for (const sim::Effect effect : {sim::Effect::kNotApplied, sim::Effect::kApplied}) {
      int64_t crash_at = 0;
      for (;; ++crash_at) {
        SCOPED_TRACE(fmt::format("call {}, effect {}, {}", crash_at, static_cast<int>(effect), persists ? "crash" : "outage"));
        store = OpenMemoryStore("t", clock);
        model.clear();
        const auto faulty = std::make_shared<sim::FaultyStore>(store);
        ASSERT_OK_AND_ASSIGN(table, CreateTableOn(store, outside(), {.schema = IdAndText()}));
        Append(6);
        Put(std::string(kOrphan));
        clock.Sleep(std::chrono::hours(2));
        ASSERT_OK_AND_ASSIGN(const auto failing, OpenTableOn(faulty, outside()));
        faulty->SetPlan({.crash_after_calls = crash_at, .crash_effect = effect, .crash_persists = persists});
        const auto expired = failing->ExpireSnapshots({.older_than_ms = model[3].timestamp_ms});
        const auto collected = failing->CollectGarbage();
        const bool fired = faulty->all_fired();
        ASSERT_OK_AND_ASSIGN(const auto reopened, OpenTableOn(store, outside()));
        const size_t left = reopened->snapshots()->size();
        EXPECT_TRUE(left == 6 || left == 3) << left;
        if (expired.ok()) {
          EXPECT_EQ(left, 3u);
        }
        for (size_t i = 6 - left; i < 6; ++i) ExpectRows(*reopened, i);
        ASSERT_THAT(reopened->ExpireSnapshots({.older_than_ms = model[3].timestamp_ms}), IsOk());
        clock.Sleep(std::chrono::hours(2));
        ASSERT_THAT(reopened->CollectGarbage(), IsOk());
        EXPECT_FALSE(Has(std::string(kOrphan)));
        for (size_t i = 3; i < 6; ++i) ExpectRows(*reopened, i);
        EXPECT_FALSE(Has(*reopened->RelativePath(model[0].manifest_list)));
        if (HasFatalFailure() || !fired) break;
      }
      EXPECT_GT(crash_at, 30) << "the two make more calls than that";
    }
  }
}

TEST(CollectorOnDisk, LinksAndTemporaryFiles) {
  const TemporaryDirectory directory;
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Create(directory.path(), {.schema = IdAndText()}));
  ASSERT_THAT(table->Append(RowsWithIds({1, 2})), IsOk());
  const std::string root = directory.path();
  const auto entries = *table->ReadManifest((*table->ReadManifestList((*table->current_snapshot())->manifest_list))[0].manifest_path);
  const std::string live = root + "/" + *table->RelativePath(entries[0].data_file.file_path);
  const std::string other_name = root + "/data/auto_00000000000000bb.parquet";
  const std::string leftover = root + "/data/.datashard-0123456789abcdef.tmp";
  const std::string hidden = root + "/data/.datashard-mine.tmp";
  std::filesystem::create_hard_link(live, other_name);
  for (const std::string& path : {leftover, hidden}) std::ofstream(path) << "x";
  const CollectOptions at_once{.grace_own = {}, .grace_foreign = {}, .allow_short_grace = true};

  std::filesystem::create_symlink(live, root + "/data/link.parquet");
  EXPECT_THAT(table->CollectGarbage(at_once), HasMessage("link.parquet"));
  EXPECT_TRUE(std::filesystem::exists(leftover));
  std::filesystem::remove(root + "/data/link.parquet");

  ::usleep(20'000);  // the kernel stamps files with a clock that ticks
  CollectOptions dry = at_once;
  dry.dry_run = true;
  ASSERT_OK_AND_ASSIGN(const CollectReport planned, table->CollectGarbage(dry));
  EXPECT_THAT(planned.data_files, ElementsAre("data/auto_00000000000000bb.parquet"));
  EXPECT_THAT(planned.other_files, testing::Contains("data/.datashard-0123456789abcdef.tmp"));
  EXPECT_TRUE(std::filesystem::exists(leftover));
  ASSERT_OK_AND_ASSIGN(const CollectReport done, table->CollectGarbage(at_once));
  EXPECT_FALSE(std::filesystem::exists(other_name));
  EXPECT_FALSE(std::filesystem::exists(leftover));
  EXPECT_TRUE(std::filesystem::exists(hidden)) << "not a name that we make";
  EXPECT_EQ(IdsOf(*table->Scan())->size(), 2u);

  // Behind a symbolic link the whole directory keeps its names.
  std::filesystem::rename(root + "/data", root + "/elsewhere");
  std::filesystem::create_directory_symlink(root + "/elsewhere", root + "/data");
  EXPECT_THAT(table->CollectGarbage(at_once), IsOk());
  EXPECT_EQ(IdsOf(*table->Scan())->size(), 2u);
}

}  // namespace
}  // namespace datashard
