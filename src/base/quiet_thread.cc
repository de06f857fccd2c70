#include "base/quiet_thread.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"

namespace datashard {

std::thread QuietThread(const std::function<void()>& body) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread;
  try {
    thread = std::thread(body);
  } catch (const std::system_error&) {
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

void RunAll(size_t count, size_t threads_max, const std::function<void(size_t)>& task) {
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t index = next++; index < count; index = next++) task(index);
  };
  std::mutex mutex;
  std::condition_variable ended;
  size_t running = 0;
  std::atomic<bool> given_up = false;
  const auto help = [&] {
    const InterruptScope with_the_caller([&]() -> Status { return given_up ? Status(Unavailable("the call was interrupted")) : Status(); });
    work();
    const std::lock_guard lock(mutex);
    --running;
    ended.notify_one();
  };
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < std::min(count, threads_max); ++i) {
    std::unique_lock lock(mutex);
    std::thread thread = QuietThread(help);
    if (!thread.joinable()) break;
    ++running;
    helpers.push_back(std::move(thread));
  }
  work();
  for (std::unique_lock lock(mutex); !ended.wait_for(lock, kAskInterruptedEvery, [&] { return running == 0; });) {
    lock.unlock();
    if (!AskInterrupted().ok()) given_up = true;
    lock.lock();
  }
  for (std::thread& thread : helpers) thread.join();
}

}  // namespace datashard
