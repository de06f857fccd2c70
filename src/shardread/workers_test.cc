#include "shardread/workers.h"

#include <gtest/gtest.h>

#include <atomic>

namespace datashard::shardread {
namespace {

TEST(Workers, EveryTaskRunsOnceAlsoForSeveralCallers) {
  Workers workers({.computing = 3, .waiting = 3});
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (const size_t count : {0, 1, 2, 3, 100, 1'000}) {
        std::vector<std::atomic<int>> runs(count);
        workers.Run(count, Workers::Kind::kComputes, [&](size_t i) { ++runs[i]; });
        for (const std::atomic<int>& one : runs) ASSERT_EQ(one, 1);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST(Workers, ACallDoesNotWaitForThreadsThatAreBusyElsewhere) {
  Workers workers({.computing = 2, .waiting = 2});
  std::atomic<int> waiting = 0;
  std::atomic<bool> go_on = false;
  std::thread slow([&] {
    workers.Run(2, Workers::Kind::kComputes, [&](size_t) {
      ++waiting;
      while (!go_on) std::this_thread::yield();
    });
  });
  while (waiting < 2) std::this_thread::yield();  // the pool's only thread is taken
  std::atomic<int> done = 0;
  workers.Run(10, Workers::Kind::kWaits, [&](size_t) { ++done; });
  EXPECT_EQ(done, 10);
  go_on = true;
  slow.join();
}

}  // namespace
}  // namespace datashard::shardread
