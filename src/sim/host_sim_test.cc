// The model of group commit across hosts: leaders of several hosts hand their groups over in one bucket, take in those of
// others, wait for their turns, are overtaken at any of their calls, crash, and get no answer. Invariants: a row is in the
// chain at most once; an acknowledged row is in it; in the end every row that waits is; a withdrawn one never is.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "commit/across_hosts.h"
#include "commit/append_group.h"
#include "commit/committer.h"
#include "commit/marks.h"
#include "data/data_file.h"
#include "data/row_batch.h"
#include "sim/faulty_store.h"
#include "sim/forwarding_store.h"
#include "sim/seed.h"
#include "sim/sim_clock.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"
#include "table/table_impl.h"

namespace datashard::sim {
namespace {

using commit::AppendGroup;
using commit::PayloadKind;

constexpr int kHosts = 4;
constexpr int kSlots = 3;  // of each host

std::string RingOf(int host) { return fmt::format("{:032x}", host + 1); }
int64_t RowOf(int host, int slot, int64_t seq) { return host * 1'000'000 + slot * 100'000 + seq; }

ring::Submission Waiting(int host, int slot, int64_t seq) {
  auto conformed = data::ConformRows(RowsWithIds({RowOf(host, slot, seq)}), IdAndText());
  auto encoded = data::EncodeRows(std::move(conformed).value(), IdAndText(), 1 << 20);
  return {.slot = slot,
          .seq = seq,
          .arrival = seq,
          .label = {.kind = static_cast<int32_t>(PayloadKind::kRows), .schema_id = 1, .rows = 1},
          .payload = encoded.value().bytes};
}

/// Sends its objects at Sync, the last one first, as a bucket's group may: whoever dies then has put any of them.
class BackwardsGroup final : public WriteGroup {
 public:
  explicit BackwardsGroup(std::unique_ptr<WriteGroup> base) : base_(std::move(base)) {}
  Status Put(std::string_view key, ByteView body) override {
    put_.emplace_back(key, body);
    return {};
  }
  Result<std::unique_ptr<ObjectWriter>> Open(std::string_view key) override { return base_->Open(key); }
  Result<std::unique_ptr<UnnamedObject>> Prepare(std::string_view key, ByteView body) override { return base_->Prepare(key, body); }
  Status Sync() override {
    const auto objects = std::exchange(put_, {});
    for (auto object = objects.rbegin(); object != objects.rend(); ++object) {
      DS_RETURN_IF_ERROR(base_->Put(object->first, object->second));
    }
    return base_->Sync();
  }

 private:
  const std::unique_ptr<WriteGroup> base_;
  std::vector<std::pair<std::string, Bytes>> put_;
};

/// Writes no hint and leaves what lost attempts have made: a thread would do both, at any moment.
class WithoutThreads final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  std::unique_ptr<WriteGroup> NewWriteGroup() override { return std::make_unique<BackwardsGroup>(base_->NewWriteGroup()); }
  Status ReplaceHint(std::string_view, ByteView) override { return {}; }
  Status DeleteMany(std::span<const std::string>) override { return {}; }
};

/// A bucket with a table, and what its users know.
struct Bucket {
  explicit Bucket(uint64_t seed) : random(SeededRandom(seed)), memory(OpenMemoryStore("t", clock, /*remote=*/true)) {
    EXPECT_THAT(CreateTableOn(memory, outside(), {.schema = IdAndText()}), IsOk());
  }
  Outside outside() { return {clock, *random, metrics, SilentLog()}; }
  int64_t Below(int64_t end) { return static_cast<int64_t>(random->Next() % static_cast<uint64_t>(end)); }

  SimClock clock;
  std::unique_ptr<Random> random;
  MetricSums metrics;
  std::shared_ptr<ObjectStore> memory;
  std::set<int64_t> acknowledged;
  std::set<int64_t> withdrawn;
  std::map<int, std::map<int, int64_t>> waiting;  // host, slot: seq
};

/// The process of a host that leads, once.
struct Leader {
  Leader(Bucket& bucket, int host, FaultPlan plan)
      : bucket(bucket), host(host), faulty(std::make_shared<FaultyStore>(bucket.memory)),
        store(std::make_shared<WithoutThreads>(faulty)), catalog(store, bucket.outside()),
        committer(store, catalog, bucket.outside()), across(*store, committer, bucket.outside()) {
    base = catalog.Load().value();
    faulty->SetPlan(std::move(plan));
  }

