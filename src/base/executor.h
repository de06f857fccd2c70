// Threads arrive through this interface.
#pragma once

#include <functional>
#include <memory>

namespace datashard {

/// Runs tasks on a fixed number of threads. Tasks must not wait for other tasks of the same executor.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void Submit(std::function<void()> task) = 0;
  virtual int thread_count() const = 0;
};

/// `threads` of its own (at least 1); the destructor finishes what was submitted.
std::unique_ptr<Executor> ThreadPool(int threads);
/// Runs each task at once, in the caller: for simulations.
std::unique_ptr<Executor> InlineExecutor();
/// Cores this process may use, at least 1.
int CoreCount();

}  // namespace datashard
