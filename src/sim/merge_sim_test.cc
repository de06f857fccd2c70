// Merging small files where everything goes wrong. Invariants: every acknowledged row is there once, in its order, in the
// newest state and in every snapshot before; no snapshot names a missing file; the table goes on; a merge that was refused
// leaves no data file behind.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "base/error.h"
#include "sim/faulty_store.h"
#include "sim/power_loss_store.h"
#include "sim/seed.h"
#include "sim/sim_clock.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"
#include "table/small_file_merger.h"
#include "table/table_impl.h"

namespace datashard::sim {
namespace {

constexpr commit::MergeLimits kFew{.trigger_files = 10, .files_min = 4, .files_max = 8};
constexpr int64_t kRows = 12;

bool Never() { return false; }

struct Host {
  explicit Host(uint64_t seed) : random(SeededRandom(seed)), disk(std::make_shared<PowerLossStore>("t", clock)) {
    auto created = CreateTableOn(disk, outside(), {.schema = IdAndText()});
    EXPECT_THAT(created, IsOk());
    for (int64_t id = 0; id < kRows; ++id) EXPECT_THAT((*created)->Append(RowsWithIds({id})), IsOk());
  }
  Outside outside() { return {clock, *random, metrics, SilentLog()}; }
  double Counted(std::string_view name) const {
    const auto sums = metrics.Read();
    const auto found = sums.find(name);
    return found == sums.end() ? 0 : found->second;
  }

