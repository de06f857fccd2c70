#include "shardread/generation_guard.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

namespace datashard::shardread {
namespace {

// Says where it was destroyed: a reader that still has it sees `alive` false, and the sanitizers see a use after free.
struct Numbered {
  Numbered(int number_in, std::atomic<int>& living_in) : number(number_in), again(number_in), living(living_in) { ++living; }
  ~Numbered() {
    number = again = -1;
    --living;
  }
  int number;
  int again;
  std::atomic<int>& living;
};

const Numbered* Seen(const GenerationGuard<Numbered>& guard) {
  const auto hold = guard.Enter();
  return &*hold;
}

TEST(GenerationGuard, WhatNobodyReadsIsDestroyedAtOnce) {
  std::atomic<int> living = 0;
  {
    GenerationGuard<Numbered> guard(std::make_unique<Numbered>(1, living));
    EXPECT_TRUE(guard.Replace(Seen(guard), std::make_unique<Numbered>(2, living)));
    EXPECT_EQ(guard.Enter()->number, 2);
    EXPECT_EQ(living, 2);
    EXPECT_EQ(guard.ReleaseRetired(), 0u);
    EXPECT_EQ(living, 1);
  }
  EXPECT_EQ(living, 0);
}

TEST(GenerationGuard, OnlyWhatWasExpectedIsReplaced) {
  std::atomic<int> living = 0;
  GenerationGuard<Numbered> guard(std::make_unique<Numbered>(1, living));
  const Numbered other(7, living);
  EXPECT_FALSE(guard.Replace(&other, std::make_unique<Numbered>(2, living)));
  EXPECT_EQ(guard.Enter()->number, 1);
}

TEST(GenerationGuard, WhatIsReadIsKeptAndThoseAfterItToo) {
  std::atomic<int> living = 0;
  GenerationGuard<Numbered> guard(std::make_unique<Numbered>(1, living));
  {
    const auto hold = guard.Enter();
    EXPECT_TRUE(guard.Replace(&*hold, std::make_unique<Numbered>(2, living)));
    EXPECT_EQ(guard.ReleaseRetired(), 1u);
    EXPECT_TRUE(guard.Replace(Seen(guard), std::make_unique<Numbered>(3, living)));
    EXPECT_EQ(guard.ReleaseRetired(), 2u);
    EXPECT_EQ(hold->number, 1);
    EXPECT_EQ(guard.Enter()->number, 3);
  }
  EXPECT_EQ(guard.ReleaseRetired(), 0u);
  EXPECT_EQ(living, 1);
}

TEST(GenerationGuard, ReadersThatComeAndGoDoNotKeepTheOldOne) {
  std::atomic<int> living = 0;
  GenerationGuard<Numbered> guard(std::make_unique<Numbered>(1, living));
  // One hold always overlaps the next, so that at no moment the guard is without a reader.
  auto hold = std::unique_ptr<GenerationGuard<Numbered>::Hold>(new GenerationGuard<Numbered>::Hold(guard.Enter()));
  EXPECT_TRUE(guard.Replace(&**hold, std::make_unique<Numbered>(2, living)));
  size_t left = 1;
  for (int turn = 0; turn < 4 && left != 0; ++turn) {
    auto next = std::unique_ptr<GenerationGuard<Numbered>::Hold>(new GenerationGuard<Numbered>::Hold(guard.Enter()));
    hold = std::move(next);
    left = guard.ReleaseRetired();
  }
  EXPECT_EQ(left, 0u);
  EXPECT_EQ((*hold)->number, 2);
}

TEST(GenerationGuard, NoThreadReadsWhatWasDestroyed) {
  std::atomic<int> living = 0;
  std::atomic<bool> stop = false;
  std::atomic<int64_t> wrong = 0;
  GenerationGuard<Numbered> guard(std::make_unique<Numbered>(0, living));
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      int last = 0;
      while (!stop) {
        const auto hold = guard.Enter();
        const auto nested = guard.Enter();
        if (hold->number != hold->again || hold->number < last || nested->number < hold->number) ++wrong;
        last = hold->number;
      }
    });
  }
  constexpr int kReplacements = 20'000;
  for (int number = 1; number <= kReplacements; ++number) {
    ASSERT_TRUE(guard.Replace(Seen(guard), std::make_unique<Numbered>(number, living)));
    (void)guard.ReleaseRetired();
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(guard.ReleaseRetired(), 0u);
  EXPECT_EQ(living, 1);
  EXPECT_EQ(guard.Enter()->number, kReplacements);
}

TEST(GenerationGuard, AForkChildDoesNotWaitForItsParentsReaders) {
  std::atomic<int> living = 0;
  GenerationGuard<Numbered> guard(std::make_unique<Numbered>(1, living));
  std::atomic<bool> reading = false;
  std::atomic<bool> stop = false;
  std::thread reader([&] {
    const auto hold = guard.Enter();
    reading = true;
    while (!stop) std::this_thread::yield();
  });
  while (!reading) std::this_thread::yield();
  const pid_t child = fork();
  if (child == 0) {
    const bool replaced = guard.Replace(Seen(guard), std::make_unique<Numbered>(2, living));
    _exit(replaced && guard.ReleaseRetired() == 0 && living == 1 && guard.Enter()->number == 2 ? 0 : 1);
  }
  stop = true;
  reader.join();
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace datashard::shardread
