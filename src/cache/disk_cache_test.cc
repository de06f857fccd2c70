#include "cache/disk_cache.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "sim/sim_clock.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard::cache {
namespace {

namespace fs = std::filesystem;

class WrittenLog final : public Log {
 public:
  void Write(LogLevel, std::string_view message) override { messages.emplace_back(message); }
  std::vector<std::string> messages;
};

class DiskCacheTest : public testing::Test {
 protected:
  std::unique_ptr<DiskCache> Open(int64_t bytes_max = int64_t{1} << 30) {
    Result<std::unique_ptr<DiskCache>> cache = DiskCache::Open({.directory = Root(), .bytes_max = bytes_max}, outside_);
    EXPECT_THAT(cache, IsOk());
    return cache.ok() ? std::move(cache).value() : nullptr;
  }
  std::string Root() const { return directory_.path() + "/made/for it"; }
  std::string Entries() const { return Root() + "/datashard-cache-" + std::to_string(::geteuid()); }
  std::vector<fs::path> Files() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(Entries())) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    return files;
  }
  double Sum(const std::string& metric) const {
    const auto sums = metrics_.Read();
    const auto found = sums.find("datashard_cache_" + metric);
    return found == sums.end() ? 0 : found->second;
  }

  TemporaryDirectory directory_;
  sim::SimClock clock_;
  MetricSums metrics_;
  WrittenLog log_;
  std::unique_ptr<Random> random_ = SeededRandom(5);
  Outside outside_{clock_, *random_, metrics_, log_};
};

TEST_F(DiskCacheTest, WhatWasAddedIsFoundByItsNameAlone) {
  const auto cache = Open();
  const std::string binary("\0a\nb\xff", 5);
  cache->Add("place\nkey\nwhole", binary);
  cache->Add("empty", "");
  EXPECT_EQ(cache->Find("place\nkey\nwhole"), binary);
  EXPECT_EQ(cache->Find("empty"), "");
  EXPECT_EQ(cache->Find("place\nkey\nwhol"), std::nullopt);
  EXPECT_EQ(Open()->Find("place\nkey\nwhole"), binary) << "by another handle";
  cache->Remove("empty");
  EXPECT_EQ(cache->Find("empty"), std::nullopt);
  EXPECT_EQ(Sum("hits_total"), 3);
  EXPECT_EQ(Sum("misses_total"), 2);
}