  /// Publishes what waits in the host's slots, and notes what was told to whom.
  void Publish(bool hands_over) {
    std::vector<ring::Submission> items;
    for (const auto& [slot, seq] : bucket.waiting[host]) items.push_back(Waiting(host, slot, seq));
    if (items.empty()) return;
    const auto group = store->NewWriteGroup();
    AppendGroup change(RingOf(host), /*registered=*/false, items, *store, *group, *bucket.random);
    const Status published = Commit(change, *group, hands_over);
    if (!published.ok()) {
      if (published.kind() != ErrorKind::kCommitUnknown) change.DropAll();
      return;
    }
    for (size_t i = 0; i < items.size(); ++i) {
      if (change.answers()[i].outcome != AppendGroup::Outcome::kCommitted) continue;
      // Whoever gave up, or was told by another leader, hears nothing.
      const auto slot = bucket.waiting[host].find(items[i].slot);
      if (slot == bucket.waiting[host].end() || slot->second != items[i].seq) continue;
      bucket.acknowledged.insert(RowOf(host, items[i].slot, items[i].seq));
      bucket.waiting[host].erase(slot);
    }
    change.DropUnused();
    if (change.handed_over() && bucket.Below(2) == 0) {
      EXPECT_THAT(bucket.memory->Delete(change.handed_over()->key()), IsOk());
    }
    for (const commit::PendingPtr& settled : change.settled()) {
      if (bucket.Below(2) != 0) continue;
      EXPECT_THAT(bucket.memory->Delete(settled->key()), IsOk());
    }
  }

  Status Commit(AppendGroup& change, WriteGroup& group, bool hands_over) {
    const commit::Until until{.deadline = bucket.clock.Monotonic() + std::chrono::hours(1), .interrupted = {}};
    catalog::VersionPtr known = base;
    if (hands_over) {
      DS_ASSIGN_OR_RETURN(known, across.HandOver(change, group, known, until, [] {}));
    }
    DS_RETURN_IF_ERROR(committer.Commit(change, known, group, {
        .known_is_newest = hands_over,
        .until = until,
        .before_plan = [&](const catalog::VersionPtr& on, int64_t attempt) { across.TakeIn(change, on, attempt); }}));
    return {};
  }

  /// Whoever waited in `slot` gives up: true where its row is certainly not in the table, nor ever will be.
  bool Withdraw(int slot, int64_t seq) {
    ring::Submission withdrawal{.slot = slot, .seq = seq, .label = {.kind = static_cast<int32_t>(PayloadKind::kWithdrawal)}};
    const auto group = store->NewWriteGroup();
    AppendGroup change(RingOf(host), /*registered=*/false, {withdrawal}, *store, *group, *bucket.random);
    if (!committer.Commit(change, base, *group).ok()) return false;
    return !change.answers()[0].marked_before;
  }

  Bucket& bucket;
  const int host;
  std::shared_ptr<FaultyStore> faulty;
  std::shared_ptr<WithoutThreads> store;
  catalog::DirectoryCatalog catalog;
  commit::Committer committer;
  commit::AcrossHosts across;
  catalog::VersionPtr base;
};

std::multiset<int64_t> RowsIn(Bucket& bucket) {
  auto table = OpenTableOn(bucket.memory, bucket.outside());
  EXPECT_THAT(table, IsOk());
  auto stream = (*table)->Scan();
  EXPECT_THAT(stream, IsOk());
  const std::vector<int64_t> ids = IdsOf(std::move(stream).value()).value();
  return {ids.begin(), ids.end()};
}

/// One random schedule.
class Schedule {
 public:
  explicit Schedule(uint64_t seed) : bucket_(seed) {}

  void Run(int steps) {
    for (int step = 0; step < steps; ++step) Lead(static_cast<int>(bucket_.Below(kHosts)), 0);
    for (int host = 0; host < kHosts; ++host) Leader(bucket_, host, {}).Publish(/*hands_over=*/false);
    const std::multiset<int64_t> rows = RowsIn(bucket_);
    EXPECT_TRUE(std::adjacent_find(rows.begin(), rows.end()) == rows.end()) << "a row is there twice";
    EXPECT_EQ(std::set<int64_t>(rows.begin(), rows.end()), bucket_.acknowledged);
    for (const int64_t row : bucket_.withdrawn) EXPECT_EQ(rows.count(row), 0u) << "row " << row << " was withdrawn";
  }

  int64_t taken_in() const { return taken_in_; }
  int faults() const { return faults_; }
  size_t withdrawn() const { return bucket_.withdrawn.size(); }

 private:
  void Submit(int host, int slot) {
    if (bucket_.waiting[host].contains(slot)) return;
    bucket_.waiting[host][slot] = ++seqs_[{host, slot}];
  }

  /// `host` leads; at one of its calls others do, who may be overtaken too.
  void Lead(int host, int depth) {
    for (int slot = 0; slot < kSlots; ++slot) {
      if (bucket_.Below(2) == 0) Submit(host, slot);
    }
    const int64_t overtaken_at = bucket_.Below(14);
    const int64_t overtaken_again_at = overtaken_at + bucket_.Below(6);
    int64_t calls = 0;
    FaultPlan plan = RandomPlan();
    const bool faulty = plan.crash_after_calls || !plan.faults.empty();
    if (depth < 3) {
      plan.before_call = [this, &calls, overtaken_at, overtaken_again_at, depth] {
        const int64_t call = calls++;
        if (call == overtaken_at || call == overtaken_again_at) Lead(static_cast<int>(bucket_.Below(kHosts)), depth + 1);
      };
    }
    Leader leader(bucket_, host, std::move(plan));
    leader.Publish(/*hands_over=*/bucket_.Below(4) != 0);
    if (faulty && leader.faulty->fired_count() > 0) ++faults_;
    leader.faulty->SetPlan({});
    leader.faulty->Reopen();
    if (bucket_.Below(3) == 0) leader.faulty->DeliverLate();
    MaybeWithdraw(host);
    NoteTakenIn(host);
  }

