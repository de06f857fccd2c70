// The ring between processes that are killed, stopped and forked, and between many threads.
#include <sched.h>

#include <map>
#include <set>
#include <thread>

#include "ring/ring_test_support.h"

namespace datashard::ring {
namespace {

constexpr Label kLabel = {.kind = 1};

TEST(RingProcesses, ASubmissionIsAnsweredAcrossProcesses) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 4; ++i)
    children.push_back(std::make_unique<Child>([&, i](Child& parent) {
      const auto own = OpenRing(directory.place());
      Slot slot = own->Acquire(10).value();
      ASSERT_THAT(slot.Submit(kLabel, std::to_string(i)), IsOk());
      parent.Tell();
      slot.Wait(kForEver);
      EXPECT_EQ(slot.state(), SlotState::kAck);
      EXPECT_EQ(slot.reply().version, 100 + i);
    }));
  for (auto& child : children) ASSERT_TRUE(child->Hear());
  {
    Leadership lead = ring->TryLead().value();
    const std::vector<Submission> taken = lead.Take();
    EXPECT_EQ(taken.size(), 4u);
    for (const Submission& one : taken) lead.Answer(one, SlotState::kAck, {.version = 100 + std::stoi(one.payload)});
  }
  for (auto& child : children) EXPECT_EQ(child->Join(), 0);
}

TEST(RingProcesses, AKilledOwnersRowsAreTakenAndItsSlotIsUsableAtOnce) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  Child child([&](Child& parent) {
    // The parent has the same number of slots left in front of it, so its first choice is ours.
    std::vector<Slot> slots;
    for (int i = 0; i < kSlotCount; ++i) slots.push_back(ring->Acquire(10).value());
    ASSERT_THAT(slots[0].Submit(kLabel, "orphan"), IsOk());
    parent.Tell();
    (void)parent.Hear();
  });
  ASSERT_TRUE(child.Hear());
  EXPECT_THAT(ring->Acquire(10), HasKind(ErrorKind::kUnavailable));
  child.Kill();
  {
    Leadership lead = ring->TryLead().value();
    const std::vector<Submission> taken = lead.Take();
    ASSERT_EQ(taken.size(), 1u);
    EXPECT_EQ(taken[0].payload, "orphan");
  }
  std::vector<Slot> slots;
  int used_before = 0;
  for (int i = 0; i < kSlotCount; ++i) {
    slots.push_back(ring->Acquire(10).value());
    EXPECT_EQ(slots.back().state(), SlotState::kFree);
    used_before += slots.back().seq() == 1 ? 1 : 0;
  }
  EXPECT_EQ(used_before, 1);
  EXPECT_EQ(ring->TryLead()->CountWaiting(), 0);
}

TEST(RingProcesses, TheLeadIsNotPassedToTheSlotOfAKilledOwner) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  RawRing raw(directory.file());
  Child child([&](Child& parent) {
    Slot slot = ring->Acquire(10).value();
    ASSERT_THAT(slot.Submit(kLabel, "orphan"), IsOk());
    parent.Tell();
    (void)parent.Hear();
  });
  ASSERT_TRUE(child.Hear());
  child.Kill();
  // A large slot, so that the orphan's is not taken over.
  Slot slot = ring->Acquire(kLargePayloadBytes).value();
  ASSERT_THAT(slot.Submit(kLabel, "x"), IsOk());
  for (int i = 0; i < 10; ++i) {
    {
      Leadership lead = ring->TryLead().value();
      ASSERT_EQ(lead.CountWaiting(), 2);
    }
    EXPECT_EQ(raw->slots[static_cast<size_t>(slot.index())].lead_passed.load(), 1u);
    slot.Wait(kForEver);
  }
}

TEST(RingProcesses, AKilledLeaderFreesTheLead) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  Child child([&](Child& parent) {
    const std::optional<Leadership> lead = ring->TryLead();
    EXPECT_TRUE(lead.has_value());
    parent.Tell();
    (void)parent.Hear();
  });
  ASSERT_TRUE(child.Hear());
  EXPECT_FALSE(ring->TryLead().has_value());
  child.Kill();
  EXPECT_TRUE(ring->TryLead().has_value());
}

