// Tables in a bucket: requests get lost, arrive late or twice, writers stand still for hours while others go on and old versions
// are removed. Invariants: an acknowledged row is in the newest snapshot once, a refused one is not, an unknown one at most
// once; nobody follows a version that is not the table's. Hints and removals happen when the test says so, not in threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "base/error.h"
#include "catalog/version_names.h"
#include "sim/faulty_store.h"
#include "sim/forwarding_store.h"
#include "sim/seed.h"
#include "sim/sim_clock.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"
#include "table/table_impl.h"

namespace datashard::sim {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr int64_t kBatch = 4;
/// Three versions stay, and all that are younger than an hour. Tables themselves remove nothing.
constexpr catalog::VersionLimits kFew{.every = int64_t{1} << 40, .batch = kBatch, .remote_min = 3, .remote_age = hours(1)};
constexpr std::string_view kHint = "metadata/version-hint.text";

enum class Told { kAcknowledged, kRefused, kUnknown };
using Model = std::map<int64_t, Told>;

/// Writes no hint and leaves what lost attempts have made: a thread would do both, at any moment.
class WithoutHints final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status ReplaceHint(std::string_view, ByteView) override { return {}; }
  Status DeleteMany(std::span<const std::string> keys) override {
    return std::this_thread::get_id() == tests_ ? base_->DeleteMany(keys) : Status();
  }

 private:
  const std::thread::id tests_ = std::this_thread::get_id();
};

/// Bulk requests are executed in descending order; whoever sends them dies after so many names.
class SlowBulkDelete final : public ForwardingStore {
 public:
  SlowBulkDelete(std::shared_ptr<ObjectStore> base, size_t deleted_max) : ForwardingStore(std::move(base)), left_(deleted_max) {}
  Status DeleteMany(std::span<const std::string> keys) override {
    for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
      if (left_-- == 0) return Unavailable("it died");
      DS_RETURN_IF_ERROR(base_->Delete(*key));
    }
    return {};
  }

 private:
  size_t left_;
};

struct Bucket {
  explicit Bucket(uint64_t seed) : random(SeededRandom(seed)), objects(OpenMemoryStore("b", clock, /*remote=*/true)) {
    clock.Sleep(hours(1));
    EXPECT_THAT(CreateTableOn(std::make_shared<WithoutHints>(objects), outside(), {.schema = IdAndText(), .properties = {{"datashard.commit.timeout", "100000"}}}, kFew),
                IsOk());
  }
  Outside outside() { return {clock, *random, metrics, SilentLog()}; }

  int64_t Head() const {
    int64_t head = 0;
    const auto listed = objects->List("metadata/");
    for (const ObjectInfo& object : *listed) head = std::max(head, catalog::NumberOfKey(object.key).value_or(0));
    return head;
  }
  void Hint() { ASSERT_THAT(objects->Replace(kHint, std::to_string(Head())), IsOk()); }
  /// All batches that are due, or the beginning of them.
  void Remove(size_t deleted_max = SIZE_MAX) {
    catalog::VersionLimits limits = kFew;
    limits.every = 1;
    SlowBulkDelete store(objects, deleted_max);
    catalog::OldVersions old(store, limits);
    const int64_t head = Head();
    for (int round = 0; round < 20 && old.Drop(head).ok(); ++round) {
    }
  }

  SimClock clock;
  std::unique_ptr<Random> random;
  MetricSums metrics;
  std::shared_ptr<ObjectStore> objects;
};

/// A process with its table and its faults.
struct Process {
  explicit Process(Bucket& bucket)
      : faults(std::make_shared<FaultyStore>(bucket.objects)),
        table(OpenTableOn(std::make_shared<WithoutHints>(faults), bucket.outside(), kFew).value()) {}

  void Append(int64_t id, Model& model) {
    const auto appended = table->Append(RowsWithIds({id}));
    model[id] = appended.ok()                                       ? Told::kAcknowledged
                : appended.kind() == ErrorKind::kCommitUnknown ? Told::kUnknown
                                                                    : Told::kRefused;
  }
  void AppendSome(int64_t first, int count, Model& model) {
    for (int64_t id = first; id < first + count; ++id) Append(id, model);
  }

