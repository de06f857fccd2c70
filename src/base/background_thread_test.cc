#include "base/background_thread.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace datashard {
namespace {

constexpr auto kNoPause = std::chrono::microseconds(0);
constexpr auto kLongPause = std::chrono::hours(1);

void WaitUntil(const std::function<bool()>& holds) {
  while (!holds()) std::this_thread::yield();
}

TEST(BackgroundThread, EveryWakeIsAnsweredByACallThatBeginsAfterIt) {
  std::atomic<int> asked = 0;
  std::atomic<int> answered = 0;
  BackgroundThread thread([&](const std::atomic<bool>&) { answered = asked.load(); }, kNoPause);
  for (int i = 1; i <= 1'000; ++i) {
    asked = i;
    thread.Wake();
    if (i % 100 == 0) WaitUntil([&] { return answered == i; });
  }
}

TEST(BackgroundThread, NeverRunsTwiceAtATime) {
  std::atomic<int> inside = 0;
  std::atomic<int> most = 0;
  {
    BackgroundThread thread([&](const std::atomic<bool>&) {
      most = std::max(most.load(), ++inside);
      std::this_thread::yield();
      --inside;
    }, kNoPause);
    std::vector<std::thread> wakers;
    for (int i = 0; i < 4; ++i) wakers.emplace_back([&] { for (int k = 0; k < 500; ++k) thread.Wake(); });
    for (std::thread& waker : wakers) waker.join();
  }
  EXPECT_EQ(most, 1);
}

TEST(BackgroundThread, ItsEndDoesWhatIsDueWithoutThePause) {
  std::atomic<int> calls = 0;
  std::atomic<int> stopped_calls = 0;
  {
    BackgroundThread thread([&](const std::atomic<bool>& stopped) {
      ++calls;
      if (stopped) ++stopped_calls;
    }, kLongPause);
    thread.Wake();
    WaitUntil([&] { return calls == 1; });
    thread.Wake();
  }
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(stopped_calls, 1);
}

TEST(BackgroundThread, AForkChildStartsAThreadOfItsOwn) {
  std::atomic<int> calls = 0;
  auto thread = std::make_unique<BackgroundThread>([&](const std::atomic<bool>&) { ++calls; }, kLongPause);
  thread->Wake();
  WaitUntil([&] { return calls == 1; });
  const pid_t child = ::fork();
  if (child == 0) {
    thread->Wake();
    thread.reset();
    ::_exit(calls == 2 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(BackgroundThread, WorkThatIsDueAtExitIsDoneBeforeIt) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto* const thread = std::make_unique<BackgroundThread>(
        [&](const std::atomic<bool>&) { (void)!::write(pipe_ends[1], "x", 1); }, kLongPause).release();
    thread->Wake();
    thread->Wake();
    std::exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ::close(pipe_ends[1]);
  char calls[8];
  EXPECT_GE(::read(pipe_ends[0], calls, sizeof calls), 1);
  ::close(pipe_ends[0]);
}

TEST(BackgroundThread, WorkThatWakesAnotherThreadAtExitDoesNotHinderIt) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    std::atomic<bool> begun = false;
    BackgroundThread other([](const std::atomic<bool>&) {}, kNoPause);
    BackgroundThread thread([&](const std::atomic<bool>& stopped) {
      begun = true;
      WaitUntil([&] { return stopped.load(); });
      other.Wake();
    }, kNoPause);
    thread.Wake();
    WaitUntil([&] { return begun.load(); });
    std::exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace datashard
