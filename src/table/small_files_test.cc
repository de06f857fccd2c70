// Invariants of merging small files: rows and their order stay; snapshots before stay readable; each row is written anew once;
// the list of manifests stays short; whoever else writes or deletes is given way to.
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "sim/sim_clock.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"
#include "table/small_file_merger.h"
#include "table/table_impl.h"

namespace datashard {
namespace {

namespace fs = std::filesystem;

constexpr commit::MergeLimits kFew{.trigger_files = 10, .files_min = 4, .files_max = 8};

std::vector<int64_t> UpTo(int64_t end) {
  std::vector<int64_t> ids(static_cast<size_t>(end));
  std::iota(ids.begin(), ids.end(), 0);
  return ids;
}

bool Never() { return false; }

class SmallFilesTest : public testing::Test {
 protected:
  sim::SimClock clock;
  MetricSums metrics;
  std::unique_ptr<Random> random = SeededRandom(7);
  std::shared_ptr<ObjectStore> store = OpenMemoryStore("t", clock);

  Outside outside() { return {clock, *random, metrics, SilentLog()}; }
  std::unique_ptr<Table> New(Properties properties = {}) {
    auto table = CreateTableOn(store, outside(), {.schema = IdAndText(), .properties = std::move(properties)});
    EXPECT_THAT(table, IsOk());
    return std::move(table).value();
  }
  void Append(Table& table, int64_t count) {
    for (int64_t i = 0; i < count; ++i) ASSERT_THAT(table.Append(RowsWithIds({next_id++})), IsOk());
  }
  SmallFileMerger Merger(commit::MergeLimits limits = kFew) { return SmallFileMerger(store, outside(), nullptr, limits); }
  static std::vector<int64_t> Scan(const Table& table, std::optional<int64_t> snapshot_id = std::nullopt) {
    auto stream = table.Scan({.snapshot_id = snapshot_id});
    EXPECT_THAT(stream, IsOk());
    auto ids = IdsOf(std::move(stream).value());
    EXPECT_THAT(ids, IsOk());
    return ids.ok() ? *ids : std::vector<int64_t>();
  }
  double Counted(std::string_view name) {
    const auto sums = metrics.Read();
    const auto found = sums.find(name);
    return found == sums.end() ? 0 : found->second;
  }

  int64_t next_id = 0;
};

TEST_F(SmallFilesTest, ARunBecomesOneFileInItsPlaceAndHistoryStaysAsItWas) {
  const auto table = New();
  Append(*table, 11);
  ASSERT_OK_AND_ASSIGN(const std::vector<Snapshot> before, table->snapshots());
  SmallFileMerger merger = Merger();
  ASSERT_OK_AND_ASSIGN(const auto outcome, merger.MergeOnce(Never));
  EXPECT_TRUE(outcome.merged);
  EXPECT_EQ(Scan(*table), UpTo(11));

  ASSERT_OK_AND_ASSIGN(const std::vector<Snapshot> now, table->snapshots());
  ASSERT_EQ(now.size(), before.size() + 2);
  const Snapshot* const replace = &now[before.size()];
  EXPECT_EQ(replace->operation(), "replace");
  EXPECT_EQ(Scan(*table, replace->snapshot_id), UpTo(11));
  const std::map<std::string, std::string> summary(replace->summary.begin(), replace->summary.end());
  EXPECT_EQ(summary.at("added-data-files"), "1");
  EXPECT_EQ(summary.at("deleted-data-files"), "8");
  EXPECT_EQ(summary.at("added-records"), "8");
  EXPECT_EQ(summary.at("deleted-records"), "8");
  EXPECT_EQ(summary.at("total-data-files"), "4");
  EXPECT_EQ(summary.at("total-records"), "11");
  EXPECT_EQ(replace->parent_snapshot_id, before.back().snapshot_id);
  EXPECT_EQ(replace->sequence_number, before.back().sequence_number + 1);
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(Scan(*table, before[i].snapshot_id), UpTo(static_cast<int64_t>(i) + 1));
  }
  EXPECT_EQ(Counted("datashard_merges_total"), 1);
  EXPECT_EQ(Counted("datashard_merged_files_total"), 8);
  EXPECT_GT(Counted("datashard_merged_bytes_total"), 8 * 100);

