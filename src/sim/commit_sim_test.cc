// Invariants: an acknowledged append is in every later snapshot, once; a refused one in none; an unknown one in all or
// none. Sequence numbers rise by one. No snapshot names a missing file. A table whose creation was acknowledged opens; one
// whose creation was not can still be created.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "base/error.h"
#include "base/uri.h"
#include "sim/faulty_store.h"
#include "sim/forwarding_store.h"
#include "sim/power_loss_store.h"
#include "sim/seed.h"
#include "sim/sim_clock.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"
#include "table/table_impl.h"

namespace datashard::sim {
namespace {

/// One simulated machine: a disk that forgets what was not synced, and a clock.
struct Machine {
  explicit Machine(uint64_t seed) : random(SeededRandom(seed)), disk(std::make_shared<PowerLossStore>("t", clock)) {}

  SimClock clock;
  std::unique_ptr<Random> random;
  MetricSums metrics;
  std::shared_ptr<PowerLossStore> disk;
  Outside outside() { return {clock, *random, metrics, SilentLog()}; }
};

enum class Told { kAcknowledged, kRefused, kUnknown };
using Model = std::map<int64_t, Told>;

Told ToldBy(const Result<std::optional<CommittedSnapshot>>& result) {
  if (result.ok()) return Told::kAcknowledged;
  return result.kind() == ErrorKind::kCommitUnknown ? Told::kUnknown : Told::kRefused;
}

/// Checks the invariants on what a fresh process finds.
void ExpectInvariants(const Model& model, Machine& machine, const std::string& run) {
  SCOPED_TRACE(run);
  ASSERT_OK_AND_ASSIGN(const auto table, OpenTableOn(machine.disk, machine.outside()));
  ASSERT_OK_AND_ASSIGN(const std::vector<Snapshot> snapshots, table->snapshots());
  std::set<int64_t> before;
  for (size_t i = 0; i < snapshots.size(); ++i) {
    EXPECT_EQ(snapshots[i].sequence_number, static_cast<int64_t>(i) + 1);
    auto stream = table->Scan({.snapshot_id = snapshots[i].snapshot_id});
    ASSERT_THAT(stream, IsOk());
    ASSERT_OK_AND_ASSIGN(const std::vector<int64_t> ids, IdsOf(std::move(stream).value()));
    const std::set<int64_t> now(ids.begin(), ids.end());
    EXPECT_EQ(now.size(), ids.size()) << "a row is there twice";
    EXPECT_TRUE(std::includes(now.begin(), now.end(), before.begin(), before.end())) << "a later snapshot lost rows";
    before = now;
  }
  for (const auto& [id, told] : model) {
    if (told == Told::kUnknown) continue;
    EXPECT_EQ(before.contains(id), told == Told::kAcknowledged)
        << "row " << id << (told == Told::kAcknowledged ? " was acknowledged and is lost" : " was refused and is there");
  }
  for (int64_t id : before) EXPECT_TRUE(model.contains(id)) << "row " << id << " was never appended";
  // The table goes on.
  ASSERT_THAT(table->Append(RowsWithIds({1'000'000})), IsOk());
  EXPECT_EQ(*table->row_count(), static_cast<int64_t>(before.size()) + 1);
}

struct Case {
  Effect effect;
  bool persists;
  bool power_loss;
};
const Case kCases[] = {{Effect::kNotApplied, true, false}, {Effect::kNotApplied, true, true},
                       {Effect::kApplied, true, false},    {Effect::kApplied, true, true},
                       {Effect::kNotApplied, false, false}, {Effect::kApplied, false, false},
                       {Effect::kApplied, false, true},     {Effect::kLate, false, false}};

std::string Describe(uint64_t seed, int64_t crash_at, const Case& c) {
  return fmt::format("seed {}, call {}, effect {}, {}, {}", seed, crash_at, static_cast<int>(c.effect),
                     c.persists ? "crash" : "outage", c.power_loss ? "power loss" : "power stays");
}

/// Lets a rival publish right before our next `times` versions get their names.
class RivalBeforeCreate final : public ForwardingStore {
 public:
  RivalBeforeCreate(std::shared_ptr<ObjectStore> base, int times, std::function<void()> rival)
      : ForwardingStore(std::move(base)), times_(times), rival_(std::move(rival)) {}
  Status Delete(std::string_view key) override {
    // The last call before a version gets its name: a stale checksum of that version is removed.
    if (key.ends_with(".metadata.json.crc") && times_-- > 0) rival_();
    return base_->Delete(key);
  }

