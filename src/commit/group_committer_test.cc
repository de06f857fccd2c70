// Who waits, for how long, and in which ring; that rows are neither lost nor doubled is the business of group_sim_test.cc.
#include "commit/group_committer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "catalog/version_names.h"
#include "commit/append_files.h"
#include "commit/marks.h"
#include "data/data_file.h"
#include "data/row_batch.h"
#include "sim/forwarding_store.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"

namespace datashard::commit {
namespace {

/// Every look at it takes a while, so that loops come to their ends without waiting.
class TickingClock final : public Clock {
 public:
  static constexpr auto kTick = std::chrono::milliseconds(20);
  Instant Now() override { return SystemClock().Now(); }
  std::chrono::microseconds Monotonic() override { return now += kTick; }
  void Sleep(std::chrono::microseconds duration) override { now += duration; }
  std::chrono::microseconds now{0};
};

/// While `rival_wins`, another writer takes every version right before we name ours.
class ContestedStore final : public sim::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Status Delete(std::string_view key) override {
    for (int64_t number = lost + 2; rival_wins && key == catalog::ChecksumKey(catalog::VersionKey(number)); ++number) {
      DS_ASSIGN_OR_RETURN(const Bytes body, base_->Get(catalog::VersionKey(number - 1)));
      DS_RETURN_IF_ERROR(base_->PutIfAbsent(catalog::VersionKey(number), body));
      ++lost;
    }
    return base_->Delete(key);
  }
  bool rival_wins = false;
  int64_t lost = 0;
};

class GroupCommitterTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string form = "/dev/shm/datashard-group-test-XXXXXX";
    ASSERT_NE(::mkdtemp(form.data()), nullptr);
    shared_memory = form;
    const auto group = store->NewWriteGroup();
    ASSERT_OK_AND_ASSIGN(const auto first, catalog.Prepare(1, FirstVersion("7c3f4d7e-0000-4000-8000-000000000001", "memory://t",
                                                                           IdAndText(), {}, clock.Now()), *group));
    ASSERT_THAT(group->Sync(), IsOk());
    ASSERT_THAT(catalog.Publish(first, nullptr), IsOk());
  }
  void TearDown() override { std::filesystem::remove_all(shared_memory); }

  ring::RingPlace place() const { return {shared_memory + "/rings", "0123456789abcdef"}; }
  std::unique_ptr<GroupCommitter> NewGroupCommitter() {
    OpenRing open = [this]() -> Result<std::unique_ptr<ring::Ring>> {
      DS_ASSIGN_OR_RETURN(std::unique_ptr<ring::Ring> ring, ring::Ring::Open(place()));
      joined.push_back(ring->id());
      return ring;
    };
    return std::make_unique<GroupCommitter>(store, committer, outside, std::move(open), /*across_hosts=*/false,
                                            GroupSettings{.signal_interval = std::chrono::milliseconds(1),
                                                          .patience = std::chrono::hours(1), .gather = {}});
  }
  Result<Appended> Append(GroupCommitter& with, const std::function<Status()>& interrupted = {}) {
    Result<ArrowStream> conformed = data::ConformRows(RowsWithIds({1}), IdAndText());
    const Bytes payload = data::EncodeRows(std::move(conformed).value(), IdAndText(), 1 << 20).value().bytes;
    DS_ASSIGN_OR_RETURN(const catalog::VersionPtr known, catalog.Load());
    return with.Append({.kind = static_cast<int32_t>(PayloadKind::kRows), .schema_id = 1, .rows = 1}, payload, known,
                       {.deadline = clock.now + kTimeout, .interrupted = interrupted});
  }

  static constexpr auto kTimeout = std::chrono::seconds(6);
  std::string shared_memory;
  TickingClock clock;
  MetricSums metrics;
  Outside outside{clock, SystemRandom(), metrics, SilentLog()};
  std::shared_ptr<ContestedStore> store = std::make_shared<ContestedStore>(OpenMemoryStore("t", clock));
  catalog::DirectoryCatalog catalog{store, outside};
  Committer committer{store, catalog, outside};
  std::vector<std::string> joined;
};

