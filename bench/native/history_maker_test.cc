// Invariants: a made history is a table like any other: every snapshot is listed once and found by time, those that are said
// to be readable show their row, the newest rows are the current state, and commits go on.
#include "history_maker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "datashard/table.h"
#include "one_row.h"
#include "storage/temporary_directory.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"

namespace bench {
namespace {

using namespace datashard;
namespace fs = std::filesystem;

class HistoryMakerTest : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  const std::string path_ = directory_.path() + "/table";

  std::string VersionPath(int64_t number) const { return path_ + "/metadata/v" + std::to_string(number) + ".metadata.json"; }
  static std::vector<int64_t> Ids(const Table& table, std::optional<int64_t> snapshot_id = std::nullopt) {
    Result<ArrowStream> stream = table.Scan({.columns = {{"id"}}, .snapshot_id = snapshot_id});
    EXPECT_THAT(stream, IsOk());
    if (!stream.ok()) return {};
    return IdsOf(std::move(stream).value()).value();
  }
  static std::vector<int64_t> Numbers(int64_t first, int64_t last) {
    std::vector<int64_t> numbers;
    for (int64_t i = first; i <= last; ++i) numbers.push_back(i);
    return numbers;
  }
};

TEST_F(HistoryMakerTest, AMadeHistoryIsATableWhoseSnapshotsAreAllFound) {
  ASSERT_OK_AND_ASSIGN(const MadeHistory made, MakeHistory({.path = path_, .snapshots = 700, .readable = 5}));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Table> table, Table::Open(path_));
  EXPECT_EQ(table->version().value(), 701);
  EXPECT_EQ(table->snapshot_count().value(), 700);
  EXPECT_EQ(table->row_count().value(), 100);
  EXPECT_EQ(Ids(*table), Numbers(601, 700));

  std::vector<int64_t> sequence_numbers;
  ASSERT_THAT(table->ForEachSnapshot([&](const Snapshot& snapshot) -> Result<bool> {
    sequence_numbers.push_back(snapshot.sequence_number);
    return true;
  }), IsOk());
  EXPECT_EQ(sequence_numbers, Numbers(1, 700));

  for (int64_t sequence_number = 1; sequence_number <= 601; sequence_number += 50) {
    const int64_t moment = made.first_timestamp_ms + (sequence_number - 1) * kStepMs + kStepMs / 2;
    ASSERT_OK_AND_ASSIGN(const std::optional<Snapshot> found, table->snapshot_as_of(moment));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->sequence_number, sequence_number);
  }
  ASSERT_EQ(made.readable.size(), 5u);
  for (const ReadableSnapshot& one : made.readable) {
    EXPECT_EQ(Ids(*table, one.snapshot_id), std::vector{one.sequence_number});
    ASSERT_OK_AND_ASSIGN(const std::optional<Snapshot> found, table->snapshot_as_of(one.timestamp_ms));
    EXPECT_EQ(found->snapshot_id, one.snapshot_id);
  }
}

TEST_F(HistoryMakerTest, ItsCommitsGoOnAndItsOldVersionsAreDropped) {
  ASSERT_THAT(MakeHistory({.path = path_, .snapshots = 700}), IsOk());
  EXPECT_EQ(std::distance(fs::directory_iterator(path_ + "/data"), fs::directory_iterator()), 700);
  EXPECT_EQ(fs::file_size(VersionPath(1)), fs::file_size(VersionPath(400)));
  EXPECT_GT(fs::hard_link_count(VersionPath(1)), 400u);
  EXPECT_GT(fs::file_size(VersionPath(600)), 10'000u);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Table> table, Table::Open(path_));
  for (int64_t id = 701; id <= 770; ++id) ASSERT_THAT(table->Append(OneRow(MakeRecord(id))), IsOk());
  EXPECT_EQ(Ids(*table), Numbers(601, 770));
  EXPECT_EQ(table->snapshot_count().value(), 770);
}

TEST_F(HistoryMakerTest, AHistoryOfLiveFilesNamesEachOnceAndGoesOn) {
  ASSERT_THAT(MakeHistory({.path = path_, .snapshots = 700, .all_live = true}), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Table> table, Table::Open(path_));
  for (int64_t id = 701; id <= 720; ++id) ASSERT_THAT(table->Append(OneRow(MakeRecord(id))), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::optional<Snapshot> current, table->current_snapshot());
  ASSERT_OK_AND_ASSIGN(const std::vector<ManifestFile> manifests, table->ReadManifestList(current->manifest_list));
  EXPECT_LT(manifests.size(), 32u);
  std::vector<std::string> paths;
  for (const ManifestFile& manifest : manifests) {
    ASSERT_OK_AND_ASSIGN(const std::vector<ManifestEntry> entries, table->ReadManifest(manifest.manifest_path));
    for (const ManifestEntry& entry : entries) paths.push_back(entry.data_file.file_path);
  }
  EXPECT_EQ(paths.size(), 720u);
  std::sort(paths.begin(), paths.end());
  EXPECT_EQ(std::unique(paths.begin(), paths.end()), paths.end());
  EXPECT_EQ(table->row_count().value(), 720);
}

TEST_F(HistoryMakerTest, RefusesBeforeItWritesWhereRoomOrInodesAreShort) {
  const HistoryPlan plan{.path = path_, .snapshots = 1'000'000'000'000'000};
  const auto refused = MakeHistory(plan);
  EXPECT_THAT(refused, HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(refused, HasMessage("nothing was written"));
  EXPECT_FALSE(fs::exists(path_));

  const HistoryPlan small{.path = path_, .snapshots = 1'000};
  const Room needed = RoomNeeded(small);
  EXPECT_THAT(CheckRoom(small, needed), IsOk());
  EXPECT_THAT(CheckRoom(small, {.bytes = needed.bytes, .inodes = -1}), IsOk());
  EXPECT_THAT(CheckRoom(small, {.bytes = needed.bytes - 1, .inodes = needed.inodes}), HasMessage("MB are free"));
  EXPECT_THAT(CheckRoom(small, {.bytes = needed.bytes, .inodes = needed.inodes - 1}), HasMessage("inodes, but"));
}

TEST_F(HistoryMakerTest, RefusesAPlanThatMakesNoSenseAndAPlaceThatIsTaken) {
  EXPECT_THAT(MakeHistory({.path = path_, .snapshots = kRealAppends}), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(MakeHistory({.path = directory_.path(), .snapshots = 700}), HasKind(ErrorKind::kAlreadyExists));
}

}  // namespace
}  // namespace bench
