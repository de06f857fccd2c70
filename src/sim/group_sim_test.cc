// The model of group commit: several leaders publish overlapping groups, each of them stopped at any of its store calls
// while others go on, crash or get no answer. Invariants: a row is in the chain at most once; an acknowledged row is in it,
// exactly once; marks never fall along the chain; sequence numbers rise by one.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "base/error.h"
#include "commit/append_group.h"
#include "commit/committer.h"
#include "commit/marks.h"
#include "data/data_file.h"
#include "data/row_batch.h"
#include "sim/faulty_store.h"
#include "sim/power_loss_store.h"
#include "sim/seed.h"
#include "sim/sim_clock.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"
#include "table/table_impl.h"

namespace datashard::sim {
namespace {

using commit::AppendGroup;
using commit::PayloadKind;

constexpr std::string_view kRingId = "00112233445566778899aabbccddeeff";

int64_t RowOf(int slot, int64_t seq) { return slot * 1000 + seq; }

/// What waits in `slot` under `seq`: one row that nobody else appends.
ring::Submission Waiting(int slot, int64_t seq) {
  auto conformed = data::ConformRows(RowsWithIds({RowOf(slot, seq)}), IdAndText());
  auto encoded = data::EncodeRows(std::move(conformed).value(), IdAndText(), 1 << 20);
  return {.slot = slot,
          .seq = seq,
          .arrival = seq,
          .label = {.kind = static_cast<int32_t>(PayloadKind::kRows), .schema_id = 1, .rows = 1},
          .payload = encoded.value().bytes};
}

/// A host: a disk, a clock and a table.
struct Host {
  explicit Host(uint64_t seed) : random(SeededRandom(seed)), disk(std::make_shared<PowerLossStore>("t", clock)) {
    EXPECT_THAT(CreateTableOn(disk, outside(), {.schema = IdAndText()}), IsOk());
  }
  Outside outside() { return {clock, *random, metrics, SilentLog()}; }

  SimClock clock;
  std::unique_ptr<Random> random;
  MetricSums metrics;
  std::shared_ptr<PowerLossStore> disk;
};

/// A process that leads: it has copied some slots and publishes them. `forgetful` ones write no marks, as a design without
/// them would.
struct Leader {
  Leader(Host& host, FaultPlan plan)
      : store(std::make_shared<FaultyStore>(host.disk)), catalog(store, host.outside()),
        committer(store, catalog, host.outside()), host(host) {
    base = catalog.Load().value();
    store->SetPlan(std::move(plan));
  }

  /// Publishes the copies and notes what was told to whom.
  void Publish(std::vector<ring::Submission> copies, std::set<int64_t>& acknowledged, bool forgetful) {
    std::vector<int64_t> rows;
    for (ring::Submission& copy : copies) {
      rows.push_back(RowOf(copy.slot, copy.seq));
      if (forgetful) copy.slot = -1;
    }
    const auto group = store->NewWriteGroup();
    AppendGroup change(std::string(kRingId), /*registered=*/false, std::move(copies), *store, *group, *host.random);
    const auto committed = committer.Commit(change, base, *group);
    if (!committed.ok()) {
      if (committed.kind() != ErrorKind::kCommitUnknown) change.DropAll();
      return;
    }
    for (size_t i = 0; i < rows.size(); ++i) {
      if (change.answers()[i].outcome == AppendGroup::Outcome::kCommitted) acknowledged.insert(rows[i]);
    }
    change.DropUnused();
  }