  SimClock clock;
  std::unique_ptr<Random> random;
  MetricSums metrics;
  std::shared_ptr<PowerLossStore> disk;
};

std::vector<int64_t> RowsAt(const Table& table, std::optional<int64_t> snapshot_id) {
  auto stream = table.Scan({.snapshot_id = snapshot_id});
  EXPECT_THAT(stream, IsOk());
  auto ids = IdsOf(std::move(stream).value());
  EXPECT_THAT(ids, IsOk());
  return ids.ok() ? *ids : std::vector<int64_t>();
}

/// Every snapshot holds the rows of the one before it, in the same order, and more of its own where it is an append.
void ExpectInvariants(Host& host, const std::set<int64_t>& acknowledged) {
  ASSERT_OK_AND_ASSIGN(const auto table, OpenTableOn(host.disk, host.outside()));
  ASSERT_OK_AND_ASSIGN(const std::vector<Snapshot> snapshots, table->snapshots());
  std::vector<int64_t> before;
  for (size_t i = 0; i < snapshots.size(); ++i) {
    EXPECT_EQ(snapshots[i].sequence_number, static_cast<int64_t>(i) + 1);
    const std::vector<int64_t> now = RowsAt(*table, snapshots[i].snapshot_id);
    ASSERT_GE(now.size(), before.size());
    EXPECT_TRUE(std::equal(before.begin(), before.end(), now.begin())) << "rows changed their order or are lost";
    EXPECT_EQ(now.size() > before.size(), snapshots[i].operation() == "append");
    before = now;
  }
  const std::set<int64_t> found(before.begin(), before.end());
  EXPECT_EQ(found.size(), before.size()) << "a row is there twice";
  EXPECT_TRUE(std::includes(found.begin(), found.end(), acknowledged.begin(), acknowledged.end())) << "a row is lost";
  EXPECT_EQ(*table->row_count(), static_cast<int64_t>(before.size()));
  ASSERT_THAT(table->Append(RowsWithIds({1'000'000})), IsOk());
}

std::set<int64_t> FirstRows() {
  std::set<int64_t> rows;
  for (int64_t id = 0; id < kRows; ++id) rows.insert(id);
  return rows;
}

TEST(MergeSim, CrashAtEveryStoreCall) {
  const uint64_t seed = SeedFromEnvOrRandom();
  for (const Effect effect : {Effect::kNotApplied, Effect::kApplied, Effect::kLate}) {
    for (const bool persists : {true, false}) {
      for (const bool power_loss : {false, true}) {
        int64_t crash_at = 0;
        for (;; ++crash_at) {
          SCOPED_TRACE(fmt::format("seed {}, call {}, effect {}, {}, {}", seed, crash_at, static_cast<int>(effect),
                                   persists ? "crash" : "outage", power_loss ? "power loss" : "power stays"));
          Host host(seed + static_cast<uint64_t>(crash_at));
          const auto store = std::make_shared<FaultyStore>(host.disk);
          SmallFileMerger merger(store, host.outside(), nullptr, kFew);
          store->SetPlan({.crash_after_calls = crash_at, .crash_effect = effect, .crash_persists = persists});
          const auto outcome = merger.MergeOnce(Never);
          const bool fired = store->all_fired();
          if (!persists && effect == Effect::kNotApplied && !outcome.ok() && outcome.kind() != ErrorKind::kCommitUnknown) {
            ASSERT_OK_AND_ASSIGN(const auto files, host.disk->List("data/"));
            EXPECT_EQ(files.size(), static_cast<size_t>(kRows)) << "a refused merge left its file behind";
          }
          store->DeliverLate();
          if (power_loss) host.disk->PowerLoss(*host.random);
          ExpectInvariants(host, FirstRows());
          // Whoever comes next merges what is left to merge.
          SmallFileMerger next(host.disk, host.outside(), nullptr, kFew);
          EXPECT_THAT(next.MergeOnce(Never), IsOk());
          ExpectInvariants(host, FirstRows());
          if (testing::Test::HasFatalFailure() || !fired) break;
        }
        EXPECT_GT(crash_at, 20) << "a merge makes more calls than that";
      }
    }
  }
}

/// Runs a merge and lets `rival` do something right before its call number `at`. Gives whether that came to pass.
bool MergeWithRivalAt(Host& host, int64_t at, const std::function<void()>& rival, Result<SmallFileMerger::Outcome>* outcome) {
  int64_t calls = 0;
  bool came = false;
  const auto store = std::make_shared<FaultyStore>(host.disk);
  SmallFileMerger merger(store, host.outside(), nullptr, kFew);
  store->SetPlan({.before_call = [&] {
    if (calls++ != at) return;
    came = true;
    rival();
  }});
  *outcome = merger.MergeOnce(Never);
  return came;
}

TEST(MergeSim, AppendsOfTwoOthersBeforeAnyCallAreNeitherLostNorDoubled) {
  const uint64_t seed = SeedFromEnvOrRandom();
  int64_t at = 0;
  int64_t merged = 0;
  for (;; ++at) {
    SCOPED_TRACE(fmt::format("seed {}, before call {}", seed, at));
    Host host(seed + static_cast<uint64_t>(at));
    std::set<int64_t> acknowledged = FirstRows();
    Result<SmallFileMerger::Outcome> outcome = SmallFileMerger::Outcome{};
    const bool came = MergeWithRivalAt(host, at, [&] {
      for (int64_t writer : {100, 200}) {
        ASSERT_OK_AND_ASSIGN(const auto table, OpenTableOn(host.disk, host.outside()));
        for (int64_t id = writer; id < writer + 6; ++id) {
          ASSERT_THAT(table->Append(RowsWithIds({id})), IsOk());
          acknowledged.insert(id);
        }
      }
    }, &outcome);
    ASSERT_THAT(outcome, IsOk());
    merged += outcome->merged;
    ExpectInvariants(host, acknowledged);
    if (!came) break;
  }
  EXPECT_EQ(merged, at + 1) << "appends must not keep a merge away";
  EXPECT_GT(at, 20);
}

TEST(MergeSim, OfTwoMergesOfTheSameFilesTheSecondLosesHarmlessly) {
  const uint64_t seed = SeedFromEnvOrRandom();
  int64_t at = 0;
  int64_t lost = 0;
  for (;; ++at) {
    SCOPED_TRACE(fmt::format("seed {}, before call {}", seed, at));
    Host host(seed + static_cast<uint64_t>(at));
    Result<SmallFileMerger::Outcome> outcome = SmallFileMerger::Outcome{};
    const bool came = MergeWithRivalAt(host, at, [&] {
      SmallFileMerger rival(host.disk, host.outside(), nullptr, kFew);
      EXPECT_THAT(rival.MergeOnce(Never), IsOk());
    }, &outcome);
    ASSERT_THAT(outcome, IsOk());
    EXPECT_EQ(host.Counted("datashard_merges_total"), 1);
    lost += !outcome->merged;
    ASSERT_OK_AND_ASSIGN(const auto files, host.disk->List("data/"));
    EXPECT_EQ(files.size(), static_cast<size_t>(kRows) + 1) << "the loser's file stayed behind";
    ExpectInvariants(host, FirstRows());
    if (!came) break;
  }
  EXPECT_GT(lost, 10);
}

TEST(MergeSim, LostRacesAreGivenUpAfterAFew) {
  Host host(5);
  std::set<int64_t> acknowledged = FirstRows();
  const auto store = std::make_shared<FaultyStore>(host.disk);
  SmallFileMerger merger(store, host.outside(), nullptr, kFew);
  ASSERT_OK_AND_ASSIGN(const auto rival, OpenTableOn(host.disk, host.outside()));
  int64_t seen = 0;
  int64_t id = 100;
  store->SetPlan({.before_call = [&] {
    // Right before a version gets its name.
    for (const auto calls = store->calls(); seen < static_cast<int64_t>(calls.size()); ++seen) {
      const StoreCall& call = calls[static_cast<size_t>(seen)];
      if (call.op != StoreOp::kGroupSync || store->calls().size() < 20) continue;
      ASSERT_THAT(rival->Append(RowsWithIds({id})), IsOk());
      acknowledged.insert(id++);
    }
  }});
  ASSERT_OK_AND_ASSIGN(const auto outcome, merger.MergeOnce(Never));
  EXPECT_FALSE(outcome.merged);
  EXPECT_GE(id, 105);
  EXPECT_LE(id, 107);
  EXPECT_EQ(host.Counted("datashard_merges_given_up_total"), 1);
  ExpectInvariants(host, acknowledged);
}

}  // namespace
}  // namespace datashard::sim