  ASSERT_OK_AND_ASSIGN(const auto second, merger.MergeOnce(Never));
  EXPECT_FALSE(second.merged);
  EXPECT_EQ(second.next_look_files, 4 + (11 - 3)) << "3 small files are left";
  EXPECT_EQ(Counted("datashard_merges_given_up_total"), 0);
}

TEST_F(SmallFilesTest, EachRowIsWrittenAnewOnceAndTheListStaysShort) {
  const auto table = New({{"datashard.history.window-bytes", "1"}});
  SmallFileMerger merger = Merger();
  size_t list_max = 0;
  int64_t look_at = 0;
  for (int64_t i = 0; i < 1500; ++i) {
    Append(*table, 1);
    ASSERT_OK_AND_ASSIGN(const auto current, table->current_snapshot());
    ASSERT_OK_AND_ASSIGN(const auto list, table->ReadManifestList(current->manifest_list));
    list_max = std::max(list_max, list.size());
    int64_t files = 0;
    for (const ManifestFile& manifest : list) files += commit::LiveFiles(manifest);
    for (bool merged = files >= look_at; merged;) {
      ASSERT_OK_AND_ASSIGN(const auto outcome, merger.MergeOnce(Never));
      look_at = outcome.next_look_files;
      merged = outcome.merged;
    }
  }
  EXPECT_EQ(Scan(*table), UpTo(1500));
  EXPECT_LE(Counted("datashard_merged_files_total"), 1500) << "a row was written anew twice";
  EXPECT_GE(Counted("datashard_merged_files_total"), 1480);
  EXPECT_LT(list_max, 40u);
}

TEST_F(SmallFilesTest, AFewMoreFilesThanTheLimitAreNeeded) {
  const auto table = New();
  Append(*table, 10);
  SmallFileMerger merger = Merger();
  ASSERT_OK_AND_ASSIGN(const auto outcome, merger.MergeOnce(Never));
  EXPECT_FALSE(outcome.merged);
  EXPECT_EQ(outcome.next_look_files, 11);
  EXPECT_EQ(*table->version(), 11);
}

TEST_F(SmallFilesTest, ThePropertySwitchesItOffAndAnotherWordIsRefused) {
  const auto table = New({{"datashard.auto-merge", "off"}});
  Append(*table, 20);
  ASSERT_OK_AND_ASSIGN(const auto outcome, Merger().MergeOnce(Never));
  EXPECT_FALSE(outcome.merged);
  EXPECT_EQ(*table->snapshot_count(), 20);

  const std::shared_ptr<ObjectStore> other = OpenMemoryStore("other", clock);
  const auto refused = CreateTableOn(other, outside(), {.schema = IdAndText(), .properties = {{"datashard.auto-merge", "maybe"}}});
  EXPECT_THAT(refused, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(refused, HasMessage("'maybe'; expected 'on' or 'off'"));
}

TEST_F(SmallFilesTest, AMergeThatIsToldToStopLeavesNothing) {
  const auto table = New();
  Append(*table, 20);
  ASSERT_OK_AND_ASSIGN(const auto before, store->List(""));
  int asked = 0;
  const auto outcome = Merger().MergeOnce([&] { return ++asked > 3; });
  EXPECT_THAT(outcome, HasMessage("abandoned"));
  EXPECT_EQ(asked, 5) << "stopped at the fourth file, and looked at once more to tell why";
  ASSERT_OK_AND_ASSIGN(const auto after, store->List(""));
  EXPECT_EQ(after.size(), before.size());
}

TEST_F(SmallFilesTest, FilesThatCannotBeReadAreLeftAlone) {
  const auto table = New();
  Append(*table, 1);
  ASSERT_OK_AND_ASSIGN(const auto files, store->List("data/"));
  ASSERT_OK_AND_ASSIGN(const Bytes body, store->Get(files[0].key));
  ASSERT_THAT(store->Replace(files[0].key, body + "x"), IsOk());
  Append(*table, 19);
  SmallFileMerger merger = Merger();
  int refused = 0;
  for (int i = 0; i < 4; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto outcome, merger.MergeOnce(Never));
    refused += !outcome.merged;
  }
  EXPECT_GE(refused, 1);
  EXPECT_EQ(Counted("datashard_merges_given_up_total"), 1) << "the same run was tried twice";
  ASSERT_OK_AND_ASSIGN(const auto now, store->List("data/"));
  EXPECT_EQ(static_cast<double>(now.size()), 20 + Counted("datashard_merges_total"));
}

/// On a directory, with the thread.
class BackgroundMergesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string form = (fs::temp_directory_path() / "datashard-merge-XXXXXX").string();
    ASSERT_NE(mkdtemp(form.data()), nullptr);
    root = form;
  }
  void TearDown() override { fs::remove_all(root); }
  std::string Path() const { return (root / "t").string(); }

  static void Append(Table& table, int64_t from, int64_t to) {
    for (int64_t id = from; id < to; ++id) ASSERT_THAT(table.Append(RowsWithIds({id})), IsOk());
  }
  /// As many files as a merge waits for, less one, in one commit.
  static void AppendAlmostEnough(Table& table) {
    const auto transaction = table.NewTransaction();
    transaction->Begin();
    for (int64_t id = 0; id < kAlmostEnough; ++id) ASSERT_THAT(transaction->Append(RowsWithIds({id})), IsOk());
    ASSERT_THAT(transaction->Commit(), IsOk());
  }
  static constexpr int64_t kAlmostEnough = 256;
  /// Appends until a merge has been counted; gives how many rows there are then.
  static int64_t AppendUntilMerged(Table& table, int64_t from) {
    for (int64_t id = from; id < from + 10'000; ++id) {
      EXPECT_THAT(table.Append(RowsWithIds({id})), IsOk());
      if (table.metrics().contains("datashard_merges_total")) return id + 1;
    }
    ADD_FAILURE() << "no merge in ten thousand appends";
    return from;
  }
  static std::vector<int64_t> Scan(const Table& table) {
    auto stream = table.Scan();
    EXPECT_THAT(stream, IsOk());
    return IdsOf(std::move(stream).value()).value();
  }

  fs::path root;
};

