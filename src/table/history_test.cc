// Invariants: every snapshot ever committed is listed once, in order, found by id and by time, and shows its own rows;
// what a commit writes (metadata, manifest list) does not grow with their number.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "iceberg/history_root.h"
#include "sim/seed.h"
#include "sim/sim_clock.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"
#include "table/table_impl.h"

namespace datashard {
namespace {

const Properties kSmallWindow = {{"datashard.history.window-bytes", "1"}};

class HistoryTest : public testing::Test {
 protected:
  sim::SimClock clock;
  MetricSums metrics;
  std::unique_ptr<Random> random = SeededRandom(11);
  std::shared_ptr<ObjectStore> store = OpenMemoryStore("t", clock);
  std::vector<Snapshot> model;

  Outside outside() { return {clock, *random, metrics, SilentLog()}; }
  std::unique_ptr<Table> New(Properties properties = kSmallWindow) {
    auto table = CreateTableOn(store, outside(), {.schema = IdAndText(), .properties = std::move(properties)});
    EXPECT_THAT(table, IsOk());
    return std::move(table).value();
  }
  void AppendOne(Table& table) {
    clock.Sleep(std::chrono::milliseconds(random->Next() % 3));  // some of the same millisecond
    const auto snapshot = table.Append(RowsWithIds({static_cast<int64_t>(model.size())}));
    ASSERT_THAT(snapshot, IsOk());
    const auto found = table.snapshot_by_id((*snapshot)->snapshot_id);
    ASSERT_THAT(found, IsOk());
    ASSERT_TRUE(found->has_value());
    model.push_back(**found);
  }
  /// Rows 0 … index, in order.
  static void ExpectRows(const Table& table, const Snapshot& snapshot, size_t index) {
    auto stream = table.Scan({.columns = {{"id"}}, .snapshot_id = snapshot.snapshot_id});
    ASSERT_THAT(stream, IsOk());
    ASSERT_OK_AND_ASSIGN(const std::vector<int64_t> ids, IdsOf(std::move(stream).value()));
    ASSERT_EQ(ids.size(), index + 1);
    for (size_t i = 0; i < ids.size(); ++i) ASSERT_EQ(ids[i], static_cast<int64_t>(i));
  }
  /// Index of what the model says was current at a time, or -1.
  int64_t AsOf(int64_t timestamp_ms) const {
    int64_t found = -1;
    for (size_t i = 0; i < model.size(); ++i)
      if (model[i].timestamp_ms <= timestamp_ms) found = static_cast<int64_t>(i);
    return found;
  }
};

TEST_F(HistoryTest, FiveThousandCommitsStayReadableAndEachCostsTheSame) {
  constexpr size_t kCommits = 5000;
  const auto table = New();
  int64_t metadata_early = 0;
  int64_t metadata_max = 0;
  size_t list_max = 0;
  for (size_t i = 0; i < kCommits; ++i) {
    AppendOne(*table);
    if (HasFatalFailure()) return;
    const int64_t version = static_cast<int64_t>(i) + 2;
    const int64_t size = store->Head(catalog::VersionKey(version))->size_bytes;
    if (i < 500) metadata_early = std::max(metadata_early, size);
    metadata_max = std::max(metadata_max, size);
    if (i % 50 == 0) list_max = std::max(list_max, table->ReadManifestList(model.back().manifest_list)->size());
    if (version > 10) {
      ASSERT_THAT(store->Delete(catalog::VersionKey(version - 5)), IsOk());  // the test's memory
    }
  }
  EXPECT_LT(list_max, 40u);
  EXPECT_LT(metadata_max, metadata_early * 11 / 10) << "metadata grows";

  ASSERT_OK_AND_ASSIGN(const auto reopened, OpenTableOn(store, outside()));
  ASSERT_OK_AND_ASSIGN(const std::vector<Snapshot> listed, reopened->snapshots());
  ASSERT_EQ(listed.size(), model.size());
  EXPECT_EQ(*reopened->snapshot_count(), static_cast<int64_t>(model.size()));
  EXPECT_TRUE(listed == model);
  std::vector<Snapshot> streamed;
  ASSERT_THAT(reopened->ForEachSnapshot([&](const Snapshot& snapshot) -> Result<bool> {
    streamed.push_back(snapshot);
    return streamed.size() < 700;
  }), IsOk());
  EXPECT_EQ(streamed, (std::vector<Snapshot>(model.begin(), model.begin() + 700)));
  for (const int64_t limit : {0, 1, 100, 140, 1000, 4999, 5000, 9999}) {
    ASSERT_OK_AND_ASSIGN(const std::vector<Snapshot> newest, reopened->snapshots({.limit = limit}));
    const size_t count = std::min<size_t>(static_cast<size_t>(limit), model.size());
    EXPECT_TRUE(newest == std::vector<Snapshot>(model.end() - static_cast<std::ptrdiff_t>(count), model.end())) << limit;
  }
  for (size_t i = 0; i < model.size(); i += 7) {
    ASSERT_OK_AND_ASSIGN(const auto by_id, reopened->snapshot_by_id(model[i].snapshot_id));
    ASSERT_EQ(by_id, model[i]);
    const int64_t moment = model[i].timestamp_ms + static_cast<int64_t>(random->Next() % 3) - 1;
    ASSERT_OK_AND_ASSIGN(const auto by_time, reopened->snapshot_as_of(moment));
    const int64_t wanted = AsOf(moment);
    ASSERT_EQ(by_time, wanted < 0 ? std::nullopt : std::optional(model[static_cast<size_t>(wanted)])) << i;
  }
  EXPECT_EQ(*reopened->snapshot_as_of(model.front().timestamp_ms - 1), std::nullopt);
  EXPECT_EQ(*reopened->snapshot_by_id(12345), std::nullopt);
  EXPECT_THAT(reopened->Scan({.snapshot_id = 12345}), HasSubject(ErrorSubject::kSnapshot));
  for (int i = 0; i < 12; ++i) {
    const size_t index = random->Next() % (i < 6 ? 500 : model.size());
    ExpectRows(*reopened, model[index], index);
    EXPECT_EQ(*reopened->row_count(model[index].snapshot_id), static_cast<int64_t>(index) + 1);
  }
  ExpectRows(*reopened, model.back(), model.size() - 1);
}

TEST_F(HistoryTest, AYoungWindowUnderItsSizeKeepsItsSnapshots) {
  const auto table = New({{"datashard.history.window-bytes", "10000000"}});
  for (int i = 0; i < 200; ++i) AppendOne(*table);
  EXPECT_FALSE(table->properties()->contains("datashard.history"));
  clock.Sleep(std::chrono::minutes(11));
  AppendOne(*table);
  EXPECT_TRUE(table->properties()->contains("datashard.history"));
  EXPECT_EQ(table->properties()->at("gc.enabled"), "false");
  EXPECT_EQ(table->properties()->at("write.metadata.delete-after-commit.enabled"), "false");
  EXPECT_EQ(table->snapshots()->size(), 201u);
}

TEST_F(HistoryTest, AMissingOrDamagedSegmentIsNamedAndTheRestStaysReadable) {
  const auto table = New();
  for (int i = 0; i < 170; ++i) AppendOne(*table);
  ASSERT_OK_AND_ASSIGN(const auto files, store->List("metadata/history/"));
  ASSERT_EQ(files.size(), 2u);
  const std::string key = files[0].key;  // the names sort by the first sequence number
  ASSERT_OK_AND_ASSIGN(const Bytes body, store->Get(key));
  ASSERT_THAT(store->Replace(key, body.substr(0, body.size() - 1)), IsOk());
  EXPECT_THAT(table->snapshots(), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(table->snapshots(), HasMessage(key));
  ASSERT_THAT(store->Delete(key), IsOk());
  for (const auto& failed : {table->snapshot_by_id(model[3].snapshot_id), table->snapshot_as_of(model[3].timestamp_ms)}) {
    EXPECT_THAT(failed, HasKind(ErrorKind::kCorruption));
    EXPECT_THAT(failed, HasSubject(ErrorSubject::kMetadata));
    EXPECT_THAT(failed, HasMessage(key));
  }
  EXPECT_THAT(table->Scan({.snapshot_id = model[3].snapshot_id}), HasMessage(key));
  ExpectRows(*table, model[40], 40);
  EXPECT_EQ(table->snapshots({.limit = 120})->size(), 120u);
  EXPECT_THAT(table->snapshots({.limit = -1}), HasKind(ErrorKind::kInvalidArgument));
  AppendOne(*table);
}

TEST_F(HistoryTest, ATableOnDiskKeepsItsHistoryThroughReopeningAndMoving) {
  namespace fs = std::filesystem;
  std::string form = (fs::temp_directory_path() / "datashard-history-XXXXXX").string();
  ASSERT_NE(mkdtemp(form.data()), nullptr);
  const fs::path root = form;
  {
    ASSERT_OK_AND_ASSIGN(const auto table,
                         Table::Create((root / "t").string(), {.schema = IdAndText(), .properties = kSmallWindow}));
    for (int i = 0; i < 140; ++i) AppendOne(*table);
    EXPECT_TRUE(table->properties()->contains("datashard.history"));
    EXPECT_TRUE(*table->snapshots() == model);
  }
  fs::rename(root / "t", root / "moved");
  ASSERT_OK_AND_ASSIGN(const auto moved, Table::Open((root / "moved").string()));
  EXPECT_TRUE(*moved->snapshots() == model);
  for (const size_t index : {0, 31, 32, 139}) ExpectRows(*moved, model[index], index);
  fs::remove_all(root);
}

}  // namespace
}  // namespace datashard
