#include "base/rate_limit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "datashard/interrupt.h"
#include "datashard/sharded_reader.h"
#include "sim/sim_clock.h"
#include "support/matchers.h"

namespace datashard {
namespace {

using std::chrono::seconds;

TEST(RateLimit, ServesMoreThanItsRateFromAFullBucketAndHasItPaidOff) {
  sim::SimClock clock;
  RateLimit limit(10, clock);
  EXPECT_EQ(limit.Acquire(11)->count(), 0);
  EXPECT_DOUBLE_EQ(limit.Acquire(10)->count(), 1.1);
  EXPECT_DOUBLE_EQ(limit.Acquire(100)->count(), 1.0);
  EXPECT_DOUBLE_EQ(limit.Acquire(1)->count(), 9.1);
  EXPECT_GE(clock.slept(), std::chrono::milliseconds(11'200));
  EXPECT_LE(clock.slept(), std::chrono::milliseconds(11'201));
}

TEST(RateLimit, TriesWithoutTakingWhatIsNotThere) {
  sim::SimClock clock;
  RateLimit limit(4, clock);
  EXPECT_EQ(limit.TryAcquire(3), 0);
  EXPECT_DOUBLE_EQ(limit.TryAcquire(3), 0.5);
  EXPECT_DOUBLE_EQ(limit.TryAcquire(3), 0.5);
  clock.Sleep(std::chrono::milliseconds(500));
  EXPECT_EQ(limit.TryAcquire(3), 0);
  clock.Sleep(seconds(100));
  EXPECT_EQ(limit.TryAcquire(4), 0) << "one second's worth is kept";
  EXPECT_DOUBLE_EQ(limit.TryAcquire(1), 0.25);
}

TEST(RateLimit, KeepsItsRateForSeveralThreads) {
  sim::SimClock clock;
  RateLimit limit(100, clock);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < 25; ++call) ASSERT_THAT(limit.Acquire(10), IsOk());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(clock.Monotonic(), seconds(9));
}

TEST(RateLimit, EndsItsWaitWhenInterrupted) {
  sim::SimClock clock;
  RateLimit limit(1, clock);
  ASSERT_THAT(limit.Acquire(1'000), IsOk());
  int asked = 0;
  const InterruptScope scope([&]() -> Status { return ++asked == 3 ? Status(Error(ErrorKind::kUnavailable, "enough")) : Status(); });
  EXPECT_THAT(limit.Acquire(1), HasMessage("enough"));
  EXPECT_LT(clock.slept(), seconds(1));
}

TEST(TokenBucket, TakesWhatIsThere) {
  TokenBucket bucket(1'000'000);
  EXPECT_EQ(bucket.Acquire(1'000'000).count(), 0);
  EXPECT_GT(bucket.TryAcquire(1'000'000), 0);
}

}  // namespace
}  // namespace datashard
