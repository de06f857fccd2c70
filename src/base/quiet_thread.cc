#include "base/quiet_thread.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <system_error>
#include <vector>

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
  std::vector<std::thread> others;
  for (size_t i = 1; i < std::min(count, threads_max); ++i) {
    std::thread thread = QuietThread(work);
    if (!thread.joinable()) break;
    others.push_back(std::move(thread));
  }
  work();
  for (std::thread& thread : others) thread.join();
}

}  // namespace datashard