  std::shared_ptr<FaultyStore> store;
  catalog::DirectoryCatalog catalog;
  commit::Committer committer;
  Host& host;
  catalog::VersionPtr base;
};

struct Found {
  std::multiset<int64_t> rows;
  int64_t version = 0;
};

Found Look(Host& host) {
  auto table = OpenTableOn(host.disk, host.outside());
  EXPECT_THAT(table, IsOk());
  auto stream = (*table)->Scan();
  EXPECT_THAT(stream, IsOk());
  const std::vector<int64_t> ids = IdsOf(std::move(stream).value()).value();
  return {.rows = {ids.begin(), ids.end()}, .version = (*table)->version().value()};
}

bool HasRepeated(const std::multiset<int64_t>& rows) {
  return std::adjacent_find(rows.begin(), rows.end()) != rows.end();
}

/// Every version's marks and sequence numbers, read from the files themselves.
void ExpectChain(Host& host, int64_t head) {
  std::map<int, int64_t> before;
  for (int64_t number = 1; number <= head; ++number) {
    ASSERT_OK_AND_ASSIGN(const Bytes body, host.disk->Get(catalog::VersionKey(number)));
    ASSERT_OK_AND_ASSIGN(const iceberg::TableMetadata metadata, iceberg::DecodeTableMetadata(body, "version"));
    ASSERT_OK_AND_ASSIGN(const auto marks, commit::Marks::Read(metadata, kRingId));
    for (auto& [slot, seq] : before) {
      ASSERT_TRUE(marks.has_value()) << "version " << number << " has forgotten the ring";
      EXPECT_GE(marks->Of(slot), seq) << "the mark of slot " << slot << " fell in version " << number;
    }
    for (int slot = 0; marks && slot < 8; ++slot) before[slot] = marks->Of(slot);
    for (size_t i = 0; i < metadata.snapshots.size(); ++i) {
      EXPECT_EQ(metadata.snapshots[i]->sequence_number, static_cast<int64_t>(i) + 1);
    }
  }
}

/// `count` of the slots 0..5, all with the same seq.
std::vector<ring::Submission> CopySome(Random& random, int64_t seq, int count) {
  std::set<int> slots;
  while (static_cast<int>(slots.size()) < count) slots.insert(static_cast<int>(random.Next() % 6));
  std::vector<ring::Submission> copies;
  for (const int slot : slots) copies.push_back(Waiting(slot, seq));
  return copies;
}

/// One run: the first leader stands still before its call number `stop_at` while up to two others lead with copies of their
/// own, the second inside the first rival's commit. Gives whether it stood still at all.
bool RunLeaders(uint64_t seed, int64_t stop_at, bool forgetful, Host& host, std::set<int64_t>& acknowledged) {
  const auto schedule = SeededRandom(seed * 1'000'003 + static_cast<uint64_t>(stop_at));
  bool stopped = false;
  int64_t calls = 0;
  int64_t rival_calls = 0;
  const int64_t rival_stop = static_cast<int64_t>(schedule->Next() % 16);
  FaultPlan plan;
  plan.before_call = [&] {
    if (calls++ != stop_at) return;
    stopped = true;
    FaultPlan rival_plan;
    rival_plan.before_call = [&] {
      if (rival_calls++ != rival_stop) return;
      Leader third(host, {});
      third.Publish(CopySome(*schedule, 1, 3), acknowledged, forgetful);
    };
    Leader rival(host, std::move(rival_plan));
    rival.Publish(CopySome(*schedule, 1, 4), acknowledged, forgetful);
  };
  Leader first(host, std::move(plan));
  first.Publish(CopySome(*schedule, 1, 4), acknowledged, forgetful);
  return stopped;
}

TEST(GroupSim, NoRowIsThereTwiceWhereverALeaderIsStoppedWhileOthersLead) {
  for (const uint64_t seed : SeedsFromEnvOrRandom(3)) {
    int64_t stop_at = 0;
    for (;; ++stop_at) {
      SCOPED_TRACE(fmt::format("seed {}, stopped before call {}", seed, stop_at));
      Host host(seed);
      std::set<int64_t> acknowledged;
      const bool stopped = RunLeaders(seed, stop_at, /*forgetful=*/false, host, acknowledged);
      const Found found = Look(host);
      EXPECT_FALSE(HasRepeated(found.rows));
      EXPECT_EQ(std::set<int64_t>(found.rows.begin(), found.rows.end()), acknowledged);
      ExpectChain(host, found.version);
      if (HasFatalFailure() || !stopped) break;
    }
    EXPECT_GT(stop_at, 8) << "a commit makes more calls than that";
  }
}

TEST(GroupSim, WithoutMarksTheSameSchedulesRepeatRows) {
  int repeated = 0;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    for (int64_t stop_at = 0;; ++stop_at) {
      Host host(seed);
      std::set<int64_t> acknowledged;
      const bool stopped = RunLeaders(seed, stop_at, /*forgetful=*/true, host, acknowledged);
      repeated += HasRepeated(Look(host).rows);
      if (!stopped) break;
    }
  }
  EXPECT_GT(repeated, 10) << "the model could not tell a design without marks from ours";
}

TEST(GroupSim, ALeaderThatDiesAtAnyCallLosesNoAcknowledgedRowAndTheNextOneRepeatsNone) {
  for (const uint64_t seed : SeedsFromEnvOrRandom(1)) {
    for (const Effect effect : {Effect::kNotApplied, Effect::kApplied, Effect::kLate}) {
      for (const bool power_loss : {false, true}) {
        int64_t crash_at = 0;
        for (;; ++crash_at) {
          SCOPED_TRACE(fmt::format("seed {}, call {}, effect {}, {}", seed, crash_at, static_cast<int>(effect),
                                   power_loss ? "power loss" : "power stays"));
          Host host(seed + static_cast<uint64_t>(crash_at));
          std::set<int64_t> acknowledged;
          Leader dying(host, {.crash_after_calls = crash_at, .crash_effect = effect});
          dying.Publish({Waiting(0, 1), Waiting(1, 1), Waiting(2, 1)}, acknowledged, /*forgetful=*/false);
          const bool fired = dying.store->all_fired();
          if (power_loss) host.disk->PowerLoss(*host.random);
          // The same slots still wait; whoever leads next has copies of them, and the dead one's last request may yet arrive.
          Leader next(host, {});
          next.Publish({Waiting(0, 1), Waiting(1, 1), Waiting(2, 1), Waiting(3, 1)}, acknowledged, /*forgetful=*/false);
          dying.store->DeliverLate();
          const Found found = Look(host);
          EXPECT_FALSE(HasRepeated(found.rows));
          EXPECT_EQ(std::set<int64_t>(found.rows.begin(), found.rows.end()), acknowledged);
          EXPECT_EQ(acknowledged.size(), 4u) << "the next leader finishes what the dead one left";
          if (HasFatalFailure() || !fired) break;
        }
        EXPECT_GT(crash_at, 8);
      }
    }
  }
}

TEST(GroupSim, AWithdrawnAppendIsNeverPublishedByALeaderThatHeldACopy) {
  Host host(3);
  std::set<int64_t> acknowledged;
  bool withdrawn = false;
  FaultPlan plan;
  plan.before_call = [&] {
    if (std::exchange(withdrawn, true)) return;
    Leader owner(host, {});
    ring::Submission withdrawal = Waiting(1, 1);
    withdrawal.label.kind = static_cast<int32_t>(PayloadKind::kWithdrawal);
    std::set<int64_t> marks_only;
    owner.Publish({withdrawal}, marks_only, /*forgetful=*/false);
    EXPECT_EQ(marks_only.size(), 1u);
  };
  Leader leader(host, std::move(plan));
  leader.Publish({Waiting(0, 1), Waiting(1, 1)}, acknowledged, /*forgetful=*/false);
  EXPECT_TRUE(withdrawn);
  EXPECT_EQ(Look(host).rows, (std::multiset<int64_t>{RowOf(0, 1)}));
}

TEST(GroupSim, AnAnswerThatRestsOnAnothersVersionMakesThatVersionDurableFirst) {
  // The first leader's version is visible, but its name was never synced; the second finds the rows marked and acknowledges
  // them. After a power loss they must be there.
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Host host(seed);
    std::set<int64_t> told_by_first;
    host.disk->KillBeforeNameSyncs(1);
    Leader first(host, {});
    first.Publish({Waiting(0, 1)}, told_by_first, /*forgetful=*/false);
    EXPECT_TRUE(told_by_first.empty()) << "it was killed before the sync of the name";
    std::set<int64_t> acknowledged;
    Leader second(host, {});
    second.Publish({Waiting(0, 1)}, acknowledged, /*forgetful=*/false);
    EXPECT_EQ(acknowledged.size(), 1u);
    host.disk->PowerLoss(*host.random);
    const Found found = Look(host);
    EXPECT_EQ(found.rows.count(RowOf(0, 1)), 1u) << "seed " << seed;
  }
}

