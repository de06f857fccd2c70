#include "base/quiet_thread.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/interrupt.h"

namespace datashard {
namespace {

TEST(RunAll, EachTaskRunsOnceWhateverTheThreads) {
  for (const size_t threads : {size_t{0}, size_t{1}, size_t{3}, size_t{100}}) {
    for (const size_t count : {size_t{0}, size_t{1}, size_t{57}}) {
      std::vector<std::atomic<int>> ran(count);
      RunAll(count, threads, [&](size_t index) { ++ran[index]; });
      for (const std::atomic<int>& times : ran) EXPECT_EQ(times, 1) << threads << " threads, " << count << " tasks";
    }
  }
}

TEST(RunAll, TasksRunBesideEachOther) {
  std::mutex mutex;
  std::condition_variable changed;
  int waiting = 0;
  RunAll(8, 8, [&](size_t) {
    std::unique_lock lock(mutex);
    ++waiting;
    changed.notify_all();
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(20), [&] { return waiting == 8; }));
  });
}

TEST(RunAll, AnInterruptionOfTheCallerEndsTheWaitsOfAll) {
  const InterruptScope scope([]() -> Status { return Unavailable("Ctrl-C was pressed"); });
  std::atomic<int> interrupted = 0;
  RunAll(4, 4, [&](size_t) {
    for (int i = 0; i < 2000 && AskInterrupted().ok(); ++i) SystemClock().Sleep(std::chrono::milliseconds(10));
    interrupted += !AskInterrupted().ok();
  });
  EXPECT_EQ(interrupted, 4);
}

TEST(QuietThread, GetsNoSignalAndLeavesItsMakersMaskAlone) {
  sigset_t before;
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, nullptr, &before), 0);
  sigset_t inside;
  std::thread thread = QuietThread([&] { ::pthread_sigmask(SIG_SETMASK, nullptr, &inside); });
  ASSERT_TRUE(thread.joinable());
  thread.join();
  sigset_t after;
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, nullptr, &after), 0);
  for (const int signal : {SIGINT, SIGTERM, SIGALRM, SIGCHLD}) {
    EXPECT_EQ(::sigismember(&inside, signal), 1) << signal;
    EXPECT_EQ(::sigismember(&after, signal), ::sigismember(&before, signal)) << signal;
  }
}

}  // namespace
}  // namespace datashard
