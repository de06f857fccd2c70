#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "ring/view.h"

namespace datashard::ring {
namespace {

// A reply is complete before its state is set. Only a leader that was deposed twice and goes on can write to it then, and for
// less time than these looks take.
constexpr int kReplyLooks = 100;

void SleepUnlessRaised(std::atomic<uint32_t>& event, uint32_t seen, std::chrono::microseconds timeout) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(timeout);
  struct timespec limit = {};
  limit.tv_sec = seconds.count();
  limit.tv_nsec = std::chrono::nanoseconds(timeout - seconds).count();
  (void)::syscall(SYS_futex, &event, FUTEX_WAIT, seen, &limit, nullptr, 0);  // interrupted: the caller looks again
}

}  // namespace

Slot::Slot(Ring& ring, int index, int64_t seq) : ring_(&ring), index_(index), seq_(seq), fork_count_(ForkCount()) {}

Slot::Slot(Slot&& other) noexcept
    : ring_(std::exchange(other.ring_, nullptr)),
      index_(other.index_),
      seq_(other.seq_),
      fork_count_(other.fork_count_),
      lead_offered_(other.lead_offered_) {}

Slot::~Slot() {
  if (ring_ == nullptr || !IsOurs()) return;
  Ring::View& view = *ring_->view_;
  SlotHeader& header = view.shared.slots[static_cast<size_t>(index_)];
  const bool gave_up = IsWaiting(header.word.exchange(MakeWord(seq_, SlotState::kFree)));
  const bool offered = header.lead_passed.exchange(0) == 1 || lead_offered_;
  view.locks.Release(Lock::OfSlot(index_));
  if (gave_up && offered) view.PassLeadOn();
}

bool Slot::IsOurs() const { return fork_count_ == ForkCount(); }

Status Slot::Submit(const Label& label, ByteView payload) {
  if (!IsOurs()) return InvalidArgument("slot {} belongs to the process that forked; acquire another one", index_);
  if (static_cast<int64_t>(payload.size()) > CapacityOf(index_))
    return InvalidArgument("slot {} carries at most {} bytes, not {}", index_, CapacityOf(index_), payload.size());
  (void)Withdraw();  // what is submitted before its forerunner was answered takes its place
  Ring::View& view = *ring_->view_;
  SlotHeader& header = view.shared.slots[static_cast<size_t>(index_)];
  const int64_t last = std::max(seq_, SeqOf(header.word.load()));
  if (last >= kSeqMax) return Unavailable("slot {} has no sequence numbers left; acquire another one", index_);
  seq_ = last + 1;
  header.word.store(MakeWord(seq_, SlotState::kFill));
  Submission submission = {index_, seq_, static_cast<int64_t>(view.shared.header.arrivals.fetch_add(1) + 1), label, Bytes()};
  header.lead_passed.store(0);
  lead_offered_ = false;
  header.length.store(static_cast<uint32_t>(payload.size()), std::memory_order_release);
  header.kind.store(label.kind, std::memory_order_release);
  header.schema_id.store(label.schema_id, std::memory_order_release);
  header.spec_id.store(label.spec_id, std::memory_order_release);
  header.rows.store(label.rows, std::memory_order_release);
  header.arrival.store(submission.arrival, std::memory_order_release);
  header.crc.store(SubmissionCrc(submission, payload), std::memory_order_release);
  CopyIn(payload, PayloadOf(view.shared, index_));
  header.word.store(MakeWord(seq_, SlotState::kWait));
  return {};
}

SlotState Slot::state() const {
  const uint64_t word = ring_->view_->shared.slots[static_cast<size_t>(index_)].word.load();
  // Another seq than ours: somebody wrote garbage, and what became of the payload cannot be told.
  return SeqOf(word) == seq_ ? StateOf(word) : SlotState::kUnknown;
}

Reply Slot::reply() const {
  const SlotHeader& header = ring_->view_->shared.slots[static_cast<size_t>(index_)];
  const uint64_t word = header.word.load();
  const ReplyCell& cell = header.replies[(word & kReplyBit) != 0 ? 1 : 0];
  for (int look = 0; look < kReplyLooks; ++look) {
    const Reply reply = {cell.version.load(), cell.snapshot_id.load(), cell.sequence_number.load(), cell.timestamp_ms.load()};
    if (cell.crc.load() == ReplyCrc(seq_, StateOf(word), reply)) return reply;
  }
  return {};
}

void Slot::Wait(std::chrono::microseconds timeout) {
  Clock& clock = SystemClock();  // the kernel's futex knows no other time
  const std::chrono::microseconds end = clock.Monotonic() + timeout;
  SlotHeader& header = ring_->view_->shared.slots[static_cast<size_t>(index_)];
  lead_offered_ = false;  // the caller has tried to take it
  while (true) {
    // Whoever changes what is looked at below raises the event afterwards, so nothing is slept through.
    const uint32_t seen = header.event.load();
    if (state() != SlotState::kWait) return;
    if (IsOurs() && header.lead_passed.exchange(0) == 1) {
      lead_offered_ = true;
      return;
    }
    const std::chrono::microseconds left = end - clock.Monotonic();
    if (left <= std::chrono::microseconds(0)) return;
    SleepUnlessRaised(header.event, seen, left);
  }
}

bool Slot::Withdraw() {
  if (!IsOurs()) return false;
  Ring::View& view = *ring_->view_;
  SlotHeader& header = view.shared.slots[static_cast<size_t>(index_)];
  uint64_t waiting = MakeWord(seq_, SlotState::kWait);
  if (!header.word.compare_exchange_strong(waiting, MakeWord(seq_, SlotState::kFill))) return false;
  // Nobody else would learn of the lead that was to be ours.
  if (header.lead_passed.exchange(0) == 1 || lead_offered_) view.PassLeadOn();
  lead_offered_ = false;
  return true;
}

}  // namespace datashard::ring
