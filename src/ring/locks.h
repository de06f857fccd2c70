// Who owns a slot and who leads: OFD locks on bytes of the ring's file, which the kernel frees when a process dies. They do
// not exclude the threads of one process, so a bit here comes first. After fork the child holds nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "base/fork.h"
#include "datashard/result.h"
#include "ring/ring_file.h"

namespace datashard::ring {

class Lock {
 public:
  static Lock OfSlot(int slot) { return Lock(slot); }
  /// Terms that are a multiple of kTerms apart share a lock; the older leader would have to be deposed that often.
  static Lock OfTerm(uint64_t term) { return Lock(kSlotCount + static_cast<int>(term % kTerms)); }
  static Lock OfChores() { return Lock(kSlotCount + kTerms); }
  static constexpr int kTerms = 64;

  int number() const { return number_; }
  int64_t byte() const { return number_ < kSlotCount ? 1 + number_ : (1 << 20) + number_ - kSlotCount; }

 private:
  explicit Lock(int number) : number_(number) {}
  int number_;
};

/// Callable from several threads.
class Locks {
 public:
  /// To be called before the first ForkHold under which one is made: registering a handler while forks are held back would
  /// deadlock with a fork.
  static void WatchForks();
  /// The hold began before `descriptor` was opened: a child that inherits it without knowing it would keep our locks alive after
  /// our death.
  Locks(const ForkHold&, RingFile file, Descriptor descriptor);
  ~Locks();
  Locks(const Locks&) = delete;
  Locks& operator=(const Locks&) = delete;

  /// Never waits. False where it is taken; kUnavailable where there are no locks to be had.
  Result<bool> TryTake(Lock lock);
  /// Of one that TryTake gave to this process.
  void Release(Lock lock);
  /// By anybody, here or elsewhere. True where that cannot be found out.
  bool IsTaken(Lock lock);

  const RingFile& file() const { return file_; }

  /// In a fork child: closes what it inherited. Only calls what may be called there.
  void ForgetAfterFork();

 private:
  friend struct LiveLocks;
  Result<int> Fd();

  const RingFile file_;
  std::atomic<int> fd_;  // -1 in a fork child until used
  std::array<std::atomic<uint64_t>, (kSlotCount + Lock::kTerms) / 64 + 1> taken_here_ = {};
  Locks* previous_ = nullptr;
  Locks* next_ = nullptr;
};

}  // namespace datashard::ring
