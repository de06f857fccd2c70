// A table handle in fork children of a process whose threads append at that moment, and more handles than the kernel has queues.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <numeric>
#include <thread>

#include "datashard/table.h"
#include "storage/temporary_directory.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"

namespace datashard {
namespace {

constexpr int kRounds = 25;  // of two children each
constexpr unsigned kHangs = 120;  // seconds after which a child counts as hanging

std::vector<int64_t> SortedIds(const Table& table) {
  auto stream = table.Scan();
  EXPECT_THAT(stream, IsOk());
  std::vector<int64_t> ids = IdsOf(std::move(stream).value()).value();
  std::ranges::sort(ids);
  return ids;
}

/// The wait status of a child that appends one row through the handle it inherits.
int StatusOfChildThatAppends(Table& table, int64_t id) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(kHangs);  // kills it
    ::_exit(table.Append(RowsWithIds({id})).ok() && table.row_count().ok() ? 0 : 1);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

TEST(TableFork, ChildrenOfAProcessWhoseThreadsAppendHangNowhereAndAppendOnce) {
  const TemporaryDirectory directory("/dev/shm");
  const auto table = Table::Create(directory.path() + "/t", {.schema = IdAndText()}).value();
  std::atomic<bool> stop = false;
  std::atomic<int64_t> next = kRounds;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!stop.load()) EXPECT_THAT(table->Append(RowsWithIds({next.fetch_add(1)})), IsOk());
    });
  }
  for (int64_t id = 0; id < kRounds; ++id) {
    EXPECT_EQ(StatusOfChildThatAppends(*table, id), 0) << "SIGALRM says that it hung";
    // The next child is forked inside the first append of another handle.
    const auto fresh = Table::Open(directory.path() + "/t").value();
    std::thread first([&] { EXPECT_THAT(fresh->Append(RowsWithIds({next.fetch_add(1)})), IsOk()); });
    EXPECT_EQ(StatusOfChildThatAppends(*fresh, next.fetch_add(1)), 0) << "SIGALRM says that it hung";
    first.join();
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  std::vector<int64_t> expected(static_cast<size_t>(next.load()));
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(SortedIds(*table), expected);
}

TEST(TableHandles, MoreThanTheKernelHasQueuesWriteInOneProcess) {
  const TemporaryDirectory directory("/dev/shm");
  std::vector<std::unique_ptr<Table>> tables;
  for (int64_t id = 0; id < 300; ++id) {
    // Three hundred rings would take a lot of memory.
    auto table = Table::Create(fmt::format("{}/{}", directory.path(), id),
                               {.schema = IdAndText(), .properties = {{"datashard.group-commit", "off"}}});
    ASSERT_THAT(table, IsOk());
    tables.push_back(std::move(table).value());
    ASSERT_THAT(tables.back()->Append(RowsWithIds({id})), IsOk());
  }
  for (int64_t id = 0; id < 300; ++id) {
    ASSERT_THAT(tables[static_cast<size_t>(id)]->Append(RowsWithIds({id + 1})), IsOk());
    EXPECT_EQ(SortedIds(*tables[static_cast<size_t>(id)]), (std::vector<int64_t>{id, id + 1}));
  }
}

}  // namespace
}  // namespace datashard