TEST_F(GroupCommitterTest, AClosedRingIsLeftForOneAndTheSameNewRingAtTheNextUse) {
  const auto one = NewGroupCommitter();
  const auto two = NewGroupCommitter();
  ASSERT_THAT(Append(*one), IsOk());
  ring::Ring::Open(place()).value()->Close();
  ASSERT_THAT(Append(*one), IsOk());
  ASSERT_THAT(Append(*two), IsOk());
  ASSERT_THAT(Append(*two), IsOk());
  ASSERT_EQ(joined.size(), 4u);
  EXPECT_EQ(joined[0], joined[1]);
  EXPECT_NE(joined[1], joined[2]);
  EXPECT_EQ(joined[2], joined[3]);
  EXPECT_EQ((*catalog.Load())->metadata.snapshots.size(), 4u);
}

TEST_F(GroupCommitterTest, AnAppendThatIsNeverAnsweredEndsSoonAfterItsDeadlineAndSaysThatItsOutcomeIsOpen) {
  const auto group_committer = NewGroupCommitter();
  const auto stopped = ring::Ring::Open(place()).value();
  const auto lead = stopped->TryLead();
  ASSERT_TRUE(lead.has_value());
  store->rival_wins = true;
  const auto start = clock.now;
  const Result<Appended> outcome = Append(*group_committer);
  EXPECT_THAT(outcome, HasKind(ErrorKind::kCommitUnknown));
  EXPECT_THAT(outcome, HasMessage("not committed in time"));
  EXPECT_GT(store->lost, 10);
  EXPECT_LT(clock.now - start, kTimeout + kWithdrawalMax + std::chrono::seconds(1)) << "each step had a time-out of its own";
}

TEST_F(GroupCommitterTest, AnInterruptedWaitEndsWithinTheTimeOfAWithdrawal) {
  const auto group_committer = NewGroupCommitter();
  const auto stopped = ring::Ring::Open(place()).value();
  const auto lead = stopped->TryLead();
  ASSERT_TRUE(lead.has_value());
  // Python's answers so at every question once Ctrl-C was pressed.
  const auto interrupted = [] { return Status(Unavailable("interrupted")); };
  const auto start = clock.now;
  EXPECT_THAT(Append(*group_committer, interrupted), HasMessage("interrupted"));
  ASSERT_OK_AND_ASSIGN(const catalog::VersionPtr now, catalog.Load());
  EXPECT_TRUE(now->metadata.snapshots.empty());
  ASSERT_OK_AND_ASSIGN(const std::optional<Marks> marks, Marks::Read(now->metadata, stopped->id()));
  EXPECT_TRUE(marks.has_value()) << "a leader that copied the rows could still publish them";

  store->lost = now->number - 1;
  store->rival_wins = true;
  EXPECT_THAT(Append(*group_committer, interrupted), HasKind(ErrorKind::kCommitUnknown));
  EXPECT_GT(store->lost, now->number + 10) << "one lost race was enough to give up";
  EXPECT_LT(clock.now - start, 2 * (kWithdrawalMax + std::chrono::seconds(1)));
}

TEST_F(GroupCommitterTest, AWithdrawalCanBeInterrupted) {
  const auto group_committer = NewGroupCommitter();
  const auto stopped = ring::Ring::Open(place()).value();
  const auto lead = stopped->TryLead();
  ASSERT_TRUE(lead.has_value());
  store->rival_wins = true;
  const auto start = clock.now;
  const auto interrupted = [&] {
    return store->lost > 3 ? Status(Unavailable("interrupted")) : Status();
  };
  EXPECT_THAT(Append(*group_committer, interrupted), HasKind(ErrorKind::kCommitUnknown));
  EXPECT_EQ(store->lost, 4);
  EXPECT_LT(clock.now - start, kTimeout + std::chrono::seconds(2));
}

}  // namespace
}  // namespace datashard::commit
