#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "kv/block_cache.h"
#include "kv/joined_read.h"
#include "kv/output.h"
#include "kv/shard_directory.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard::kv {
namespace {

using ::testing::ElementsAre;

std::shared_ptr<const Bytes> Block(size_t size, char fill) { return std::make_shared<const Bytes>(size, fill); }

TEST(BlockCache, GivesBackWhatWasPutAndNothingElse) {
  BlockCache cache(1 << 20);
  cache.Put({1, 4096}, Block(10, 'a'));
  cache.Put({2, 4096}, Block(10, 'b'));
  ASSERT_NE(cache.Find({1, 4096}), nullptr);
  EXPECT_EQ(*cache.Find({1, 4096}), Bytes(10, 'a'));
  EXPECT_EQ(*cache.Find({2, 4096}), Bytes(10, 'b'));
  EXPECT_EQ(cache.Find({1, 0}), nullptr);
  cache.Put({1, 4096}, Block(20, 'c'));
  EXPECT_EQ(*cache.Find({1, 4096}), Bytes(20, 'c'));
}

TEST(BlockCache, StaysWithinItsBudgetAndKeepsWhatIsUsed) {
  BlockCache cache(16 * 10'000);
  cache.Put({7, 0}, Block(1'000, 'x'));
  for (int64_t i = 1; i < 2'000; ++i) {
    cache.Put({7, i * 4096}, Block(1'000, 'y'));
    ASSERT_NE(cache.Find({7, 0}), nullptr) << i;
    ASSERT_LE(cache.size_bytes(), 16 * 10'000);
  }
  EXPECT_GT(cache.size_bytes(), 16 * 5'000);
}

TEST(BlockCache, KeepsNothingAboveItsBudget) {
  BlockCache none(0);
  none.Put({1, 0}, Block(10, 'a'));
  EXPECT_EQ(none.Find({1, 0}), nullptr);
  BlockCache small(16 * 1'000);
  small.Put({1, 0}, Block(10, 'a'));
  small.Put({1, 0}, Block(5'000, 'b'));
  EXPECT_EQ(small.Find({1, 0}), nullptr);
  EXPECT_EQ(small.size_bytes(), 0);
}

TEST(BlockCache, AShareIsAnEighthOfItsBudget) {
  EXPECT_EQ(BlockCache(16 << 20).share_bytes(), 2 << 20);
  EXPECT_EQ(BlockCache(0).share_bytes(), 0);
}

TEST(Output, GrowsFromTheHeapIntoPagesOfItsOwnAndThenAFile) {
  const TemporaryDirectory directory;
  Output output(int64_t{70} << 20, directory.path());
  const auto fill = [](int i) { return static_cast<char>('a' + i % 26); };
  const auto expect_all = [&](int pieces) {
    int piece = 0;
    ASSERT_THAT(output.ForEachPiece(1'000'000, [&](ByteView bytes) {
      EXPECT_TRUE(bytes == Bytes(1'000'000, piece == 1 ? '!' : fill(piece))) << piece;
      ++piece;
      return Status();
    }), IsOk());
    EXPECT_EQ(piece, pieces);
  };
  for (int i = 0; i < 72; ++i) {
    ASSERT_THAT(output.Append(Bytes(1'000'000, fill(i))), IsOk());
    if (i == 1) {
      ASSERT_THAT(output.Rewrite(1'000'000, Bytes(1'000'000, '!')), IsOk());
    }
    if (i == 2 || i == 71) {  // beyond the heap, and beyond the pages reserved at first
      ASSERT_NO_FATAL_FAILURE(expect_all(i + 1));
    }
  }
  EXPECT_TRUE(output.in_memory().has_value());
  for (int i = 72; i < 75; ++i) ASSERT_THAT(output.Append(Bytes(1'000'000, fill(i))), IsOk());
  EXPECT_FALSE(output.in_memory().has_value());
  ASSERT_NO_FATAL_FAILURE(expect_all(75));
}

TEST(BlockCache, AForkChildHasOneOfItsOwnWhateverItsParentsThreadsHold) {
  BlockCache cache(1 << 20);
  cache.Put({1, 0}, Block(10, 'a'));
  std::atomic<bool> stop = false;
  std::thread busy([&] {
    for (int64_t i = 0; !stop; ++i) cache.Put({1, i % 1'000}, Block(10, 'a'));
  });
  for (int i = 0; i < 50; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      ::alarm(20);
      for (int64_t at = 0; at < 200; ++at) cache.Put({2, at}, Block(10, 'b'));
      const bool found = cache.Find({2, 7}) != nullptr && *cache.Find({2, 7}) == Bytes(10, 'b');
      _exit(found ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  stop = true;
  busy.join();
}

TEST(Output, IsTheSameInMemoryAndInAFile) {
  const TemporaryDirectory directory;
  for (const int64_t memory_bytes_max : {int64_t{0}, int64_t{10}, int64_t{1} << 20}) {
    const std::string spill = directory.path() + "/spill/" + std::to_string(memory_bytes_max);
    Output output(memory_bytes_max, spill);
    Bytes expected;
    for (int i = 0; i < 1'000; ++i) {
      const Bytes piece(static_cast<size_t>(i % 7), static_cast<char>('a' + i % 26));
      ASSERT_THAT(output.Append(piece), IsOk());
      expected += piece;
    }
    ASSERT_THAT(output.Rewrite(100, "HEADER"), IsOk());
    expected.replace(100, 6, "HEADER");
    ASSERT_THAT(output.Append("end"), IsOk());
    expected += "end";
    EXPECT_EQ(output.size_bytes(), static_cast<int64_t>(expected.size()));
    for (int again = 0; again < 2; ++again) {
      Bytes read;
      ASSERT_THAT(output.ForEachPiece(64, [&](ByteView piece) -> Status {
        EXPECT_LE(piece.size(), 64u);
        read += piece;
        return {};
      }), IsOk());
      EXPECT_EQ(read, expected);
    }
    EXPECT_EQ(output.in_memory().has_value(), memory_bytes_max > 10);
    EXPECT_THAT(output.Rewrite(static_cast<int64_t>(expected.size()) - 1, "xx"), HasKind(ErrorKind::kInternal));
    EXPECT_TRUE(!std::filesystem::exists(spill) || std::filesystem::is_empty(spill)) << "a spill file has no name";
  }
}

TEST(Output, NamesTheSpillDirectoryThatCannotBeMade) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() + "/file") << "x";
  Output output(0, directory.path() + "/file/below");
  const Status appended = output.Append("x");
  ASSERT_FALSE(appended.ok());
  EXPECT_THAT(appended, HasMessage("file/below"));
}

class ShardDirectories : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(temporary_.path() + "/shard/manifest");
    std::ofstream(temporary_.path() + "/shard/manifest/2") << "two";
    std::ofstream(temporary_.path() + "/shard/manifest/1") << "one";
    std::ofstream(temporary_.path() + "/shard/data") << "0123456789";
    std::ofstream(temporary_.path() + "/shard/empty");
    if (GetParam()) {
      auto opened = OpenMappedDirectory(temporary_.path() + "/shard", "file:///x", cache_);
      ASSERT_THAT(opened, IsOk());
      directory_ = std::move(*opened);
    } else {
      auto store = OpenLocalStore(temporary_.path(), false);
      ASSERT_THAT(store, IsOk());
      store_ = std::move(*store);
      directory_ = OpenStoredDirectory(*store_, "shard", cache_);
    }
  }

  TemporaryDirectory temporary_;
  BlockCache cache_{1 << 20};
  std::unique_ptr<ObjectStore> store_;
  std::unique_ptr<ShardDirectory> directory_;
};

TEST_P(ShardDirectories, ListGetAndReadWhatIsThere) {
  const auto names = directory_->List("manifest/");
  ASSERT_THAT(names, IsOk());
  EXPECT_THAT(*names, ElementsAre("manifest/1", "manifest/2"));
  EXPECT_EQ(*directory_->Get("manifest/2"), "two");
  EXPECT_THAT(directory_->Get("manifest/3"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(directory_->Open("missing"), HasKind(ErrorKind::kNotFound));

  const auto file = directory_->Open("data");
  ASSERT_THAT(file, IsOk());
  EXPECT_EQ((*file)->size_bytes(), 10);
  EXPECT_EQ((*file)->mapped().has_value(), GetParam());
  if (GetParam()) {
    EXPECT_EQ(*(*file)->mapped(), "0123456789");
  }
  const ByteRange ranges[] = {{2, 3}, {9, 1}, {10, 0}};
  const auto read = (*file)->Read(ranges);
  ASSERT_EQ(read.size(), 3u);
  EXPECT_EQ(*read[0], "234");
  EXPECT_EQ(*read[1], "9");
  EXPECT_EQ(*read[2], "");
  const auto other = directory_->Open("data");
  EXPECT_NE((*file)->cache_id(), (*other)->cache_id());
}

TEST_P(ShardDirectories, ARangeThatIsNotAllThereIsCorruption) {
  for (const std::string name : {"data", "empty"}) {
    const auto file = directory_->Open(name);
    ASSERT_THAT(file, IsOk());
    for (const ByteRange& range : {ByteRange{8, 3}, ByteRange{11, 1}, ByteRange{-1, 1}, ByteRange{0, INT64_MAX}, ByteRange{3, -1}}) {
      const auto read = (*file)->Read(std::span(&range, 1));
      ASSERT_EQ(read.size(), 1u);
      EXPECT_THAT(read[0], HasKind(ErrorKind::kCorruption)) << range.offset_bytes;
      EXPECT_THAT(read[0], HasMessage(name));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, ShardDirectories, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Mapped" : "Stored"; });

// A file whose bytes follow from their places; counts requests.
class PatternFile final : public ShardFile {
 public:
  static char ByteAt(int64_t offset) { return static_cast<char>(offset * 31 + offset / 4096); }
  const std::string& uri() const override { return uri_; }
  int64_t size_bytes() const override { return int64_t{1} << 40; }
  std::optional<ByteView> mapped() const override { return std::nullopt; }
  std::vector<Result<Bytes>> Read(std::span<const ByteRange> ranges) const override {
    ++reads;
    std::vector<Result<Bytes>> read;
    for (const ByteRange& range : ranges) {
      asked.push_back(range);
      Bytes bytes(static_cast<size_t>(range.size_bytes), '\0');
      for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = ByteAt(range.offset_bytes + static_cast<int64_t>(i));
      if (range.offset_bytes == fails_at) read.push_back(Error(ErrorKind::kUnavailable, "no answer"));
      else if (range.offset_bytes == short_at) read.push_back(bytes.substr(1));
      else read.push_back(std::move(bytes));
    }
    return read;
  }
  uint64_t cache_id() const override { return 1; }

  int64_t fails_at = -1, short_at = -1;
  mutable int reads = 0;
  mutable std::vector<ByteRange> asked;

 private:
  const std::string uri_ = "memory://pattern";
};

Status ExpectRanges(const PatternFile& file, std::span<const ByteRange> ranges) {
  size_t next = 0;
  DS_RETURN_IF_ERROR(ReadJoined(file, ranges, [&](size_t range, ByteView bytes) {
    EXPECT_EQ(range, next++);
    EXPECT_EQ(static_cast<int64_t>(bytes.size()), ranges[range].size_bytes);
    for (size_t i = 0; i < bytes.size(); ++i) {
      if (bytes[i] != PatternFile::ByteAt(ranges[range].offset_bytes + static_cast<int64_t>(i))) return Status(Error(ErrorKind::kInternal, "other bytes"));
    }
    return Status();
  }));
  EXPECT_EQ(next, ranges.size());
  return {};
}

TEST(JoinedRead, NearRangesComeByOneRequestAndFarOnesByTheirOwn) {
  const PatternFile file;
  EXPECT_THAT(ExpectRanges(file, {}), IsOk());
  EXPECT_EQ(file.reads, 0);
  const std::vector<ByteRange> ranges = {{100, 50}, {150, 50}, {200 + (64 << 10), 10}, {1'000'000, 5}, {1'000'005, 0}};
  EXPECT_THAT(ExpectRanges(file, ranges), IsOk());
  EXPECT_EQ(file.reads, 1);
  ASSERT_EQ(file.asked.size(), 2u);
  EXPECT_EQ(file.asked[0].offset_bytes, 100);
  EXPECT_EQ(file.asked[0].size_bytes, 110 + (64 << 10));
  EXPECT_EQ(file.asked[1].offset_bytes, 1'000'000);
  EXPECT_EQ(file.asked[1].size_bytes, 5);
}

TEST(JoinedRead, RequestsAndWhatIsHeldAtOnceAreBounded) {
  const PatternFile file;
  std::vector<ByteRange> ranges;
  for (int64_t i = 0; i < 70; ++i) ranges.push_back({i << 20, 1 << 20});
  ranges.push_back({int64_t{70} << 20, 3 << 20});  // larger than a request should be
  EXPECT_THAT(ExpectRanges(file, ranges), IsOk());
  EXPECT_EQ(file.reads, 3);
  EXPECT_EQ(file.asked.size(), 36u);
  for (const ByteRange& range : file.asked) EXPECT_LE(range.size_bytes, range.offset_bytes == int64_t{70} << 20 ? 3 << 20 : 2 << 20);
}

TEST(JoinedRead, ErrorsOfTheStoreAndOfTheTakerEndIt) {
  PatternFile file;
  const std::vector<ByteRange> ranges = {{0, 10}, {1'000'000, 10}};
  EXPECT_THAT(ReadJoined(file, ranges, [](size_t, ByteView) { return Status(Error(ErrorKind::kCorruption, "damaged")); }), HasKind(ErrorKind::kCorruption));
  file.fails_at = 1'000'000;
  EXPECT_THAT(ExpectRanges(file, ranges), HasKind(ErrorKind::kUnavailable));
  file.fails_at = -1;
  file.short_at = 1'000'000;
  EXPECT_THAT(ExpectRanges(file, ranges), HasMessage("9 of 10 bytes at 1000000 came"));
}

}  // namespace
}  // namespace datashard::kv