  std::shared_ptr<FaultyStore> faults;
  std::unique_ptr<Table> table;
};

void ExpectRows(const Table& table, const Model& model) {
  ASSERT_OK_AND_ASSIGN(auto stream, table.Scan());
  ASSERT_OK_AND_ASSIGN(const std::vector<int64_t> ids, IdsOf(std::move(stream)));
  const std::set<int64_t> found(ids.begin(), ids.end());
  EXPECT_EQ(found.size(), ids.size()) << "a row is there twice";
  for (const auto& [id, told] : model) {
    if (told == Told::kUnknown) continue;
    EXPECT_EQ(found.contains(id), told == Told::kAcknowledged)
        << "row " << id << (told == Told::kAcknowledged ? " was acknowledged and is lost" : " was refused and is there");
  }
  for (const int64_t id : found) EXPECT_TRUE(model.contains(id)) << "row " << id << " was never appended";
}

/// As a new process sees it, with the hint and without; and it goes on.
void ExpectInvariants(Bucket& bucket, Model model) {
  for (const bool hinted : {true, false}) {
    SCOPED_TRACE(hinted ? "with a hint" : "without a hint");
    if (!hinted) {
      ASSERT_THAT(bucket.objects->Delete(kHint), IsOk());
    }
    Process fresh(bucket);
    ExpectRows(*fresh.table, model);
    ASSERT_OK_AND_ASSIGN(const std::vector<Snapshot> snapshots, fresh.table->snapshots());
    for (size_t i = 0; i < snapshots.size(); ++i) EXPECT_EQ(snapshots[i].sequence_number, static_cast<int64_t>(i) + 1);
    const int64_t next = hinted ? 1'000'000 : 1'000'001;
    fresh.Append(next, model);
    EXPECT_EQ(model[next], Told::kAcknowledged);
    ExpectRows(*fresh.table, model);
  }
}

/// Does `event[i]` before call number `at[i]` of a process.
FaultPlan Before(std::vector<std::pair<int64_t, std::function<void()>>> events) {
  const auto calls = std::make_shared<int64_t>(0);
  return {.before_call = [calls, events = std::move(events)] {
    const int64_t call = (*calls)++;
    for (const auto& [at, event] : events) {
      if (at == call) event();
    }
  }};
}

TEST(RemoteSim, LostLateAndRepeatedRequestsOfTwoWritersLeaveEveryRowOnce) {
  struct Case {
    Effect effect;
    int64_t late_by_calls;
    bool dies;
  };
  for (const uint64_t seed : SeedsFromEnvOrRandom(2)) {
    for (const Case& c : {Case{Effect::kNotApplied, 0, false}, Case{Effect::kApplied, 0, false}, Case{Effect::kLate, 1, false},
                          Case{Effect::kLate, 2, false}, Case{Effect::kLate, 9, false}, Case{Effect::kLate, 1000, false},
                          Case{Effect::kNotApplied, 0, true}, Case{Effect::kApplied, 0, true}, Case{Effect::kLate, 1, true}}) {
      int64_t fail_at = 0;
      for (;; ++fail_at) {
        SCOPED_TRACE(fmt::format("seed {}, effect {}, late by {}, call {}, {}", seed, static_cast<int>(c.effect), c.late_by_calls,
                                 fail_at, c.dies ? "dies" : "goes on"));
        Bucket bucket(seed);
        const auto schedule = SeededRandom(seed * 1'000'003 + static_cast<uint64_t>(fail_at));
        Process one(bucket);
        Process two(bucket);
        Model model;
        two.Append(100, model);
        one.Append(1, model);
        // The other gets on before the call that fails, or within the few after it.
        FaultPlan plan = Before({{fail_at + static_cast<int64_t>(schedule->Next() % 4), [&] { two.AppendSome(200, 2, model); }}});
        if (c.dies) {
          plan.crash_after_calls = fail_at;
          plan.crash_effect = c.effect;
        } else {
          plan.faults = {{.call = fail_at, .effect = c.effect, .late_by_calls = c.late_by_calls}};
        }
        one.faults->SetPlan(std::move(plan));
        one.AppendSome(2, 3, model);
        const bool fired = one.faults->all_fired();
        one.faults->DeliverLate();
        two.Append(300, model);
        ExpectInvariants(bucket, model);
        if (HasFatalFailure() || !fired) break;
      }
      EXPECT_GT(fail_at, 15) << "three appends make more calls than that";
    }
  }
}

