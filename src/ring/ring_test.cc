// Slots, the lead and the base within one process.
#include "ring/ring.h"

#include <algorithm>
#include <set>
#include <thread>

#include "ring/ring_test_support.h"

namespace datashard::ring {
namespace {

constexpr Label kLabel = {.kind = 1, .schema_id = 2, .spec_id = 3, .rows = 4};

class RingTest : public testing::Test {
 protected:
  Slot NewSlot(int64_t payload_bytes = 10) { return ring->Acquire(payload_bytes).value(); }
  /// A slot that waits with `payload`.
  Slot NewSubmitted(ByteView payload = "x") {
    Slot slot = NewSlot();
    EXPECT_THAT(slot.Submit(kLabel, payload), IsOk());
    return slot;
  }
  Leadership Lead() { return ring->TryLead().value(); }

  RingDirectory directory;
  std::unique_ptr<Ring> ring = OpenRing(directory.place());
  RawRing raw{directory.file()};
};

TEST_F(RingTest, ASubmissionIsTakenAndAnswered) {
  Slot slot = NewSlot();
  EXPECT_EQ(slot.state(), SlotState::kFree);
  ASSERT_THAT(slot.Submit(kLabel, "some rows"), IsOk());
  EXPECT_EQ(slot.state(), SlotState::kWait);
  Leadership lead = Lead();
  EXPECT_EQ(lead.CountWaiting(), 1);
  const std::vector<Submission> taken = lead.Take();
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].slot, slot.index());
  EXPECT_EQ(taken[0].seq, slot.seq());
  EXPECT_EQ(taken[0].seq, 1);
  EXPECT_EQ(taken[0].label, kLabel);
  EXPECT_EQ(taken[0].payload, "some rows");
  const Reply reply = {.version = 7, .snapshot_id = 8, .sequence_number = 9, .timestamp_ms = 10};
  lead.Answer(taken[0], SlotState::kAck, reply);
  EXPECT_EQ(slot.state(), SlotState::kAck);
  EXPECT_EQ(slot.reply(), reply);
  slot.Wait(kForEver);
  EXPECT_EQ(lead.CountWaiting(), 0);
  EXPECT_THAT(lead.Take(), testing::IsEmpty());
}

TEST_F(RingTest, OneAtATimeHasTheChoresBesideWhoeverLeads) {
  const auto second = OpenRing(directory.place());
  const Leadership lead = Lead();
  {
    const std::optional<Chores> chores = ring->TryChores();
    ASSERT_TRUE(chores.has_value());
    EXPECT_FALSE(ring->TryChores().has_value());
    EXPECT_FALSE(second->TryChores().has_value());
  }
  EXPECT_TRUE(second->TryChores().has_value());
}

TEST_F(RingTest, EveryAnswerReachesItsOwnerAndOnlyTheFirst) {
  for (const SlotState state : {SlotState::kAck, SlotState::kReplan, SlotState::kRetry, SlotState::kUnknown}) {
    Slot slot = NewSubmitted();
    Leadership lead = Lead();
    const std::vector<Submission> taken = lead.Take();
    ASSERT_EQ(taken.size(), 1u);
    lead.Answer(taken[0], state, {.version = 3});
    lead.Answer(taken[0], SlotState::kAck, {.version = 4});
    EXPECT_EQ(slot.state(), state);
    EXPECT_EQ(slot.reply().version, 3);
  }
}

TEST_F(RingTest, AnAnswerToAnOlderSeqOrToNoSlotIsNotHeard) {
  Slot slot = NewSubmitted("old");
  Leadership lead = Lead();
  Submission old = lead.Take().at(0);
  ASSERT_THAT(slot.Submit(kLabel, "new"), IsOk());
  lead.Answer(old, SlotState::kAck);
  EXPECT_EQ(slot.state(), SlotState::kWait);
  old.slot = -1;
  lead.Answer(old, SlotState::kAck);
  old.slot = kSlotCount;
  lead.Answer(old, SlotState::kAck);
  EXPECT_EQ(lead.Take().at(0).payload, "new");
  lead.Answer(lead.Take().at(0), SlotState::kWait);
  EXPECT_EQ(slot.state(), SlotState::kUnknown) << "no answer must not leave the owner waiting";
}