TEST(GroupSim, NothingToDoIsSaidOnlyAfterALookAtStorage) {
  // A leader whose base is old sees only rows of a schema it does not know yet.
  Host host(6);
  Leader leader(host, {});
  {
    Leader other(host, {});
    std::set<int64_t> acknowledged;
    other.Publish({Waiting(5, 1)}, acknowledged, /*forgetful=*/false);
  }
  ring::Submission newer = Waiting(0, 1);
  newer.label.schema_id = 7;
  const auto group = leader.store->NewWriteGroup();
  AppendGroup change(std::string(kRingId), false, {newer}, *leader.store, *group, *host.random);
  ASSERT_OK_AND_ASSIGN(const commit::Committed committed,
                       leader.committer.Commit(change, leader.base, *group, {.known_is_newest = true}));
  EXPECT_EQ(committed.version->number, 2) << "the other's version was not looked for";
  EXPECT_EQ(change.answers()[0].outcome, AppendGroup::Outcome::kReplan);
}

TEST(GroupSim, AForgottenRingIsFencedAndPublishesNothing) {
  Host host(4);
  Leader leader(host, {});
  const auto group = leader.store->NewWriteGroup();
  AppendGroup change(std::string(kRingId), /*registered=*/true, {Waiting(0, 1)}, *leader.store, *group, *host.random);
  EXPECT_THAT(leader.committer.Commit(change, leader.base, *group), HasKind(ErrorKind::kFenced));
  EXPECT_TRUE(Look(host).rows.empty());
}