  FaultPlan RandomPlan() {
    FaultPlan plan;
    const auto effect = static_cast<Effect>(bucket_.Below(3));
    switch (bucket_.Below(3)) {
      case 0: plan.crash_after_calls = bucket_.Below(16); plan.crash_effect = effect; break;
      case 1: plan.faults.push_back({.call = bucket_.Below(16), .effect = effect, .late_by_calls = bucket_.Below(8)}); break;
      default: break;
    }
    return plan;
  }

  void MaybeWithdraw(int host) {
    const auto& waiting = bucket_.waiting[host];
    if (waiting.empty() || bucket_.Below(4) != 0) return;
    const auto [slot, seq] = *waiting.begin();
    Leader owner(bucket_, host, {});
    if (owner.Withdraw(slot, seq)) {
      bucket_.withdrawn.insert(RowOf(host, slot, seq));
    } else {
      bucket_.acknowledged.insert(RowOf(host, slot, seq));
    }
    bucket_.waiting[host].erase(slot);
  }

  /// Marks with a snapshot's number are those that another host has raised.
  void NoteTakenIn(int host) {
    const auto version = Leader(bucket_, host, {}).base;
    const auto marks = commit::Marks::Read(version->metadata, RingOf(host)).value();
    for (int slot = 0; marks && slot < kSlots; ++slot) taken_in_ += marks->SequenceOf(slot) != 0;
  }

  Bucket bucket_;
  std::map<std::pair<int, int>, int64_t> seqs_;
  int64_t taken_in_ = 0;
  int faults_ = 0;
};

TEST(HostSim, NoRowIsLostOrRepeatedWhateverIsHandedOverTakenInOvertakenOrLost) {
  int64_t taken_in = 0;
  int faults = 0;
  size_t withdrawn = 0;
  for (const uint64_t seed : SeedsFromEnvOrRandom(12)) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Schedule schedule(seed);
    schedule.Run(12);
    taken_in += schedule.taken_in();
    faults += schedule.faults();
    withdrawn += schedule.withdrawn();
    if (HasFailure()) break;
  }
  EXPECT_GT(taken_in, 0) << "no host ever published for another";
  EXPECT_GT(faults, 0);
  EXPECT_GT(withdrawn, 0u);
}

TEST(HostSim, OneVersionServesAllThatHaveHandedOver) {
  Bucket bucket(1);
  bucket.waiting[3][0] = 1;
  Leader last(bucket, 3, {});
  std::vector<std::unique_ptr<Leader>> leaders;
  std::vector<std::unique_ptr<WriteGroup>> groups;
  std::vector<std::unique_ptr<AppendGroup>> changes;
  for (int host = 0; host < 3; ++host) {
    leaders.push_back(std::make_unique<Leader>(bucket, host, FaultPlan{}));
    groups.push_back(leaders.back()->store->NewWriteGroup());
    changes.push_back(std::make_unique<AppendGroup>(RingOf(host), false, std::vector{Waiting(host, 0, 1)}, *leaders.back()->store,
                                                    *groups.back(), *bucket.random));
    ASSERT_OK_AND_ASSIGN(const commit::PendingPtr pending, changes.back()->HandOver(*leaders.back()->base, bucket.clock.Now()));
    ASSERT_NE(pending, nullptr);
    ASSERT_THAT(groups.back()->Sync(), IsOk());
    ASSERT_OK_AND_ASSIGN(const Bytes offer, commit::EncodePending(*pending));
    ASSERT_THAT(bucket.memory->Replace(pending->key(), offer), IsOk());
  }
  const int64_t version = last.base->number;
  last.Publish(/*hands_over=*/true);
  ASSERT_OK_AND_ASSIGN(const catalog::VersionPtr after, last.catalog.Load());
  EXPECT_EQ(after->number, version + 1);
  EXPECT_EQ(after->metadata.snapshots.size(), last.base->metadata.snapshots.size() + 1) << "plain appends share a snapshot";
  EXPECT_EQ(RowsIn(bucket).size(), 4u);
  // Those it served find their rows, and the snapshot, without a version of their own.
  for (int host = 0; host < 3; ++host) {
    const auto h = static_cast<size_t>(host);
    ASSERT_OK_AND_ASSIGN(const commit::Committed committed, leaders[h]->committer.Commit(*changes[h], after, *groups[h]));
    EXPECT_EQ(committed.version->number, after->number);
    const AppendGroup::Answer& answer = changes[h]->answers()[0];
    EXPECT_TRUE(answer.marked_before);
    EXPECT_EQ(answer.reply.snapshot_id, after->metadata.snapshots.back()->snapshot_id);
    changes[h]->DropAll();
    changes[h]->DropUnused();
  }
  EXPECT_EQ(RowsIn(bucket).size(), 4u) << "files of others are theirs no more to remove";
}

}  // namespace
}  // namespace datashard::sim