TEST(RingProcesses, AStoppedLeaderIsDeposedAndFindsEverythingDoneWhenItGoesOn) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  Slot slot = ring->Acquire(10).value();
  ASSERT_THAT(slot.Submit(kLabel, "x"), IsOk());
  Child child([&](Child& parent) {
    Leadership lead = ring->TryLead().value();
    const Submission copy = lead.Take().at(0);
    ring->SetBase(1, "old");
    parent.Tell();
    ASSERT_TRUE(parent.Hear());
    // Deposed by now, and its rows were committed by the next leader.
    EXPECT_EQ(lead.CountWaiting(), 0);
    EXPECT_THAT(lead.Take(), testing::IsEmpty());
    lead.Answer(copy, SlotState::kRetry, {.version = 99});
    ring->SetBase(1, "old");
    EXPECT_FALSE(ring->TryLead().has_value());
  });
  ASSERT_TRUE(child.Hear());
  child.Stop();
  ASSERT_FALSE(ring->TryLead().has_value());
  ring->Depose(ring->term());
  std::optional<Leadership> lead = ring->TryLead();
  ASSERT_TRUE(lead.has_value());
  lead->Answer(lead->Take().at(0), SlotState::kAck, {.version = 2});
  ring->SetBase(2, "new");
  child.Tell();
  child.Signal(SIGCONT);
  EXPECT_EQ(child.Join(), 0);
  EXPECT_EQ(slot.state(), SlotState::kAck);
  EXPECT_EQ(slot.reply().version, 2);
  EXPECT_EQ(ring->base()->blob, "new");
  lead.reset();
  EXPECT_TRUE(ring->TryLead().has_value());
}

TEST(RingProcesses, AForkChildDoesNotKeepItsParentsLocksAlive) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  Child parent([&](Child& test) {
    const std::optional<Leadership> lead = ring->TryLead();
    EXPECT_TRUE(lead.has_value());
    std::vector<Slot> slots;
    for (int i = 0; i < kLargeSlotCount; ++i) slots.push_back(ring->Acquire(kLargePayloadBytes).value());
    // Lives on until the test closes its end.
    const pid_t grandchild = ::fork();
    if (grandchild == 0) {
      test.Tell();
      (void)test.Hear();
      ::_exit(0);
    }
    ::pause();
  });
  ASSERT_TRUE(parent.Hear());
  EXPECT_FALSE(ring->TryLead().has_value());
  EXPECT_THAT(ring->Acquire(kLargePayloadBytes), HasKind(ErrorKind::kUnavailable));
  parent.Kill();
  EXPECT_TRUE(ring->TryLead().has_value());
  EXPECT_THAT(ring->Acquire(kLargePayloadBytes), IsOk());
}

TEST(RingProcesses, WhatAForkChildInheritsIsNotItsOwn) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  auto slot = std::make_unique<Slot>(ring->Acquire(10).value());
  ASSERT_THAT(slot->Submit(kLabel, "parent's"), IsOk());
  auto lead = std::make_unique<Leadership>(ring->TryLead().value());
  Child child([&](Child&) {
    EXPECT_FALSE(ring->TryLead().has_value());
    EXPECT_THAT(slot->Submit(kLabel, "child's"), HasKind(ErrorKind::kInvalidArgument));
    EXPECT_FALSE(slot->Withdraw());
    EXPECT_THAT(lead->Take(), testing::IsEmpty());
    lead->Answer({.slot = slot->index(), .seq = slot->seq(), .label = {}, .payload = {}}, SlotState::kAck);
    const Slot own = ring->Acquire(10).value();
    EXPECT_NE(own.index(), slot->index());
    slot.reset();
    lead.reset();
    EXPECT_FALSE(ring->TryLead().has_value()) << "the parent leads";
  });
  EXPECT_EQ(child.Join(), 0);
  EXPECT_EQ(slot->state(), SlotState::kWait);
  EXPECT_EQ(lead->Take().at(0).payload, "parent's");
  EXPECT_FALSE(ring->TryLead().has_value());
  lead.reset();
  EXPECT_TRUE(ring->TryLead().has_value());
}

TEST(RingProcesses, AForkChildDoesNotJoinARingThatTookThePlaceOfItsParents) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  Child child([&](Child&) {
    std::filesystem::remove(directory.file());
    const auto other = OpenRing(directory.place());
    EXPECT_THAT(ring->Acquire(10), HasKind(ErrorKind::kUnavailable));
    EXPECT_THAT(ring->Acquire(10), HasMessage("was replaced"));
    EXPECT_FALSE(ring->TryLead().has_value());
    EXPECT_TRUE(other->TryLead().has_value());
  });
  EXPECT_EQ(child.Join(), 0);
}

