// The threads of MultiGet and of scans over several shards.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/fork.h"

namespace datashard::shardread {

/// Threads that are started when they are first needed. Callable from several threads, also after a fork: a child starts its own.
class Workers {
 public:
  enum class Kind { kComputes, kWaits };
  /// With the calling thread, at least 1 each; tasks that wait for storage may be more at once than there are cores.
  struct Limits {
    size_t computing = 1;
    size_t waiting = 1;
  };
  explicit Workers(Limits limits) : limits_(limits) {}
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Calls `task` with 0 to count - 1, each once, in this thread and in those that are free, and returns when all have returned. Tasks
  /// do not throw and do not call Run. An InterruptScope of the caller's ends their waits too.
  void Run(size_t count, Kind kind, const std::function<void(size_t)>& task);

 private:
  struct Batch;
  struct Pool {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<std::shared_ptr<Batch>> batches;
    bool closing = false;
    std::vector<std::thread> threads;

    ~Pool();
    void Work();
  };

  const Limits limits_;
  PerProcess<std::unique_ptr<Pool>> pool_;
};

}  // namespace datashard::shardread