TEST(RemoteSim, APutThatArrivesHoursLaterIsNoPartOfTheTable) {
  for (const int others : {0, 1, 5, 17}) {
    SCOPED_TRACE(others);
    Bucket bucket(3);
    Process dying(bucket);
    Process alive(bucket);
    Model model;
    alive.Append(1, model);
    bucket.Hint();
    // It is told nothing: its create is under way, and so is every repetition.
    FaultPlan plan;
    for (int64_t i = 0; i < 10; ++i) {
      plan.faults.push_back({.op = StoreOp::kPutIfAbsent,
                             .key_part = ".metadata.json",
                             .occurrence = i,
                             .effect = Effect::kLate,
                             .late_by_calls = 1'000'000});
    }
    dying.faults->SetPlan(std::move(plan));
    dying.Append(2, model);
    EXPECT_EQ(model[2], Told::kUnknown);
    EXPECT_GT(dying.faults->fired_count(), 1) << "it was put once only";
    Process reader(bucket);
    const int64_t head = bucket.Head();
    alive.AppendSome(100, others, model);
    bucket.Hint();
    bucket.clock.Sleep(hours(2));
    bucket.Remove();
    dying.faults->DeliverLate();
    const std::string late = catalog::VersionKey(head + 1);
    EXPECT_THAT(bucket.objects->Head(late), IsOk());
    if (others == 0) model[2] = Told::kAcknowledged;  // nobody took the number: an unknown outcome that came true
    if (others > 0) model[2] = Told::kRefused;
    ExpectRows(*reader.table, model);
    ExpectRows(*dying.table, model);
    dying.Append(3, model);
    EXPECT_EQ(model[3], Told::kAcknowledged);
    ExpectInvariants(bucket, model);
  }
}

/// While a writer stands still: others publish so that it loses its race, and hours pass; later old versions are removed.
TEST(RemoteSim, AWriterStoppedTwiceWhileOldVersionsGoCommitsOnceOnTheNewest) {
  constexpr int kOthers = 13;
  constexpr size_t kHalf = 2;
  int acknowledged = 0;
  int strays = 0;
  for (int before = 0; before < kBatch; ++before) {
    for (const size_t removed : {kHalf, SIZE_MAX}) {
      bool reached = true;
      for (int64_t first = 0; reached; ++first) {
        for (int64_t second = first; second < first + 12; ++second) {
          SCOPED_TRACE(fmt::format("{} before, stopped before calls {} and {}, {} removed", before, first, second, removed));
          Bucket bucket(7);
          Process others(bucket);
          Process stopped(bucket);
          Model model;
          others.AppendSome(500, before, model);
          stopped.Append(1, model);
          bucket.Hint();
          reached = false;
          stopped.faults->SetPlan(Before({{first,
                                           [&] {
                                             reached = true;
                                             others.AppendSome(100, kOthers, model);
                                             bucket.clock.Sleep(hours(2));
                                           }},
                                          {second, [&] { bucket.Remove(removed); }}}));
          stopped.Append(2, model);
          acknowledged += model[2] == Told::kAcknowledged;
          strays += static_cast<int>(bucket.metrics.Read()["datashard_stray_versions_total"]);
          bucket.Remove();
          ExpectInvariants(bucket, model);
          if (HasFailure() || !reached) break;
        }
        if (HasFailure()) return;
      }
    }
  }
  EXPECT_GT(acknowledged, 100);
  EXPECT_GT(strays, 0) << "no number was free again";
}