TEST(RingProcesses, ForkingAmongBusyThreadsLocksUpNobody) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      while (!stop.load()) {
        const auto own = OpenRing(directory.place());
        (void)own->Acquire(10);
        (void)ring->TryLead();
      }
    });
  for (int i = 0; i < 30; ++i) {
    Child child([&](Child&) {
      EXPECT_THAT(ring->Acquire(10), IsOk());
      EXPECT_THAT(OpenRing(directory.place())->Acquire(10), IsOk());
    });
    EXPECT_EQ(child.Join(), 0);
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
}

TEST(RingProcesses, WritersGetOnWhereverOthersAreKilled) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  const auto append = [](Ring& own, microseconds wait) {
    Slot slot = own.Acquire(10).value();
    ASSERT_THAT(slot.Submit(kLabel, "x"), IsOk());
    while (slot.state() == SlotState::kWait) {
      if (std::optional<Leadership> lead = own.TryLead(); lead.has_value()) {
        for (const Submission& one : lead->Take()) lead->Answer(one, SlotState::kAck, {.version = one.seq});
        lead->ShowLife();
      } else {
        slot.Wait(wait);
      }
    }
    EXPECT_EQ(slot.state(), SlotState::kAck);
    EXPECT_EQ(slot.reply().version, slot.seq());
  };
  std::vector<std::unique_ptr<Child>> survivors;
  for (int i = 0; i < 2; ++i)
    survivors.push_back(std::make_unique<Child>([&](Child& parent) {
      parent.Tell();
      // A process that is killed with the offer of the lead in its hands costs one time-out.
      for (int k = 0; k < 5'000; ++k) append(*ring, std::chrono::milliseconds(5));
    }));
  for (auto& child : survivors) ASSERT_TRUE(child->Hear());
  for (int i = 0; i < 40; ++i) {
    const uint64_t before = ring->groups();
    Child victim([&](Child& parent) {
      parent.Tell();
      while (true) append(*ring, std::chrono::milliseconds(5));
    });
    ASSERT_TRUE(victim.Hear());
    while (ring->groups() < before + static_cast<uint64_t>(i)) ::sched_yield();
    victim.Kill();
  }
  for (auto& child : survivors) EXPECT_EQ(child->Join(), 0);
  append(*ring, kForEver);
}

TEST(RingProcesses, TwoNamespacesOfProcessesShareARing) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  Child child([&](Child& parent) {
    if (::unshare(CLONE_NEWPID) != 0) ::_exit(77);
    Child inner([&](Child&) {
      EXPECT_EQ(::getpid(), 1);
      const auto own = OpenRing(directory.place());
      Slot slot = own->Acquire(10).value();
      const std::optional<Leadership> lead = own->TryLead();
      EXPECT_TRUE(lead.has_value());
      ASSERT_THAT(slot.Submit(kLabel, "from within"), IsOk());
      parent.Tell();
      while (slot.state() == SlotState::kWait) slot.Wait(kForEver);  // the deposed lead is offered to it too
      EXPECT_EQ(slot.state(), SlotState::kAck);
    });
    EXPECT_EQ(inner.Join(), 0);
  });
  if (!child.Hear()) {
    EXPECT_EQ(child.Join(), 77);
    GTEST_SKIP() << "no namespaces allowed here";
  }
  EXPECT_FALSE(ring->TryLead().has_value());
  ring->Depose(ring->term());
  Leadership lead = ring->TryLead().value();
  lead.Answer(lead.Take().at(0), SlotState::kAck);
  EXPECT_EQ(child.Join(), 0);
}

/// Counts what it answers, by payload.
struct Ledger {
  std::mutex mutex;
  std::map<Bytes, int> acknowledged;

  void Lead(Ring& ring, Leadership& lead) {
    std::vector<Submission> taken = lead.Take();
    const std::lock_guard lock(mutex);
    for (const Submission& one : taken) {
      // As marks do: what an earlier leader has done already is acknowledged again, and not done again.
      const int64_t version = static_cast<int64_t>(acknowledged.size());
      ++acknowledged[one.payload];
      lead.Answer(one, SlotState::kAck, {.version = version, .snapshot_id = ~version});
    }
    lead.ShowLife();
    ring.SetBase(static_cast<int64_t>(ring.groups()), taken.empty() ? ByteView() : ByteView(taken[0].payload));
  }
};

