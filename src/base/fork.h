// What a fork child must not touch: state behind a mutex that a thread of its parent may have held, which nobody will unlock and
// which may be half changed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace datashard {

/// No thread of this process forks while one exists: for what a child must inherit finished or not at all. Not for long, and not
/// one inside another.
class ForkHold {
 public:
  ForkHold();
  ~ForkHold();
  ForkHold(const ForkHold&) = delete;
  ForkHold& operator=(const ForkHold&) = delete;
};

/// Rises in the child with every fork since the first call. What was made under another number belongs to another process.
uint64_t ForkCount();

/// A T of this process behind a mutex. A fork child finds a new T in its place, whatever threads of the parent were doing to the
/// old one; that one is never looked at again, not even to destroy it. So only for what can be found out anew. Callable from
/// several threads.
template <typename T>
class PerProcess {
  struct Box {
    uint64_t fork_count = ForkCount();
    std::mutex mutex;
    T value{};
  };

 public:
  /// Access, for as long as it lives.
  class Locked {
   public:
    T& operator*() const { return *value_; }
    T* operator->() const { return value_; }

   private:
    friend class PerProcess;
    Locked(std::unique_lock<std::mutex> lock, T& value) : lock_(std::move(lock)), value_(&value) {}
    std::unique_lock<std::mutex> lock_;
    T* value_;
  };

  PerProcess() : box_(std::make_unique<Box>().release()) {}
  PerProcess(const PerProcess&) = delete;
  PerProcess& operator=(const PerProcess&) = delete;
  ~PerProcess() {
    std::unique_ptr<Box> box(box_.load());
    if (box->fork_count != ForkCount()) (void)box.release();
  }

  Locked Lock() {
    Box& box = Ours();
    return Locked(std::unique_lock(box.mutex), box.value);
  }
  /// None where another thread has it.
  std::optional<Locked> TryLock() {
    Box& box = Ours();
    std::unique_lock lock(box.mutex, std::try_to_lock);
    if (!lock.owns_lock()) return std::nullopt;
    return Locked(std::move(lock), box.value);
  }

 private:
  Box& Ours() {
    Box* box = box_.load(std::memory_order_acquire);
    if (box->fork_count == ForkCount()) return *box;
    auto fresh = std::make_unique<Box>();
    // Lost against another thread of this process: its box is as good.
    if (box_.compare_exchange_strong(box, fresh.get())) box = fresh.release();
    return *box;
  }

  std::atomic<Box*> box_;
};

}  // namespace datashard