 private:
  int times_;
  std::function<void()> rival_;
};

/// One body and two names stay, so that every append drops and removes.
constexpr catalog::VersionLimits kDropAtOnce{
    .bodies_min = 1, .bodies_max = 1, .body_age = {}, .names = 2, .every = 1, .batch = 10};

void CrashAfterEveryStoreCallOfAppends(const catalog::VersionLimits& limits) {
  for (const uint64_t seed : SeedsFromEnvOrRandom(1)) {
    for (const Case& c : kCases) {
      int64_t crash_at = 0;
      for (;; ++crash_at) {
        Machine machine(seed + static_cast<uint64_t>(crash_at));
        const auto store = std::make_shared<FaultyStore>(machine.disk);
        auto created = CreateTableOn(store, machine.outside(), {.schema = IdAndText()}, limits);
        ASSERT_THAT(created, IsOk());
        Model model;
        for (int64_t id = -3; id <= 0; ++id) model[id] = ToldBy((*created)->Append(RowsWithIds({id})));
        store->SetPlan({.crash_after_calls = crash_at, .crash_effect = c.effect, .crash_persists = c.persists});
        for (int64_t id = 1; id <= 3; ++id) model[id] = ToldBy((*created)->Append(RowsWithIds({id})));
        const bool fired = store->all_fired();
        store->DeliverLate();
        if (c.power_loss) machine.disk->PowerLoss(*machine.random);
        ExpectInvariants(model, machine, Describe(seed, crash_at, c));
        if (testing::Test::HasFatalFailure() || !fired) break;
      }
      EXPECT_GT(crash_at, 25) << "three appends make more calls than that";
    }
  }
}

TEST(CommitSim, CrashAfterEveryStoreCallOfAppends) { CrashAfterEveryStoreCallOfAppends({}); }

TEST(CommitSim, CrashAfterEveryStoreCallOfAppendsThatDropOldVersions) { CrashAfterEveryStoreCallOfAppends(kDropAtOnce); }

TEST(CommitSim, AWriterStoppedOnAnOldBaseCommitsOnceOnTheNewest) {
  // Its second append is stopped right before its create; the others go on, in the end far enough to remove its base's
  // name and the one it is about to take.
  for (const int rivals : {0, 1, 2, 3, 7, 30}) {
    SCOPED_TRACE(rivals);
    Machine machine(11);
    ASSERT_THAT(CreateTableOn(machine.disk, machine.outside(), {.schema = IdAndText()}, kDropAtOnce), IsOk());
    ASSERT_OK_AND_ASSIGN(const auto rival, OpenTableOn(machine.disk, machine.outside(), kDropAtOnce));
    Model model{{1, Told::kAcknowledged}, {2, Told::kAcknowledged}};
    int64_t next = 100;
    int creates = 0;
    const auto store = std::make_shared<RivalBeforeCreate>(machine.disk, 2, [&] {
      for (int i = 0; creates == 1 && i < rivals; ++i) {
        model[next] = Told::kAcknowledged;
        ASSERT_THAT(rival->Append(RowsWithIds({next++})), IsOk());
      }
      ++creates;
    });
    ASSERT_OK_AND_ASSIGN(const auto stalled, OpenTableOn(store, machine.outside(), kDropAtOnce));
    ASSERT_THAT(stalled->Append(RowsWithIds({1})), IsOk());
    ASSERT_THAT(stalled->Append(RowsWithIds({2})), IsOk());
    EXPECT_EQ(creates, 2);
    EXPECT_EQ(*stalled->version(), rivals + 3);
    if (rivals > 3) {
      EXPECT_EQ(machine.metrics.Read()["datashard_stray_versions_total"], 1) << "the number was free";
    }
    ExpectInvariants(model, machine, "stalled");
  }
}

TEST(CommitSim, CrashAfterEveryStoreCallOfCreate) {
  for (const uint64_t seed : SeedsFromEnvOrRandom(1)) {
    for (const Case& c : kCases) {
      int64_t crash_at = 0;
      for (;; ++crash_at) {
        SCOPED_TRACE(Describe(seed, crash_at, c));
        Machine machine(seed + static_cast<uint64_t>(crash_at));
        const auto store = std::make_shared<FaultyStore>(
            machine.disk,
            FaultPlan{.crash_after_calls = crash_at, .crash_effect = c.effect, .crash_persists = c.persists});
        const bool acknowledged = CreateTableOn(store, machine.outside(), {.schema = IdAndText()}).ok();
        const bool fired = store->all_fired();
        store->DeliverLate();
        if (c.power_loss) machine.disk->PowerLoss(*machine.random);
        const auto found = OpenTableOn(machine.disk, machine.outside());
        if (!found.ok()) {
          EXPECT_FALSE(acknowledged) << found.error().ToString();
          EXPECT_THAT(found, HasKind(ErrorKind::kNotFound));
        }
        ASSERT_THAT(CreateTableOn(machine.disk, machine.outside(), {.schema = IdAndText()}), IsOk());
        ExpectInvariants({}, machine, "after creating again");
        if (!fired) break;
      }
      EXPECT_GT(crash_at, 2);
    }
  }
}

TEST(CommitSim, AFullDiskAtEveryByteCountRefusesWholeAppends) {
  int refused = 0;
  for (int64_t room = 0; room <= 24'000; room += 397) {
    Machine machine(17);
    const auto store = std::make_shared<FaultyStore>(machine.disk);
    auto created = CreateTableOn(store, machine.outside(), {.schema = IdAndText()});
    ASSERT_THAT(created, IsOk());
    store->SetPlan({.disk_full_after_bytes = room});
    Model model;
    for (int64_t id = 1; id <= 3; ++id) {
      model[id] = ToldBy((*created)->Append(RowsWithIds({id})));
      refused += model[id] == Told::kRefused;
    }
    ExpectInvariants(model, machine, fmt::format("disk full after {} bytes", room));
    // Once there is room again, the same handle goes on.
    store->FreeSpace();
    EXPECT_THAT((*created)->Append(RowsWithIds({50})), IsOk());
  }
  EXPECT_GT(refused, 20);
}

TEST(CommitSim, ALoserPlansAgainOnTheWinnerAndCleansUp) {
  Machine machine(5);
  ASSERT_THAT(CreateTableOn(machine.disk, machine.outside(), {.schema = IdAndText()}), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto rival, OpenTableOn(machine.disk, machine.outside()));
  int64_t next = 100;
  const auto store = std::make_shared<RivalBeforeCreate>(machine.disk, 4, [&] {
    ASSERT_THAT(rival->Append(RowsWithIds({next++})), IsOk());
  });
  ASSERT_OK_AND_ASSIGN(const auto table, OpenTableOn(store, machine.outside()));
  ASSERT_THAT(table->Append(RowsWithIds({1})), IsOk());
  Model model{{1, Told::kAcknowledged}};
  for (int64_t id = 100; id < 104; ++id) model[id] = Told::kAcknowledged;
  ASSERT_OK_AND_ASSIGN(const auto objects, machine.disk->List("metadata/m/"));
  EXPECT_EQ(objects.size(), 10u) << "one manifest and one list for each of five commits";
  EXPECT_EQ(machine.metrics.Read().at("datashard_commit_conflicts_total"), 4);
  ExpectInvariants(model, machine, "rival");
}

TEST(CommitSim, WhoLosesUntilTheTimeOutGetsACleanConflict) {
  Machine machine(6);
  ASSERT_THAT(CreateTableOn(machine.disk, machine.outside(),
                            {.schema = IdAndText(), .properties = {{"datashard.commit.timeout", "0.2"}}}),
              IsOk());
  ASSERT_OK_AND_ASSIGN(const auto rival, OpenTableOn(machine.disk, machine.outside()));
  Model model;
  int64_t next = 100;
  const auto store = std::make_shared<RivalBeforeCreate>(machine.disk, 1'000'000, [&] {
    model[next] = ToldBy(rival->Append(RowsWithIds({next})));
    ++next;
  });
  ASSERT_OK_AND_ASSIGN(const auto table, OpenTableOn(store, machine.outside()));
  const auto lost = table->Append(RowsWithIds({1}));
  EXPECT_THAT(lost, HasKind(ErrorKind::kConflict));
  EXPECT_THAT(lost, HasMessage("nothing was committed"));
  model[1] = ToldBy(lost);
  ASSERT_OK_AND_ASSIGN(const auto data, machine.disk->List("data/"));
  EXPECT_EQ(data.size(), model.size() - 1) << "the loser's data file was not removed";
  ExpectInvariants(model, machine, "time-out");
}

TEST(CommitSim, InABucketALostAnswerIsSettledByTheVersionItself) {
  for (const Effect effect : {Effect::kApplied, Effect::kLate}) {
    Machine machine(7);
    const std::shared_ptr<ObjectStore> bucket = OpenMemoryStore("b", machine.clock);
    const auto store = std::make_shared<FaultyStore>(bucket);
    ASSERT_OK_AND_ASSIGN(const auto table, CreateTableOn(store, machine.outside(), {.schema = IdAndText()}));
    store->SetPlan({.faults = {{.op = StoreOp::kPutIfAbsent, .effect = effect, .late_by_calls = 1}}});
    ASSERT_THAT(table->Append(RowsWithIds({1})), IsOk());
    EXPECT_TRUE(store->all_fired());
    store->DeliverLate();
    ASSERT_OK_AND_ASSIGN(const auto fresh, OpenTableOn(bucket, machine.outside()));
    EXPECT_EQ(*fresh->row_count(), 1);
    EXPECT_EQ(*fresh->version(), 2);
  }
}

TEST(CommitSim, InADirectoryANameWithoutASyncIsNeverAcknowledged) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Machine machine(seed);
    auto created = CreateTableOn(machine.disk, machine.outside(), {.schema = IdAndText()});
    ASSERT_THAT(created, IsOk());
    machine.disk->FailNameSyncs(1);
    const auto outcome = (*created)->Append(RowsWithIds({1}));
    EXPECT_THAT(outcome, HasKind(ErrorKind::kCommitUnknown));
    machine.disk->PowerLoss(*machine.random);
    ExpectInvariants({{1, ToldBy(outcome)}}, machine, fmt::format("seed {}", seed));
  }
}

