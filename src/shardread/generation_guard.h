// What many threads read and now and then one replaces: user-space RCU in the style of the kernel's SRCU. A reader adds one to a
// counter that threads do not share and takes it off again; it waits for nobody and writes no line of memory that others write.
// Why not a shared_ptr: its count is shared, and two threads that look up at the same time would be slower than one.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/fork.h"

namespace datashard::shardread {

/// Threads are spread over this many counters; more threads share some.
inline constexpr size_t kThreadStripes = 64;

/// 0 .. kThreadStripes - 1, the same for the life of this thread.
inline size_t StripeOfThread() {
  static constinit std::atomic<size_t> next = 0;
  static thread_local const size_t stripe = next.fetch_add(1, std::memory_order_relaxed) % kThreadStripes;
  return stripe;
}

/// Holds one T. Callable from several threads, also after a fork; what the parent's other threads were reading then is kept for ever
/// in the child. Destroyed when nobody reads any more.
template <typename T>
class GenerationGuard {
  struct alignas(128) Stripe {  // two lines: processors fetch them in pairs
    std::array<std::atomic<int64_t>, 2> readers{};
  };
  struct Counters {
    const uint64_t fork_count = ForkCount();
    std::array<Stripe, kThreadStripes> stripes;
  };
  struct Retired {
    std::unique_ptr<const T> value;
    std::array<bool, 2> drained{};  // was there a moment since without a reader of this epoch, stripe by stripe?
  };

 public:
  /// Keeps the T it saw from being destroyed. Short, or the T after it are kept as well; in the thread that made it.
  class Hold {
   public:
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold() { count_.fetch_sub(1, std::memory_order_release); }
    const T& operator*() const { return value_; }
    const T* operator->() const { return &value_; }

   private:
    friend class GenerationGuard;
    // The count is up before the pointer is read, and both are sequentially consistent: who replaced the pointer and then finds
    // the count at nothing knows that no reader has the old one.
    explicit Hold(const GenerationGuard& guard)
        : count_(guard.Ours().stripes[StripeOfThread()].readers[guard.epoch_.load(std::memory_order_relaxed)]),
          value_((count_.fetch_add(1), *guard.current_.load())) {}
    std::atomic<int64_t>& count_;
    const T& value_;
  };

  explicit GenerationGuard(std::unique_ptr<const T> first) : current_(first.release()), counters_(new Counters) {}
  GenerationGuard(const GenerationGuard&) = delete;
  GenerationGuard& operator=(const GenerationGuard&) = delete;
  ~GenerationGuard() {
    delete current_.load();
    delete counters_.load();
  }

  Hold Enter() const { return Hold(*this); }

  /// Puts `next` in the place of `expected`, which is destroyed once nobody reads it; false, and nothing done, where another T is there.
  bool Replace(const T* expected, std::unique_ptr<const T> next) {
    const T* found = expected;
    if (!current_.compare_exchange_strong(found, next.get())) return false;
    (void)next.release();
    retired_.Lock()->push_back({std::unique_ptr<const T>(expected)});
    return true;
  }

  /// Destroys what was replaced and is not read any more; waits for nobody. \return how many are still read, or being looked at
  /// by another thread.
  size_t ReleaseRetired() {
    std::vector<Retired> released;  // destroyed after the lock
    size_t left = 0;
    if (const auto locked = retired_.TryLock()) {
      std::vector<Retired>& retired = **locked;
      if (retired.empty()) return 0;
      // Both epochs must have been seen empty: a reader may have read the epoch long before it counted itself. New readers are
      // sent to the epoch that is empty, so that the other runs dry however busy it is.
      for (int turn = 0; turn < 2; ++turn) {
        const unsigned idle = 1 - epoch_.load(std::memory_order_relaxed);
        if (!IsDrained(idle)) break;
        for (Retired& one : retired) one.drained[idle] = true;
        epoch_.store(idle, std::memory_order_relaxed);
      }
      std::erase_if(retired, [&](Retired& one) {
        if (!one.drained[0] || !one.drained[1]) return false;
        released.push_back(std::move(one));
        return true;
      });
      left = retired.size();
    } else {
      left = 1;
    }
    return left;
  }

 private:
  // A fork child counts anew: readers that the parent's other threads were are not among its threads.
  Counters& Ours() const {
    Counters* counters = counters_.load(std::memory_order_acquire);
    if (counters->fork_count == ForkCount()) return *counters;
    auto fresh = std::make_unique<Counters>();
    if (counters_.compare_exchange_strong(counters, fresh.get())) counters = fresh.release();
    return *counters;
  }
  bool IsDrained(unsigned epoch) const {
    for (const Stripe& stripe : Ours().stripes) {
      if (stripe.readers[epoch].load() != 0) return false;
    }
    return true;
  }

  std::atomic<const T*> current_;
  mutable std::atomic<Counters*> counters_;
  std::atomic<unsigned> epoch_ = 0;
  PerProcess<std::vector<Retired>> retired_;
};

}  // namespace datashard::shardread