TEST(RingThreads, SixteenThreadsLoseNothingAndNothingIsAnsweredTwice) {
  constexpr int kThreads = 16;
  constexpr int kSubmissions = 2000;
  const RingDirectory directory;
  // Two rings, so that both kinds of exclusion are at work: bits within one, locks of the file between them.
  const auto one = OpenRing(directory.place());
  const auto two = OpenRing(directory.place());
  Ledger ledger;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      Ring& ring = t % 2 == 0 ? *one : *two;
      for (int i = 0; i < kSubmissions; ++i) {
        Slot slot = ring.Acquire(20).value();
        const int64_t before = slot.seq();
        const Bytes payload = std::to_string(t) + " " + std::to_string(i);
        const SlotState state =
            AppendAndLead(ring, slot, kLabel, payload, [&](Leadership& lead) { ledger.Lead(ring, lead); });
        EXPECT_EQ(state, SlotState::kAck);
        EXPECT_EQ(slot.seq(), before + 1);
        EXPECT_EQ(slot.reply().snapshot_id, ~slot.reply().version);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ledger.acknowledged.size(), static_cast<size_t>(kThreads * kSubmissions));
  for (const auto& [payload, count] : ledger.acknowledged) ASSERT_EQ(count, 1) << payload;
  EXPECT_EQ(one->TryLead()->CountWaiting(), 0);
}

TEST(RingThreads, SeqNeverFallsInASlotWhoeverUsesIt) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  std::vector<std::atomic<int64_t>> highest(kSlotCount);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 3000; ++i) {
        Slot slot = ring->Acquire(10).value();
        ASSERT_THAT(slot.Submit(kLabel, "x"), IsOk());
        EXPECT_LT(highest[static_cast<size_t>(slot.index())].exchange(slot.seq()), slot.seq());
      }
    });
  for (std::thread& thread : threads) thread.join();
}

// Both wait without a time-out: a lost wake-up of an answer or of a passed lead hangs this test.
TEST(RingThreads, TwoThreadsThatPassTheLeadToEachOtherLoseNoWakeUp) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  std::atomic<int> led = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      Slot slot = ring->Acquire(10).value();
      for (int i = 0; i < 20'000; ++i)
        EXPECT_EQ(AppendAndLead(*ring, slot, kLabel, "x",
                                [&](Leadership& lead) {
                                  ++led;
                                  // One of them only, so that the other waits and the lead must be passed on to it.
                                  const std::vector<Submission> taken = lead.Take();
                                  if (!taken.empty()) lead.Answer(taken.front(), SlotState::kAck);
                                }),
                  SlotState::kAck);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(led.load(), 40'000) << "each group answers one";
}

TEST(RingThreads, ThreadsThatGiveUpLoseNoWakeUpOfOthers) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  std::atomic<int> withdrawn = 0;
  std::atomic<int> working = 2;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      Slot slot = ring->Acquire(10).value();
      for (int i = 0; i < 5'000; ++i)
        AppendAndLead(*ring, slot, kLabel, "x", [&](Leadership& lead) {
          for (const Submission& one : lead.Take()) {
            lead.Answer(one, SlotState::kAck);
            break;
          }
        });
      --working;
    });
  threads.emplace_back([&] {
    while (working.load() > 0) {
      Slot slot = ring->Acquire(10).value();
      ASSERT_THAT(slot.Submit(kLabel, "impatient"), IsOk());
      slot.Wait(microseconds(20));
      withdrawn += slot.Withdraw() ? 1 : 0;
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(withdrawn.load(), 0);
}

TEST(RingThreads, ABaseReadWhileItIsReplacedIsWholeOrNone) {
  const RingDirectory directory;
  const auto ring = OpenRing(directory.place());
  std::atomic<bool> stop = false;
  std::vector<std::thread> writers;
  for (int t = 0; t < 2; ++t)
    writers.emplace_back([&] {
      for (int64_t version = 1; !stop.load(); ++version)
        ring->SetBase(version, Bytes(static_cast<size_t>(20'000 + version % 7), static_cast<char>(version)));
    });
  int whole = 0;
  for (int i = 0; i < 2000 || (whole == 0 && i < 1'000'000); ++i) {
    const std::optional<RingBase> base = ring->base();
    if (!base.has_value()) continue;
    ++whole;
    EXPECT_EQ(base->blob, Bytes(static_cast<size_t>(20'000 + base->version % 7), static_cast<char>(base->version)));
  }
  stop.store(true);
  for (std::thread& writer : writers) writer.join();
  EXPECT_GT(whole, 0);
}

}  // namespace
}  // namespace datashard::ring