TEST_F(BackgroundMergesTest, ManyAppendsAreMergedWhileTheyGoOn) {
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Create(Path(), {.schema = IdAndText()}));
  AppendAlmostEnough(*table);
  const int64_t rows = AppendUntilMerged(*table, kAlmostEnough);
  EXPECT_EQ(Scan(*table), UpTo(rows));
  EXPECT_EQ(*table->snapshot_count(), rows - kAlmostEnough + 3);
}

TEST_F(BackgroundMergesTest, AHandleClosesAtAnyMomentOfAMerge) {
  {
    ASSERT_OK_AND_ASSIGN(const auto table, Table::Create(Path(), {.schema = IdAndText()}));
    AppendAlmostEnough(*table);
  }
  int64_t rows = kAlmostEnough;
  for (int round = 0; round < 12; ++round) {
    ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(Path()));
    const int64_t more = 1 + round;
    Append(*table, rows, rows + more);
    rows += more;
  }
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(Path()));
  EXPECT_EQ(Scan(*table), UpTo(rows));
}

TEST_F(BackgroundMergesTest, AForkChildNeitherHasTheThreadNorWaitsForIt) {
  ASSERT_OK_AND_ASSIGN(auto table, Table::Create(Path(), {.schema = IdAndText()}));
  AppendAlmostEnough(*table);
  int64_t rows = kAlmostEnough;
  for (int round = 0; round < 10; ++round) {
    Append(*table, rows, rows + 1);  // starts a merge, sooner or later
    ++rows;
    const pid_t child = ::fork();
    if (child == 0) {
      const bool appended = table->Append(RowsWithIds({rows})).ok();
      const bool uncounted = !table->metrics().contains("datashard_merges_total");
      table.reset();
      ::_exit(appended && uncounted ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    ++rows;
  }
  EXPECT_EQ(Scan(*table), UpTo(rows));
}

TEST_F(BackgroundMergesTest, AHandleThatIsNeverClosedDoesNotHinderTheExit) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto created = Table::Create(Path(), {.schema = IdAndText()});
    Table* const table = std::move(created).value().release();
    AppendAlmostEnough(*table);
    for (int64_t id = kAlmostEnough; id < kAlmostEnough + 3; ++id) (void)table->Append(RowsWithIds({id}));
    std::exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(Path()));
  EXPECT_EQ(Scan(*table), UpTo(kAlmostEnough + 3));
}

TEST_F(BackgroundMergesTest, HandlesOfOneHostDoNotMergeTheSameFilesTwice) {
  {
    ASSERT_OK_AND_ASSIGN(const auto table, Table::Create(Path(), {.schema = IdAndText()}));
    AppendAlmostEnough(*table);
  }
  constexpr int kHandles = 4;
  constexpr int64_t kEach = 75;
  constexpr int64_t kRows = kAlmostEnough + kHandles * kEach;
  std::vector<std::unique_ptr<Table>> tables;
  for (int i = 0; i < kHandles; ++i) tables.push_back(Table::Open(Path()).value());
  std::vector<std::thread> threads;
  for (int i = 0; i < kHandles; ++i) {
    threads.emplace_back([&, i] { Append(*tables[static_cast<size_t>(i)], kAlmostEnough + i * kEach, kAlmostEnough + (i + 1) * kEach); });
  }
  for (std::thread& thread : threads) thread.join();
  double merged = 0;
  for (const auto& table : tables) {
    auto sums = table->metrics();
    merged += sums["datashard_merged_files_total"];
  }
  std::vector<int64_t> ids = Scan(*tables[0]);
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(ids, UpTo(kRows));
  EXPECT_LE(merged, static_cast<double>(kRows));
}

}  // namespace
}  // namespace datashard