TEST(GroupSim, OneBadPayloadHarmsNobodyElse) {
  Host host(5);
  Leader leader(host, {});
  ring::Submission bad = Waiting(1, 1);
  bad.payload.resize(bad.payload.size() / 2);
  ring::Submission stale = Waiting(2, 1);
  stale.label.schema_id = 7;
  const auto group = leader.store->NewWriteGroup();
  AppendGroup change(std::string(kRingId), false, {Waiting(0, 1), bad, stale, Waiting(3, 1)}, *leader.store, *group,
                     *host.random);
  ASSERT_THAT(leader.committer.Commit(change, leader.base, *group), IsOk());
  EXPECT_EQ(change.answers()[0].outcome, AppendGroup::Outcome::kCommitted);
  EXPECT_EQ(change.answers()[1].outcome, AppendGroup::Outcome::kBad);
  EXPECT_EQ(change.answers()[2].outcome, AppendGroup::Outcome::kReplan);
  EXPECT_EQ(change.answers()[3].outcome, AppendGroup::Outcome::kCommitted);
  EXPECT_EQ(change.answers()[0].reply.snapshot_id, change.answers()[3].reply.snapshot_id);
  EXPECT_EQ(Look(host).rows, (std::multiset<int64_t>{RowOf(0, 1), RowOf(3, 1)}));
  ASSERT_OK_AND_ASSIGN(const auto files, host.disk->List("data/"));
  EXPECT_EQ(files.size(), 1u);
}

}  // namespace
}  // namespace datashard::sim
