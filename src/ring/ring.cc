#include "ring/ring.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "base/error.h"
#include "ring/view.h"

namespace datashard::ring {
namespace {

// Processes look first where few others do, but all within few slots: a leader looks at all that were ever used.
constexpr int kFirstWindow = 32;
constexpr int kSecondWindow = 128;

/// Spreads neighbouring process ids.
uint64_t PlaceOf(pid_t pid) { return (static_cast<uint64_t>(pid) * 0x9e3779b97f4a7c15) >> 32; }

struct SlotRange {
  int begin;
  int end;
};

/// The first slot of `range` that `try_slot` takes (true) or fails at (an error); none where it takes none.
template <typename TrySlot>
Result<std::optional<int>> FirstOf(SlotRange range, TrySlot try_slot) {
  const uint64_t place = PlaceOf(::getpid());
  int begin = range.begin;
  for (const int window : {kFirstWindow, kSecondWindow, kSlotCount}) {
    const int end = std::min(range.begin + window, range.end);
    const auto count = static_cast<uint64_t>(end - begin);
    for (uint64_t i = 0; i < count; ++i) {
      const int slot = begin + static_cast<int>((place + i) % count);
      DS_ASSIGN_OR_RETURN(const bool taken, try_slot(slot));
      if (taken) return std::optional(slot);
    }
    begin = end;
  }
  return std::optional<int>();
}

}  // namespace

int Ring::View::SlotsUsed() const {
  return static_cast<int>(std::min<uint32_t>(shared.header.slots_used.load(), kSlotCount));
}

void Ring::View::Wake(int slot) {
  std::atomic<uint32_t>& event = shared.slots[static_cast<size_t>(slot)].event;
  event.fetch_add(1);
  (void)::syscall(SYS_futex, &event, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

bool Ring::View::OfferLead(int slot) {
  SlotHeader& header = shared.slots[static_cast<size_t>(slot)];
  const uint64_t word = header.word.load();
  // A slot whose owner was killed would swallow the offer.
  if (!IsWaiting(word) || !locks.IsTaken(Lock::OfSlot(slot))) return false;
  header.lead_passed.store(1);
  // The owner may have given up between the two; it looks at the flag after the word was changed, we the other way round.
  if (header.word.load() != word && header.lead_passed.exchange(0) == 1) return false;
  Wake(slot);
  return true;
}

void Ring::View::PassLeadOn() {
  const int used = SlotsUsed();
  const auto start = static_cast<int>(shared.header.pass_next.load(std::memory_order_relaxed) % kSlotCount);
  for (int i = 0; i < used; ++i) {
    const int slot = (start + i) % used;
    if (!OfferLead(slot)) continue;
    shared.header.pass_next.store(static_cast<uint32_t>(slot) + 1, std::memory_order_relaxed);
    return;
  }
}

void Ring::View::OfferLeadToAll() {
  for (int slot = 0; slot < SlotsUsed(); ++slot) (void)OfferLead(slot);
}

Result<bool> Ring::View::TryOwn(int slot) {
  DS_ASSIGN_OR_RETURN(const bool taken, locks.TryTake(Lock::OfSlot(slot)));
  if (!taken) return false;
  SlotHeader& header = shared.slots[static_cast<size_t>(slot)];
  const int64_t seq = SeqOf(header.word.load());
  if (seq >= kSeqMax) {  // not within a ring's life, but somebody may have written garbage
    locks.Release(Lock::OfSlot(slot));
    return false;
  }
  header.word.store(MakeWord(seq, SlotState::kFree));
  const auto wanted = static_cast<uint32_t>(slot) + 1;
  for (uint32_t used = shared.header.slots_used.load(); used < wanted;)
    if (shared.header.slots_used.compare_exchange_weak(used, wanted)) break;
  return true;
}

Ring::Ring() = default;
Ring::~Ring() = default;

Result<std::unique_ptr<Ring>> Ring::Open(const RingPlace& place) {
  Locks::WatchForks();
  const ForkHold hold;
  DS_ASSIGN_OR_RETURN(OpenRingFile opened, OpenOrMake(place));
  DS_ASSIGN_OR_RETURN(Mapping mapping, Mapping::Map(opened.descriptor, opened.file.path));
  std::unique_ptr<Ring> ring(new Ring());
  ring->view_ = std::make_unique<View>(hold, std::move(opened), std::move(mapping));
  return ring;
}

const std::string& Ring::id() const { return view_->id; }
bool Ring::registered() const { return view_->shared.header.registered.load() != 0; }
void Ring::MarkRegistered() { view_->shared.header.registered.store(1); }
bool Ring::closed() const { return view_->shared.header.closed.load() != 0; }
void Ring::Close() {
  view_->shared.header.closed.store(1);
  const ForkHold hold;
  Retire(view_->locks.file());
}

bool Ring::MayHaveRoom(int64_t payload_bytes) const {
  const int begin = payload_bytes > kSmallPayloadBytes ? 0 : kLargeSlotCount;
  const int end = payload_bytes > kSmallPayloadBytes ? kLargeSlotCount : kSlotCount;
  const auto is_free = [](const SlotHeader& slot) { return StateOf(slot.word.load(std::memory_order_relaxed)) == SlotState::kFree; };
  const auto& slots = view_->shared.slots;
  return std::any_of(slots.begin() + begin, slots.begin() + end, is_free);
}

Result<Slot> Ring::Acquire(int64_t payload_bytes) {
  if (payload_bytes < 0 || payload_bytes > kLargePayloadBytes)
    return InvalidArgument("a slot carries at most {} bytes, not {}", kLargePayloadBytes, payload_bytes);
  constexpr SlotRange kLarge = {0, kLargeSlotCount};
  constexpr SlotRange kSmall = {kLargeSlotCount, kSlotCount};
  for (const SlotRange range : {kSmall, kLarge}) {
    if (payload_bytes > CapacityOf(range.begin)) continue;
    DS_ASSIGN_OR_RETURN(const std::optional<int> slot, FirstOf(range, [&](int number) { return view_->TryOwn(number); }));
    if (slot.has_value()) return Slot(*this, *slot, SeqOf(view_->shared.slots[static_cast<size_t>(*slot)].word.load()));
  }
  return Unavailable("all slots for {} bytes are in use by other writers of this host", payload_bytes);
}

std::optional<Leadership> Ring::TryLead() {
  std::atomic<uint64_t>& now = view_->shared.header.term;
  for (uint64_t term = now.load();;) {
    const Result<bool> taken = view_->locks.TryTake(Lock::OfTerm(term));
    if (!taken.ok()) return std::nullopt;
    const uint64_t newer = now.load();
    if (newer == term) return *taken ? std::optional(Leadership(*this, term)) : std::nullopt;
    // Deposed between the two looks: what was taken or refused is not the lead any more.
    if (*taken) view_->locks.Release(Lock::OfTerm(term));
    term = newer;
  }
}

uint64_t Ring::groups() const { return view_->shared.header.groups.load(); }
uint64_t Ring::exposures() const { return view_->shared.header.exposures.load(); }
void Ring::NoteExposure() { view_->shared.header.exposures.fetch_add(1); }

uint64_t Ring::term() const { return view_->shared.header.term.load(); }

void Ring::Depose(uint64_t term) {
  if (view_->shared.header.term.compare_exchange_strong(term, term + 1)) view_->OfferLeadToAll();
}

}  // namespace datashard::ring
