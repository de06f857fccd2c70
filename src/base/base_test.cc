#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <set>
#include <thread>

#include "base/check.h"
#include "base/error.h"
#include "base/executor.h"
#include "base/fork.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/uri.h"
#include "support/matchers.h"

namespace datashard {
namespace {

Result<int> Half(int number) {
  if (number % 2 != 0) return InvalidArgument("{} is odd", number);
  return number / 2;
}
Result<int> Quarter(int number) {
  DS_ASSIGN_OR_RETURN(const int half, Half(number));
  return Half(half);
}
Status Checked(bool condition) {
  DS_CHECK(condition);
  return {};
}

TEST(Result, ErrorsTravelThroughTheMacros) {
  EXPECT_EQ(*Quarter(12), 3);
  EXPECT_THAT(Quarter(6), HasMessage("3 is odd"));
  EXPECT_THAT(Quarter(6), HasKind(ErrorKind::kInvalidArgument));
}

TEST(Result, AboutAndInKeepKindAndText) {
  const Error error = NotFound("no {}", "x").About(ErrorSubject::kColumn).In("scan");
  EXPECT_EQ(error.subject(), ErrorSubject::kColumn);
  EXPECT_EQ(error.ToString(), "not found: scan: no x");
}

#ifndef DATASHARD_ABORT_ON_CHECK
TEST(Check, AFailedCheckIsAnInternalError) {
  EXPECT_THAT(Checked(true), IsOk());
  EXPECT_THAT(Checked(false), HasKind(ErrorKind::kInternal));
}
#endif

TEST(FromErrno, KindsFollowWhatACallerCanDo) {
  EXPECT_EQ(FromErrno(EACCES, "open x").kind(), ErrorKind::kDenied);
  EXPECT_EQ(FromErrno(ENOENT, "open x").kind(), ErrorKind::kNotFound);
  EXPECT_EQ(FromErrno(EIO, "open x").kind(), ErrorKind::kUnavailable);
}

TEST(Uri, EverySpellingOfAFileUriGivesItsPath) {
  for (const char* uri : {"/a/b", "file:/a/b", "file:///a/b", "file://localhost/a/b"}) EXPECT_EQ(*PathOfUri(uri), "/a/b") << uri;
  for (const char* uri : {"", "a/b", "s3://bucket/a", "file:", "file://host/a"})
    EXPECT_THAT(PathOfUri(uri), HasKind(ErrorKind::kInvalidArgument)) << uri;
}

TEST(Uri, KeysStayBelowTheirRoot) {
  EXPECT_EQ(*KeyBelow("/t", "/t/data/x"), "data/x");
  EXPECT_EQ(*KeyBelow("/t/", "/t//data/x"), "data/x");
  EXPECT_EQ(*KeyBelow("/", "/data"), "data");
  for (const char* path : {"/t", "/t/", "/table/x", "/t/../etc/passwd", "/t/a/./b", "/u/x", "t/x"})
    EXPECT_THAT(KeyBelow("/t", path), HasKind(ErrorKind::kInvalidArgument)) << path;
}

TEST(Uri, UnicodeAndEqualSignsAreOrdinary) { EXPECT_THAT(CheckKey("data/tag=größe/ü 1.parquet"), IsOk()); }

TEST(Random, ASeedReplaysAndIdsHaveTheirShape) {
  const auto a = SeededRandom(7);
  const auto b = SeededRandom(7);
  EXPECT_EQ(RandomUuid(*a), RandomUuid(*b));
  std::set<int64_t> ids;
  for (int i = 0; i < 1000; ++i) {
    const int64_t id = RandomId63(*a);
    EXPECT_GT(id, 0);
    ids.insert(id);
    const double unit = RandomUnit(*a);
    EXPECT_TRUE(unit >= 0 && unit < 1);
  }
  EXPECT_EQ(ids.size(), 1000u);
  const std::string uuid = RandomUuid(SystemRandom());
  ASSERT_EQ(uuid.size(), 36u);
  EXPECT_EQ(uuid[14], '4');
  EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos);
  EXPECT_EQ(RandomHex(*a, 20).size(), 20u);
}

TEST(Executor, FinishesWhatWasSubmitted) {
  std::atomic<int> done = 0;
  {
    const auto pool = ThreadPool(3);
    EXPECT_EQ(pool->thread_count(), 3);
    for (int i = 0; i < 200; ++i) pool->Submit([&] { ++done; });
  }
  EXPECT_EQ(done, 200);
}

TEST(Metrics, SumsOverThreads) {
  MetricSums sums;
  {
    std::jthread a([&] { for (int i = 0; i < 1000; ++i) sums.Add("x_total", 1); });
    std::jthread b([&] { for (int i = 0; i < 1000; ++i) sums.Add("x_total", 2); });
  }
  EXPECT_EQ(sums.Read().at("x_total"), 3000);
}

TEST(PerProcess, AForkChildFindsANewStateWhateverBecameOfTheOldOne) {
  PerProcess<std::string> state;
  state.Lock()->assign("the parent's");
  const auto locked = state.Lock();  // by a thread that the child does not have
  EXPECT_FALSE(state.TryLock().has_value());
  const uint64_t forks = ForkCount();
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);  // kills a child that hangs
    const auto childs = state.Lock();
    ::_exit(ForkCount() == forks + 1 && childs->empty() && !state.TryLock() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(*locked, "the parent's");
  EXPECT_EQ(ForkCount(), forks);
}

}  // namespace
}  // namespace datashard