TEST_F(RingTest, PayloadsOfAllLengthsComeBackWhole) {
  Slot slot = NewSlot(kLargePayloadBytes);
  Leadership lead = Lead();
  for (const int64_t size : {int64_t{0}, int64_t{1}, int64_t{7}, int64_t{8}, int64_t{9}, kLargePayloadBytes}) {
    Bytes payload;
    for (int64_t i = 0; i < size; ++i) payload.push_back(static_cast<char>(i * 31 + size));
    ASSERT_THAT(slot.Submit(kLabel, payload), IsOk());
    ASSERT_EQ(lead.Take().size(), 1u);
    EXPECT_EQ(lead.Take()[0].payload, payload);
  }
  EXPECT_THAT(slot.Submit(kLabel, Bytes(kLargePayloadBytes + 1, 'x')), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(NewSlot().Submit(kLabel, Bytes(kSmallPayloadBytes + 1, 'x')), HasMessage("at most 2048 bytes, not 2049"));
}

TEST_F(RingTest, SmallPayloadsTakeFewSmallSlotsThenAllThenLargeOnes) {
  std::vector<Slot> slots;
  std::vector<int> order;
  for (int i = 0; i < kSlotCount; ++i) {
    slots.push_back(NewSlot());
    order.push_back(slots.back().index());
  }
  EXPECT_EQ(std::set<int>(order.begin(), order.end()).size(), static_cast<size_t>(kSlotCount));
  const auto within = [&](int from, int to, int low, int high) {
    return std::all_of(order.begin() + from, order.begin() + to, [=](int slot) { return slot >= low && slot < high; });
  };
  EXPECT_TRUE(within(0, 32, 64, 96));
  EXPECT_TRUE(within(32, 128, 96, 192));
  EXPECT_TRUE(within(128, 960, 192, 1024));
  EXPECT_TRUE(within(960, 1024, 0, 64));
  EXPECT_THAT(ring->Acquire(10), HasKind(ErrorKind::kUnavailable));
  slots.pop_back();
  EXPECT_EQ(NewSlot().index(), order.back());
}

TEST_F(RingTest, LargePayloadsTakeLargeSlotsOnly) {
  std::vector<Slot> slots;
  for (int i = 0; i < kLargeSlotCount; ++i) {
    slots.push_back(NewSlot(kSmallPayloadBytes + 1));
    EXPECT_LT(slots.back().index(), kLargeSlotCount);
  }
  EXPECT_THAT(ring->Acquire(kLargePayloadBytes), HasKind(ErrorKind::kUnavailable));
  EXPECT_GE(NewSlot(kSmallPayloadBytes).index(), kLargeSlotCount);
  EXPECT_THAT(ring->Acquire(kLargePayloadBytes + 1), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(ring->Acquire(-1), HasKind(ErrorKind::kInvalidArgument));
}

TEST_F(RingTest, SaysWhetherASlotOfTheRightSizeMayBeFree) {
  std::vector<Slot> taken;
  for (int i = 0; i < kLargeSlotCount; ++i) {
    EXPECT_TRUE(ring->MayHaveRoom(kLargePayloadBytes));
    taken.push_back(ring->Acquire(kLargePayloadBytes).value());
    ASSERT_THAT(taken.back().Submit(kLabel, "rows"), IsOk());
  }
  EXPECT_FALSE(ring->MayHaveRoom(kLargePayloadBytes));
  EXPECT_THAT(ring->Acquire(kLargePayloadBytes), HasKind(ErrorKind::kUnavailable));
  EXPECT_TRUE(ring->MayHaveRoom(kSmallPayloadBytes));
  taken.pop_back();
  EXPECT_TRUE(ring->MayHaveRoom(kLargePayloadBytes));
}

TEST_F(RingTest, ASlotIsNobodyElsesUntilGivenUpAndItsSeqGoesOn) {
  const auto second = OpenRing(directory.place());
  int index = 0;
  int64_t seq = 0;
  {
    Slot slot = NewSlot();
    index = slot.index();
    EXPECT_NE(second->Acquire(10)->index(), index);
    EXPECT_NE(NewSlot().index(), index);
    ASSERT_THAT(slot.Submit(kLabel, "x"), IsOk());
    seq = slot.seq();
  }
  Leadership lead = Lead();
  EXPECT_EQ(lead.CountWaiting(), 0) << "it was given up while it waited";
  Slot again = *second->Acquire(10);
  EXPECT_EQ(again.index(), index);
  EXPECT_EQ(again.seq(), seq);
  EXPECT_EQ(again.state(), SlotState::kFree);
  ASSERT_THAT(again.Submit(kLabel, "x"), IsOk());
  EXPECT_EQ(again.seq(), seq + 1);
}

TEST_F(RingTest, TakesInTheOrderOfArrival) {
  std::vector<Slot> slots;
  for (int i = 0; i < 20; ++i) slots.push_back(NewSlot(i % 2 == 0 ? 10 : kLargePayloadBytes));
  for (size_t i = 0; i < slots.size(); ++i) ASSERT_THAT(slots[slots.size() - 1 - i].Submit(kLabel, std::to_string(i)), IsOk());
  const std::vector<Submission> taken = Lead().Take();
  ASSERT_EQ(taken.size(), slots.size());
  for (size_t i = 0; i < taken.size(); ++i) EXPECT_EQ(taken[i].payload, std::to_string(i));
}

TEST_F(RingTest, WhatIsWithdrawnIsNotTakenAndWhatIsAnsweredIsNotWithdrawn) {
  Slot slot = NewSlot();
  EXPECT_FALSE(slot.Withdraw());
  ASSERT_THAT(slot.Submit(kLabel, "x"), IsOk());
  Leadership lead = Lead();
  const Submission copied = lead.Take().at(0);
  EXPECT_TRUE(slot.Withdraw());
  EXPECT_EQ(slot.state(), SlotState::kFill);
  EXPECT_THAT(lead.Take(), testing::IsEmpty());
  lead.Answer(copied, SlotState::kAck);
  EXPECT_EQ(slot.state(), SlotState::kFill);
  EXPECT_FALSE(slot.Withdraw());
  ASSERT_THAT(slot.Submit(kLabel, "y"), IsOk());
  lead.Answer(lead.Take().at(0), SlotState::kAck);
  EXPECT_FALSE(slot.Withdraw());
  EXPECT_EQ(slot.state(), SlotState::kAck);
}

TEST_F(RingTest, OnlyOneLeadsAtATime) {
  const auto second = OpenRing(directory.place());
  {
    const std::optional<Leadership> lead = ring->TryLead();
    ASSERT_TRUE(lead.has_value());
    EXPECT_FALSE(ring->TryLead().has_value());
    EXPECT_FALSE(second->TryLead().has_value());
  }
  EXPECT_TRUE(second->TryLead().has_value());
  EXPECT_TRUE(ring->TryLead().has_value());
}

TEST_F(RingTest, ADeposedLeaderGoesOnBesideTheNext) {
  const auto second = OpenRing(directory.place());
  Slot slot = NewSubmitted();
  Leadership old = Lead();
  const Submission copy = old.Take().at(0);
  const uint64_t term = ring->term();
  second->Depose(term);
  EXPECT_EQ(ring->term(), term + 1);
  second->Depose(term);
  EXPECT_EQ(ring->term(), term + 1) << "that leader is deposed already";
  {
    // In the same process too, and both may answer.
    Leadership next = Lead();
    EXPECT_FALSE(second->TryLead().has_value());
    next.Answer(next.Take().at(0), SlotState::kAck, {.version = 12});
    old.Answer(copy, SlotState::kRetry, {.version = 99});
    old.ShowLife();
  }
  EXPECT_EQ(slot.state(), SlotState::kAck);
  EXPECT_EQ(slot.reply().version, 12);
  EXPECT_EQ(second->groups(), 1u);
  EXPECT_TRUE(second->TryLead().has_value()) << "the old leader still lives, but holds nothing that counts";
}

TEST_F(RingTest, AReplyOfTheLosingLeaderDoesNotTouchTheWinners) {
  Slot slot = NewSubmitted();
  Leadership old = Lead();
  ring->Depose(ring->term());
  Leadership next = Lead();
  next.Answer(next.Take().at(0), SlotState::kAck, {.version = 12});
  // The old leader is stopped after it saw the slot waiting, and writes its reply now.
  ReplyCell& losing = raw->slots[static_cast<size_t>(slot.index())].replies[0];
  losing.version.store(99);
  EXPECT_EQ(slot.reply().version, 12);
  raw->slots[static_cast<size_t>(slot.index())].replies[1].version.store(99);
  EXPECT_EQ(slot.reply(), Reply{}) << "a torn reply is no reply";
}

TEST_F(RingTest, TheLeadIsPassedToOneWaitingSlot) {
  Slot one = NewSlot();
  Slot two = NewSlot();
  Slot idle = NewSlot();
  ASSERT_THAT(one.Submit(kLabel, "x"), IsOk());
  ASSERT_THAT(two.Submit(kLabel, "y"), IsOk());
  const auto offered = [&] {
    int count = 0;
    for (SlotHeader& header : raw->slots) count += static_cast<int>(header.lead_passed.load());
    return count;
  };
  { const Leadership lead = Lead(); }
  ASSERT_EQ(offered(), 1);
  Slot& first = raw->slots[static_cast<size_t>(one.index())].lead_passed.load() == 1 ? one : two;
  Slot& other = &first == &one ? two : one;
  first.Wait(kForEver);
  EXPECT_EQ(first.state(), SlotState::kWait);
  EXPECT_EQ(offered(), 0);
  { const Leadership lead = Lead(); }
  EXPECT_EQ(offered(), 1) << "the next one's turn";
  other.Wait(kForEver);
  // Who was offered the lead and gives up instead hands it on.
  EXPECT_TRUE(other.Withdraw());
  EXPECT_EQ(offered(), 1);
  first.Wait(kForEver);
  first.Wait(microseconds(1));
  EXPECT_EQ(first.state(), SlotState::kWait);
  { const Slot gives_up = std::move(first); }
  EXPECT_EQ(offered(), 0) << "nobody waits any more";
  { const Leadership lead = Lead(); }
  EXPECT_EQ(offered(), 0);
}

TEST_F(RingTest, AnOwnerThatLeavesPassesOnTheLeadItWasOffered) {
  for (const bool noticed : {true, false}) {
    auto leaves = std::make_unique<Slot>(NewSlot());
    ASSERT_THAT(leaves->Submit(kLabel, "x"), IsOk());
    { const Leadership lead = Lead(); }
    ASSERT_EQ(raw->slots[static_cast<size_t>(leaves->index())].lead_passed.load(), 1u);
    Slot stays = NewSubmitted("y");
    if (noticed) leaves->Wait(kForEver);
    leaves.reset();
    EXPECT_EQ(raw->slots[static_cast<size_t>(stays.index())].lead_passed.load(), 1u);
    stays.Wait(kForEver);
  }
}

TEST_F(RingTest, ADeposedLeadIsOfferedToAll) {
  std::vector<Slot> slots;
  for (int i = 0; i < 3; ++i) {
    slots.push_back(NewSlot());
    ASSERT_THAT(slots.back().Submit(kLabel, "x"), IsOk());
  }
  const Leadership lead = Lead();
  ring->Depose(ring->term());
  for (Slot& slot : slots) slot.Wait(kForEver);
}

TEST_F(RingTest, TheNewestBaseIsKept) {
  EXPECT_FALSE(ring->base().has_value());
  EXPECT_FALSE(ring->base_version().has_value());
  const auto second = OpenRing(directory.place());
  for (int64_t version = 1; version <= 5; ++version) {
    const Bytes blob(static_cast<size_t>(version * 50'001), static_cast<char>('a' + version));
    ring->SetBase(version, blob);
    ASSERT_TRUE(second->base().has_value());
    EXPECT_EQ(second->base()->version, version);
    EXPECT_EQ(second->base()->blob, blob);
    EXPECT_EQ(second->base_version(), version);
  }
  ring->SetBase(6, Bytes(kBaseBytesMax + 1, 'x'));
  EXPECT_EQ(second->base_version(), 5) << "too large";
  ring->SetBase(4, "older");
  EXPECT_EQ(second->base_version(), 5) << "left by a leader that was stopped for long";
  ring->SetBase(7, "");
  EXPECT_EQ(second->base()->blob, "");
}

TEST_F(RingTest, ATornBaseIsNone) {
  ring->SetBase(3, "three");
  ring->SetBase(4, "four and more");
  raw->blobs[0][1].fetch_add(1);
  EXPECT_FALSE(ring->base().has_value());
  ring->SetBase(5, "five");
  EXPECT_EQ(ring->base()->blob, "five");
  raw->bases[1].version.store(int64_t{1} << 60);
  EXPECT_FALSE(ring->base().has_value());
  EXPECT_FALSE(ring->base_version().has_value());
  ring->SetBase(6, "six");
  EXPECT_EQ(ring->base()->blob, "six") << "a version of garbage does not count as newer";
  raw->bases[0].length.store(~uint64_t{0});
  EXPECT_FALSE(ring->base().has_value());
  for (const uint64_t garbage : {~uint64_t{0}, ~uint64_t{0} - 1, uint64_t{12345}}) {
    raw->header.base_generation.store(garbage);
    EXPECT_FALSE(ring->base().has_value());
    ring->SetBase(7, "seven");
    EXPECT_EQ(ring->base()->blob, "seven");
  }
}

TEST_F(RingTest, GarbageInASlotIsNotTaken) {
  Slot slot = NewSlot();
  Leadership lead = Lead();
  SlotHeader& header = raw->slots[static_cast<size_t>(slot.index())];
  const std::vector<std::function<void()>> damages = {
      [&] { header.length.store(~uint32_t{0}); },
      [&] { header.length.store(2049); },
      [&] { header.length.store(3); },
      [&] { header.rows.fetch_add(1); },
      [&] { header.arrival.fetch_add(1); },
      [&] { PayloadOf(*raw, slot.index())->fetch_add(1); },
      [&] { header.word.fetch_add(1 << 16); },
  };
  for (size_t i = 0; i < damages.size(); ++i) {
    ASSERT_THAT(slot.Submit(kLabel, "some rows"), IsOk());
    ASSERT_EQ(lead.Take().size(), 1u);
    damages[i]();
    EXPECT_THAT(lead.Take(), testing::IsEmpty()) << i;
  }
  EXPECT_EQ(slot.state(), SlotState::kUnknown) << "its seq is not ours";
  ASSERT_THAT(slot.Submit(kLabel, "x"), IsOk());
  header.word.store(MakeWord(slot.seq(), static_cast<SlotState>(77)));
  EXPECT_EQ(slot.state(), SlotState::kUnknown);
  slot.Wait(kForEver);
}

TEST_F(RingTest, SeqNeverFallsEvenWhereSomebodyWritesGarbage) {
  Slot slot = NewSlot();
  SlotHeader& header = raw->slots[static_cast<size_t>(slot.index())];
  for (int i = 0; i < 5; ++i) ASSERT_THAT(slot.Submit(kLabel, "x"), IsOk());
  header.word.store(0);
  ASSERT_THAT(slot.Submit(kLabel, "x"), IsOk());
  EXPECT_EQ(slot.seq(), 6);
  header.word.store(~uint64_t{0});
  EXPECT_THAT(slot.Submit(kLabel, "x"), HasKind(ErrorKind::kUnavailable));
  const int index = slot.index();
  header.word.store(~uint64_t{0});
  EXPECT_NE(NewSlot().index(), index);
}

TEST_F(RingTest, AMemoryFullOfGarbageKillsNobody) {
  Slot slot = NewSubmitted();
  Leadership lead = Lead();
  uint64_t noise = 88172645463325252;
  auto* words = reinterpret_cast<std::atomic<uint64_t>*>(&*raw);
  for (int round = 0; round < 5; ++round) {
    for (size_t i = sizeof(Preamble) / 8; i < sizeof(Shared) / 8; ++i) {
      noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
      // Many slots that claim to wait.
      words[i].store(round % 2 == 0 ? noise : (noise & ~uint64_t{0xffff}) | 2);
    }
    const std::vector<Submission> taken = lead.Take();
    EXPECT_THAT(taken, testing::IsEmpty());
    (void)lead.CountWaiting();
    lead.Answer({.slot = slot.index(), .seq = slot.seq(), .label = {}, .payload = {}}, SlotState::kAck);
    lead.ShowLife();
    (void)slot.state();
    (void)slot.reply();
    slot.Wait(microseconds(10));
    (void)slot.Withdraw();
    (void)ring->TryLead();
    ring->Depose(ring->term());
    (void)ring->Acquire(10);
    EXPECT_FALSE(ring->base().has_value());
    ring->SetBase(1, "x");
    (void)slot.Submit(kLabel, "x");
  }
}

}  // namespace
}  // namespace datashard::ring