TEST(CommitSim, APowerLossAmongDroppedBodiesLosesNoVersion) {
  // Bodies are dropped in rounds; the last round was not synced, so that some of its names are gone and others lead to a body.
  constexpr catalog::VersionLimits kRounds{.bodies_min = 2, .bodies_max = 2, .body_age = {}, .names = 1000, .every = 4, .batch = 10};
  int gaps = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Machine machine(seed);
    Model model;
    {
      ASSERT_OK_AND_ASSIGN(const auto table, CreateTableOn(machine.disk, machine.outside(), {.schema = IdAndText()}, kRounds));
      for (int64_t id = 1; id <= 11; ++id) model[id] = ToldBy(table->Append(RowsWithIds({id})));
    }
    machine.disk->PowerLoss(*machine.random);
    // Cut off, it would name one of the oldest versions, below the gap.
    ASSERT_THAT(machine.disk->Delete("metadata/version-hint.text"), IsOk());
    for (int64_t number = 7; number <= 10; ++number) gaps += !machine.disk->Head(catalog::VersionKey(number)).ok();
    ExpectInvariants(model, machine, fmt::format("seed {}", seed));
  }
  EXPECT_GT(gaps, 10);
}

TEST(CommitSim, AVersionBuiltOnOneWhoseNameIsLostIsNotLostWithIt) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Machine machine(seed);
    ASSERT_OK_AND_ASSIGN(const auto one, CreateTableOn(machine.disk, machine.outside(), {.schema = IdAndText()}));
    ASSERT_OK_AND_ASSIGN(const auto two, OpenTableOn(machine.disk, machine.outside()));
    Model model;
    for (int64_t id = 1; id <= 3; ++id) model[id] = ToldBy(one->Append(RowsWithIds({id})));
    machine.disk->FailNameSyncs(1);
    model[4] = ToldBy(one->Append(RowsWithIds({4})));
    EXPECT_EQ(model[4], Told::kUnknown);
    model[5] = ToldBy(two->Append(RowsWithIds({5})));
    machine.disk->PowerLoss(*machine.random);
    ASSERT_THAT(machine.disk->Delete("metadata/version-hint.text"), IsOk());
    ExpectInvariants(model, machine, fmt::format("seed {}", seed));
  }
}

