#include <algorithm>
#include <utility>

#include "ring/view.h"

namespace datashard::ring {
namespace {

/// None where nothing waits there, or what waits changes under our hands.
std::optional<Submission> Copy(Shared& shared, int slot) {
  const SlotHeader& header = shared.slots[static_cast<size_t>(slot)];
  const uint64_t word = header.word.load();
  if (!IsWaiting(word)) return std::nullopt;
  const uint32_t length = header.length.load(std::memory_order_acquire);
  if (length > CapacityOf(slot)) return std::nullopt;
  Submission copy = {
      .slot = slot,
      .seq = SeqOf(word),
      .arrival = header.arrival.load(std::memory_order_acquire),
      .label = {header.kind.load(std::memory_order_acquire), header.schema_id.load(std::memory_order_acquire),
                header.spec_id.load(std::memory_order_acquire), header.rows.load(std::memory_order_acquire)},
      .payload = {}};
  const uint32_t crc = header.crc.load(std::memory_order_acquire);
  copy.payload = CopyOut(PayloadOf(shared, slot), length);
  if (header.word.load() != word || SubmissionCrc(copy, copy.payload) != crc) return std::nullopt;
  return copy;
}

}  // namespace

Leadership::Leadership(Ring& ring, uint64_t term) : ring_(&ring), term_(term), fork_count_(ForkCount()) {}

Leadership::Leadership(Leadership&& other) noexcept
    : ring_(std::exchange(other.ring_, nullptr)), term_(other.term_), fork_count_(other.fork_count_) {}

Leadership::~Leadership() {
  if (ring_ == nullptr || !IsOurs()) return;
  Ring::View& view = *ring_->view_;
  // Released first: a waiter that is woken before would find the lead taken and sleep again. Who submits and fails to take the
  // lead before this line is seen as waiting after it.
  view.locks.Release(Lock::OfTerm(term_));
  view.PassLeadOn();
}

bool Leadership::IsOurs() const { return fork_count_ == ForkCount(); }

Chores::Chores(Ring& ring) : ring_(&ring), fork_count_(ForkCount()) {}

Chores::Chores(Chores&& other) noexcept : ring_(std::exchange(other.ring_, nullptr)), fork_count_(other.fork_count_) {}

Chores::~Chores() {
  if (ring_ != nullptr && fork_count_ == ForkCount()) ring_->view_->locks.Release(Lock::OfChores());
}

std::optional<Chores> Ring::TryChores() {
  const Result<bool> taken = view_->locks.TryTake(Lock::OfChores());
  return taken.ok() && *taken ? std::optional(Chores(*this)) : std::nullopt;
}

std::vector<Submission> Leadership::Take() {
  std::vector<Submission> taken;
  if (!IsOurs()) return taken;
  Ring::View& view = *ring_->view_;
  for (int slot = 0; slot < view.SlotsUsed(); ++slot)
    if (std::optional<Submission> copy = Copy(view.shared, slot); copy.has_value()) taken.push_back(*std::move(copy));
  // What is taken in a later term than this one could be published by nobody knows whom: see ring.h, Depose.
  if (view.shared.header.term.load() != term_) taken.clear();
  std::sort(taken.begin(), taken.end(), [](const Submission& a, const Submission& b) {
    return std::pair(a.arrival, a.slot) < std::pair(b.arrival, b.slot);
  });
  return taken;
}

int Leadership::CountWaiting() const {
  const Ring::View& view = *ring_->view_;
  int waiting = 0;
  for (int slot = 0; slot < view.SlotsUsed(); ++slot)
    if (IsWaiting(view.shared.slots[static_cast<size_t>(slot)].word.load(std::memory_order_relaxed))) ++waiting;
  return waiting;
}

void Leadership::Answer(const Submission& submission, SlotState state, const Reply& reply) {
  if (!IsOurs() || submission.slot < 0 || submission.slot >= kSlotCount) return;
  // What is no answer must not leave the owner waiting.
  if (state < SlotState::kAck) state = SlotState::kUnknown;
  Ring::View& view = *ring_->view_;
  SlotHeader& header = view.shared.slots[static_cast<size_t>(submission.slot)];
  uint64_t waiting = MakeWord(submission.seq, SlotState::kWait);
  if (header.word.load() != waiting) return;
  const uint64_t cell_number = term_ % 2;
  ReplyCell& cell = header.replies[cell_number];
  cell.version.store(reply.version, std::memory_order_release);
  cell.snapshot_id.store(reply.snapshot_id, std::memory_order_release);
  cell.sequence_number.store(reply.sequence_number, std::memory_order_release);
  cell.timestamp_ms.store(reply.timestamp_ms, std::memory_order_release);
  cell.crc.store(ReplyCrc(submission.seq, state, reply), std::memory_order_release);
  const uint64_t answered = MakeWord(submission.seq, state) | (cell_number == 1 ? kReplyBit : 0);
  if (header.word.compare_exchange_strong(waiting, answered)) view.Wake(submission.slot);
}

void Leadership::ShowLife() {
  if (IsOurs()) ring_->view_->shared.header.groups.fetch_add(1);
}

}  // namespace datashard::ring
