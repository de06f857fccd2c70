#include "sim/sim_clock.h"

#include <gtest/gtest.h>

#include "sim/seed.h"
#include "support/matchers.h"

namespace datashard::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

TEST(SimClock, TimeMovesOnlyBySleeping) {
  SimClock clock;
  EXPECT_EQ(clock.Now(), SimClock::kStart);
  EXPECT_EQ(clock.Now(), SimClock::kStart);
  const microseconds start = clock.Monotonic();
  clock.Sleep(seconds(3600));
  clock.Sleep(seconds(-5));
  EXPECT_EQ(clock.Now() - SimClock::kStart, seconds(3600));
  EXPECT_EQ(clock.Monotonic() - start, seconds(3600));
  EXPECT_EQ(clock.slept(), seconds(3600));
}

TEST(SimClock, TheWallClockCanBeSetBackWithoutTheMonotonicOne) {
  SimClock clock;
  clock.Sleep(seconds(10));
  const microseconds before = clock.Monotonic();
  clock.SetNow(SimClock::kStart - seconds(100));
  EXPECT_EQ(clock.Now(), SimClock::kStart - seconds(100));
  EXPECT_EQ(clock.Monotonic(), before);
  EXPECT_EQ(clock.slept(), seconds(10));
}

TEST(Seeds, AreReadFromALine) {
  ASSERT_OK_AND_ASSIGN(const std::vector<uint64_t> seeds, ParseSeeds("17,0,18446744073709551615"));
  EXPECT_THAT(seeds, testing::ElementsAre(17u, 0u, 18446744073709551615u));
  for (const char* const bad : {"", "17,", "x", "-1", "1 2", "18446744073709551616"})
    EXPECT_THAT(ParseSeeds(bad), HasKind(ErrorKind::kInvalidArgument)) << bad;
}

TEST(Seeds, TheEnvironmentReplays) {
  const char* const given = std::getenv("DATASHARD_SEEDS");
  const std::string saved = given == nullptr ? "" : given;
  ::setenv("DATASHARD_SEEDS", "17,18", 1);
  EXPECT_THAT(SeedsFromEnvOrRandom(5), testing::ElementsAre(17u, 18u));
  EXPECT_EQ(SeedFromEnvOrRandom(), 17u);
  ::unsetenv("DATASHARD_SEEDS");
  EXPECT_EQ(SeedsFromEnvOrRandom(5).size(), 5u);
  EXPECT_NE(SeedFromEnvOrRandom(), SeedFromEnvOrRandom());
  if (given != nullptr) ::setenv("DATASHARD_SEEDS", saved.c_str(), 1);
}

}  // namespace
}  // namespace datashard::sim