TEST(CommitSim, AnUnknownOutcomeKeepsEveryFile) {
  Machine machine(9);
  const auto store = std::make_shared<FaultyStore>(machine.disk);
  auto created = CreateTableOn(store, machine.outside(), {.schema = IdAndText()});
  ASSERT_THAT(created, IsOk());
  // The create is done but its answer is lost, and from then on nothing can be read or written.
  int64_t create_call = -1;
  {
    Machine probe(9);
    const auto counted = std::make_shared<FaultyStore>(probe.disk);
    auto table = CreateTableOn(counted, probe.outside(), {.schema = IdAndText()});
    counted->SetPlan({});
    ASSERT_THAT((*table)->Append(RowsWithIds({1})), IsOk());
    const auto calls = counted->calls();
    create_call = std::find_if(calls.begin(), calls.end(),
                               [](const StoreCall& call) { return call.op == StoreOp::kPutIfAbsent; }) - calls.begin();
  }
  store->SetPlan({.crash_after_calls = create_call, .crash_effect = Effect::kApplied});
  const auto outcome = (*created)->Append(RowsWithIds({1}));
  ASSERT_TRUE(store->all_fired());
  EXPECT_THAT(outcome, HasKind(ErrorKind::kCommitUnknown));
  EXPECT_EQ(machine.disk->List("data/")->size(), 1u);
  ExpectInvariants({{1, ToldBy(outcome)}}, machine, "unknown");
}

}  // namespace
}  // namespace datashard::sim
