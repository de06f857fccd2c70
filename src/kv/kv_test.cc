#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "kv/block_cache.h"
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

}  // namespace
}  // namespace datashard::kv