TEST(RemoteSim, AnOpenTableFollowsNoStrayAmongNamesThatAreBeingRemoved) {
  constexpr size_t kHalf = 2;
  for (int before = 0; before < 3 * kBatch; ++before) {
    for (const size_t removed : {size_t{1}, kHalf, SIZE_MAX}) {
      SCOPED_TRACE(fmt::format("{} before, {} removed", before, removed));
      Bucket bucket(7);
      Process others(bucket);
      Model model;
      others.AppendSome(500, before, model);
      Process idle(bucket);
      others.AppendSome(100, 3 * kBatch, model);
      bucket.clock.Sleep(hours(2));
      others.AppendSome(200, 3, model);
      bucket.Hint();
      bucket.Remove(removed);
      ExpectRows(*idle.table, model);
      idle.Append(1, model);
      EXPECT_EQ(model[1], Told::kAcknowledged);
      bucket.Remove();
      ExpectInvariants(bucket, model);
    }
  }
}

/// Three writers, each stopped now and then while others go on, time passes or versions are removed; any call may fail.
class Walk {
 public:
  explicit Walk(uint64_t seed) : bucket_(seed), random_(SeededRandom(seed)) {
    for (int i = 0; i < 3; ++i) processes_.push_back(std::make_unique<Process>(bucket_));
  }
  void Run(int appends) {
    for (int i = 0; i < appends; ++i) AppendBy(Below(processes_.size()), 0);
    for (const auto& process : processes_) process->faults->SetPlan({});
    for (const auto& process : processes_) process->faults->DeliverLate();
    ExpectInvariants(bucket_, model_);
  }
  int Count(Told told) const {
    return static_cast<int>(std::ranges::count_if(model_, [&](const auto& row) { return row.second == told; }));
  }

 private:
  size_t Below(size_t n) { return random_->Next() % n; }
  void AppendBy(size_t index, int depth) {
    if (busy_.contains(index)) return;
    busy_.insert(index);
    FaultPlan plan;
    plan.before_call = [this, depth] {
      if (Below(12) == 0) Meanwhile(depth);
    };
    for (size_t i = Below(3); i > 0; --i) {
      plan.faults.push_back({.call = static_cast<int64_t>(Below(14)),
                             .effect = static_cast<Effect>(Below(3)),
                             .late_by_calls = static_cast<int64_t>(1 + Below(40))});
    }
    processes_[index]->faults->SetPlan(std::move(plan));
    processes_[index]->Append(next_++, model_);
    busy_.erase(index);
  }
  void Meanwhile(int depth) {
    constexpr std::chrono::minutes kPauses[] = {minutes(1), minutes(9), minutes(11), minutes(61), minutes(300)};
    switch (Below(5)) {
      case 0: bucket_.clock.Sleep(kPauses[Below(std::size(kPauses))]); break;
      case 1: bucket_.Remove(Below(2) == 0 ? Below(4) : SIZE_MAX); break;
      case 2: bucket_.Hint(); break;
      default:
        for (size_t i = 1 + Below(8); i > 0 && depth < 2; --i) AppendBy(Below(processes_.size()), depth + 1);
    }
  }

  Bucket bucket_;
  std::unique_ptr<Random> random_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::set<size_t> busy_;
  Model model_;
  int64_t next_ = 1;
};

TEST(RemoteSim, WhateverHappensToThreeWritersNoRowIsLostOrTwice) {
  int unknown = 0;
  int acknowledged = 0;
  for (const uint64_t seed : SeedsFromEnvOrRandom(40)) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Walk walk(seed);
    walk.Run(60);
    unknown += walk.Count(Told::kUnknown);
    acknowledged += walk.Count(Told::kAcknowledged);
    if (HasFailure()) break;
  }
  EXPECT_GT(acknowledged, 500);
  EXPECT_GT(unknown, 0);
}

}  // namespace
}  // namespace datashard::sim