TEST_F(DiskCacheTest, ItsDirectoryIsForThisUserAlone) {
  Open()->Add("a", "b");
  struct stat info;
  ASSERT_EQ(::stat(Entries().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_EQ(::chmod(Entries().c_str(), 0777), 0);
  const auto refused = DiskCache::Open({.directory = Root()}, outside_);
  EXPECT_THAT(refused, HasKind(ErrorKind::kDenied));
  EXPECT_THAT(refused, HasMessage(Entries()));
}

TEST_F(DiskCacheTest, ADamagedEntryIsNeverBelieved) {
  const auto cache = Open();
  const std::string body(300, 'x');
  cache->Add("name", body);
  ASSERT_EQ(Files().size(), 1u);
  const fs::path path = Files().front();
  std::string entry(fs::file_size(path), '\0');
  std::ifstream(path, std::ios::binary).read(entry.data(), static_cast<std::streamsize>(entry.size()));
  int damaged = 0;
  const auto expect_disbelief = [&](const std::string& bytes, const std::string& what) {
    std::ofstream(path, std::ios::binary | std::ios::trunc).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    EXPECT_EQ(cache->Find("name"), std::nullopt) << what;
    EXPECT_FALSE(fs::exists(path)) << what << ": it is removed";
    ++damaged;
  };
  for (size_t at = 0; at < entry.size(); ++at) {
    std::string bytes = entry;
    bytes[at] ^= 0x10;
    expect_disbelief(bytes, "byte " + std::to_string(at));
  }
  for (size_t size = 0; size < entry.size(); size += 7) expect_disbelief(entry.substr(0, size), "cut to " + std::to_string(size));
  expect_disbelief(entry + "z", "longer");
  expect_disbelief(std::string(entry.size(), '\0'), "zeros");
  EXPECT_EQ(Sum("damaged_total"), damaged);
  cache->Add("name", body);
  EXPECT_EQ(cache->Find("name"), body) << "it is kept anew";
}

TEST_F(DiskCacheTest, AnEntryUnderAnothersNameIsNotBelieved) {
  const auto cache = Open();
  cache->Add("one", "first");
  const fs::path path = Files().front();
  cache->Add("two", "second");
  for (const fs::path& other : Files()) {
    if (other != path) fs::copy_file(path, other, fs::copy_options::overwrite_existing);
  }
  EXPECT_EQ(cache->Find("two"), std::nullopt);
  EXPECT_EQ(cache->Find("one"), "first");
}

TEST_F(DiskCacheTest, WhatWasNotUsedForLongestGoesFirstAndTheBudgetHolds) {
  constexpr int64_t kBudget = 16 << 20;
  const auto one = Open(kBudget);
  const auto other = Open(kBudget);  // another process, say
  const std::string body(30'000, 'b');
  one->Add("much used", body);
  for (int i = 0; i < 3000; ++i) {
    (i % 2 == 0 ? one : other)->Add("entry " + std::to_string(i), body);
    if (i % 10 == 0) {
      EXPECT_EQ(other->Find("much used"), body) << i;
    }
  }
  int64_t bytes = 0;
  for (const fs::path& file : Files()) bytes += static_cast<int64_t>(fs::file_size(file));
  EXPECT_LE(bytes, kBudget);
  EXPECT_GE(bytes, kBudget / 2);
  EXPECT_GT(Sum("evicted_total"), 1000);
  EXPECT_EQ(one->Find("entry 0"), std::nullopt);
  EXPECT_EQ(one->Find("entry 2999"), body);
}

TEST_F(DiskCacheTest, WhatTakesTooMuchOfTheBudgetIsNotKept) {
  const auto cache = Open(1 << 20);
  cache->Add("large", std::string(40'000, 'x'));
  EXPECT_EQ(cache->Find("large"), std::nullopt);
  cache->Add("small", std::string(30'000, 'x'));
  EXPECT_TRUE(cache->Find("small").has_value());
}

TEST_F(DiskCacheTest, AFullDiskOnlyMeansThatNothingIsKept) {
  const auto cache = Open();
  cache->Add("before", "kept");
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit full{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &full), 0);
  cache->Add("while full", "lost");
  cache->Add("again", "lost");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(Sum("failures_total"), 1) << "the second was not tried";
  EXPECT_EQ(log_.messages.size(), 1u);
  EXPECT_EQ(cache->Find("while full"), std::nullopt);
  EXPECT_EQ(cache->Find("before"), "kept");
  EXPECT_EQ(Files().size(), 1u) << "no part of it is left";
  clock_.Sleep(std::chrono::minutes(2));
  cache->Add("later", "kept too");
  EXPECT_EQ(cache->Find("later"), "kept too");
}

TEST_F(DiskCacheTest, AProcessKilledWhileItWritesLeavesNothingFalse) {
  const std::string body(200'000, 'k');
  for (int round = 0; round < 10; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto cache = Open(int64_t{64} << 20);
      for (int i = 0;; ++i) cache->Add(fmt::format("{} {}", round, i), body);
    }
    ASSERT_GT(child, 0);
    while (!fs::exists(Entries()) || Files().size() < static_cast<size_t>(round) * 5 + 3) std::this_thread::yield();
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    const auto cache = Open();
    for (int i = 0; i < 500; ++i) {
      const std::optional<Bytes> found = cache->Find(fmt::format("{} {}", round, i));
      ASSERT_TRUE(!found || *found == body);
    }
  }
  EXPECT_EQ(Sum("damaged_total"), 0) << "entries appear whole";
  EXPECT_GT(Sum("hits_total"), 0);
}

TEST_F(DiskCacheTest, ADirectoryThatGoesAwayIsNoFailure) {
  const auto cache = Open();
  cache->Add("a", "b");
  fs::remove_all(Root());
  EXPECT_EQ(cache->Find("a"), std::nullopt);
  cache->Add("c", "d");
  EXPECT_TRUE(!cache->Find("c") || cache->Find("c") == "d");
}

TEST(CacheSettings, AreOnlyThereWhereADirectoryIsNamed) {
  EXPECT_EQ(*CacheFromEnvironment(GivenEnvironment(Variables{{"DATASHARD_S3_CACHE_BYTES", "nonsense"}})), std::nullopt);
  const GivenEnvironment plain(Variables{{"DATASHARD_S3_CACHE_DIR", "/c"}});
  EXPECT_EQ(*CacheFromEnvironment(plain), (CacheSettings{.directory = "/c", .bytes_max = int64_t{1} << 30}));
  const GivenEnvironment sized(Variables{{"DATASHARD_S3_CACHE_DIR", "/c"}, {"DATASHARD_S3_CACHE_BYTES", "5000000"}});
  EXPECT_EQ(*CacheFromEnvironment(sized), (CacheSettings{.directory = "/c", .bytes_max = 5'000'000}));
  for (const char* const wrong : {"1GiB", "-1", "0", "1000", " 5000000", "99999999999999999999"}) {
    const auto refused = CacheFromEnvironment(GivenEnvironment(Variables{{"DATASHARD_S3_CACHE_DIR", "/c"}, {"DATASHARD_S3_CACHE_BYTES", wrong}}));
    EXPECT_THAT(refused, HasKind(ErrorKind::kInvalidArgument)) << wrong;
    EXPECT_THAT(refused, HasMessage(wrong));
  }
}

}  // namespace
}  // namespace datashard::cache
