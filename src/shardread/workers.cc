#include "shardread/workers.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/quiet_thread.h"

namespace datashard::shardread {

// One Run. A thread that comes late finds every task taken and touches nothing else, so Run waits for tasks and not for threads.
struct Workers::Batch {
  Batch(size_t count_in, const std::function<void(size_t)>& task_in) : count(count_in), task(task_in) {}
  void Work() {
    size_t done_here = 0;
    for (size_t index = next++; index < count; index = next++, ++done_here) task(index);
    if (done_here == 0) return;
    const std::lock_guard lock(mutex);
    done += done_here;
    if (done == count) ended.notify_all();
  }

  const size_t count;
  const std::function<void(size_t)>& task;
  std::atomic<size_t> next = 0;
  std::atomic<bool> given_up = false;
  std::mutex mutex;
  std::condition_variable ended;
  size_t done = 0;
};

Workers::~Workers() = default;

Workers::Pool::~Pool() {
  {
    const std::lock_guard lock(mutex);
    closing = true;
  }
  wake.notify_all();
  for (std::thread& thread : threads) thread.join();
}

void Workers::Pool::Work() {
  for (;;) {
    std::shared_ptr<Batch> batch;
    {
      std::unique_lock lock(mutex);
      wake.wait(lock, [this] { return closing || !batches.empty(); });
      if (closing) return;
      batch = std::move(batches.front());
      batches.pop_front();
    }
    const InterruptScope with_the_caller(
        [&]() -> Status { return batch->given_up ? Status(Unavailable("the call was interrupted")) : Status(); });
    batch->Work();
  }
}

void Workers::Run(size_t count, Kind kind, const std::function<void(size_t)>& task) {
  const size_t threads_max = kind == Kind::kWaits ? limits_.waiting : limits_.computing;
  const size_t helpers = std::min(count, threads_max) - (count > 0 ? 1 : 0);
  if (helpers == 0) {
    for (size_t index = 0; index < count; ++index) task(index);
    return;
  }
  const auto batch = std::make_shared<Batch>(count, task);
  {
    const auto pool = pool_.Lock();
    if (*pool == nullptr) *pool = std::make_unique<Pool>();
    Pool& ours = **pool;
    while (ours.threads.size() < helpers) {
      std::thread thread = QuietThread([&ours] { ours.Work(); });
      if (!thread.joinable()) break;  // the calling thread does all of it
      ours.threads.push_back(std::move(thread));
    }
    {
      const std::lock_guard lock(ours.mutex);
      for (size_t i = 0; i < helpers; ++i) ours.batches.push_back(batch);
    }
    for (size_t i = 0; i < helpers; ++i) ours.wake.notify_one();
  }
  batch->Work();
  for (std::unique_lock lock(batch->mutex); !batch->ended.wait_for(lock, kAskInterruptedEvery, [&] { return batch->done == count; });) {
    lock.unlock();
    if (!AskInterrupted().ok()) batch->given_up = true;
    lock.lock();
  }
}

}  // namespace datashard::shardread
