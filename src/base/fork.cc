#include "base/fork.h"

#include <pthread.h>

namespace datashard {
namespace {

// Global, because fork is: pthread_atfork handlers have no argument.
constinit std::mutex fork_mutex;
constinit std::atomic<uint64_t> fork_count = 0;

void BeforeFork() { fork_mutex.lock(); }
void AfterForkInParent() { fork_mutex.unlock(); }
void AfterForkInChild() {
  fork_count.fetch_add(1, std::memory_order_relaxed);
  fork_mutex.unlock();
}

void WatchForks() {
  static const int handlers = ::pthread_atfork(BeforeFork, AfterForkInParent, AfterForkInChild);
  (void)handlers;  // ENOMEM only, in which case there are larger worries
}

}  // namespace

ForkHold::ForkHold() {
  WatchForks();
  fork_mutex.lock();
}

ForkHold::~ForkHold() { fork_mutex.unlock(); }

uint64_t ForkCount() {
  WatchForks();
  return fork_count.load(std::memory_order_relaxed);
}

}  // namespace datashard
