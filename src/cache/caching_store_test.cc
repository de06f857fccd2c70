#include "cache/caching_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "sim/forwarding_store.h"
#include "storage/conformance.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard::cache {
namespace {

constexpr int64_t kEndBytes = 1000;

/// Counts what it is asked for; its readers have an object's end at hand and tell objects apart, as those of a bucket do.
class CountingStore final : public sim::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  bool is_remote() const override { return true; }
  Result<Bytes> Get(std::string_view key) override {
    ++requests;
    return base_->Get(key);
  }
  std::vector<Result<Bytes>> GetMany(std::span<const std::string> keys) override {
    requests += static_cast<int>(keys.size());
    return base_->GetMany(keys);
  }
  Result<Bytes> GetRange(std::string_view key, ByteRange range) override {
    ++requests;
    return base_->GetRange(key, range);
  }
  Result<std::unique_ptr<ObjectReader>> OpenReader(std::string_view key) override {
    ++requests;
    DS_ASSIGN_OR_RETURN(const Bytes body, base_->Get(key));
    DS_ASSIGN_OR_RETURN(std::unique_ptr<ObjectReader> reader, base_->OpenReader(key));
    return std::unique_ptr<ObjectReader>(std::make_unique<Reader>(*this, std::move(reader), std::to_string(std::hash<Bytes>()(body))));
  }
  int requests = 0;
  int64_t range_bytes = 0;

 private:
  class Reader final : public ObjectReader {
   public:
    Reader(CountingStore& store, std::unique_ptr<ObjectReader> base, std::string identity)
        : store_(store), base_(std::move(base)), identity_(std::move(identity)) {}
    int64_t size_bytes() const override { return base_->size_bytes(); }
    int64_t at_hand_offset() const override { return std::max<int64_t>(0, size_bytes() - kEndBytes); }
    std::string identity() const override { return identity_; }
    Result<bool> StillNamed() override { return base_->StillNamed(); }
    Result<int64_t> ReadAt(int64_t offset, int64_t size, void* out) override {
      store_.requests += offset < at_hand_offset();
      return base_->ReadAt(offset, size, out);
    }
    std::vector<Result<Bytes>> ReadRanges(std::span<const ByteRange> ranges) override {
      ++store_.requests;
      for (const ByteRange& range : ranges) store_.range_bytes += range.size_bytes;
      return base_->ReadRanges(ranges);
    }

   private:
    CountingStore& store_;
    std::unique_ptr<ObjectReader> base_;
    const std::string identity_;
  };
};

struct Surroundings {
  TemporaryDirectory directory;
  MetricSums metrics;
  Outside outside{SystemClock(), SystemRandom(), metrics, SilentLog()};
  std::shared_ptr<DiskCache> cache = DiskCache::Open({.directory = directory.path()}, outside).value();
};

class CachingStoreTest : public testing::Test {
 protected:
  /// As another process would open it.
  std::unique_ptr<ObjectStore> Open(std::string place = "here") {
    return CachingStore(counted_, around_.cache, std::move(place), [](std::string_view key) { return key.ends_with(".avro"); });
  }
  void Put(const std::string& key, const std::string& body) { ASSERT_THAT(memory_->Replace(key, body), IsOk()); }

  Surroundings around_;
  std::shared_ptr<ObjectStore> memory_ = OpenMemoryStore("m", SystemClock());
  std::shared_ptr<CountingStore> counted_ = std::make_shared<CountingStore>(memory_);
};

std::string Noise(size_t size) {
  std::mt19937_64 random(size);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST_F(CachingStoreTest, AnImmutableObjectIsAskedForOnce) {
  Put("m/a.avro", "manifest");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*Open()->Get("m/a.avro"), "manifest");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*Open()->GetRange("m/a.avro", {.offset_bytes = 2, .size_bytes = 3}), "nif");
  EXPECT_EQ(counted_->requests, 2);
  ASSERT_OK_AND_ASSIGN(const auto reader, Open()->OpenReader("m/a.avro"));
  EXPECT_EQ(*reader->ReadRanges(std::vector<ByteRange>{{.offset_bytes = 5, .size_bytes = 99}}).front(), "est");
  EXPECT_EQ(counted_->requests, 2) << "the whole object is there";
}

TEST_F(CachingStoreTest, OfManyOnlyThoseThatAreMissingAreAskedFor) {
  Put("a.avro", "one");
  Put("b.avro", "two");
  Put("c.json", "three");
  EXPECT_EQ(*Open()->Get("b.avro"), "two");
  const std::vector<std::string> keys = {"a.avro", "b.avro", "c.json", "d.avro"};
  for (const int requests : {3, 2}) {
    counted_->requests = 0;
    const std::vector<Result<Bytes>> got = Open()->GetMany(keys);
    ASSERT_EQ(got.size(), 4u);
    EXPECT_EQ(*got[0], "one");
    EXPECT_EQ(*got[1], "two");
    EXPECT_EQ(*got[2], "three");
    EXPECT_THAT(got[3], HasKind(ErrorKind::kNotFound));
    EXPECT_EQ(counted_->requests, requests);
  }
}

TEST_F(CachingStoreTest, OtherObjectsAreAskedForEveryTime) {
  Put("metadata/v1.metadata.json", "one");
  EXPECT_EQ(*Open()->Get("metadata/v1.metadata.json"), "one");
  Put("metadata/v1.metadata.json", "two");
  EXPECT_EQ(*Open()->Get("metadata/v1.metadata.json"), "two");
  EXPECT_EQ(*Open()->GetRange("metadata/v1.metadata.json", {.size_bytes = 2}), "tw");
  ASSERT_OK_AND_ASSIGN(const auto reader, Open()->OpenReader("metadata/v1.metadata.json"));
  EXPECT_EQ(counted_->requests, 4);
  EXPECT_EQ(around_.metrics.Read().count("datashard_cache_written_bytes_total"), 0u);
}

TEST_F(CachingStoreTest, FailuresAreNotKept) {
  EXPECT_THAT(Open()->Get("a.avro"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(Open()->OpenReader("a.avro"), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(Open()->Get("../a.avro"), HasKind(ErrorKind::kInvalidArgument));
  Put("a.avro", "now");
  EXPECT_EQ(*Open()->Get("a.avro"), "now");
}

TEST_F(CachingStoreTest, OnePlaceDoesNotSeeAnothers) {
  Put("a.avro", "here");
  EXPECT_EQ(*Open("here")->Get("a.avro"), "here");
  Put("a.avro", "there");
  EXPECT_EQ(*Open("there")->Get("a.avro"), "there");
  EXPECT_EQ(*Open("here")->Get("a.avro"), "here");
}

TEST_F(CachingStoreTest, RangesReadAgainCostNoRequest) {
  const std::string body = Noise(2'000'000);
  Put("big.avro", body);
  const std::vector<ByteRange> ranges = {{.offset_bytes = 100, .size_bytes = 50}, {.offset_bytes = 700'000, .size_bytes = 400'000},
                                         {.offset_bytes = 1'999'900, .size_bytes = 500}, {.offset_bytes = 5'000'000, .size_bytes = 5}};
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto reader, Open()->OpenReader("big.avro"));
    EXPECT_EQ(reader->size_bytes(), 2'000'000);
    const std::vector<Result<Bytes>> read = reader->ReadRanges(ranges);
    ASSERT_EQ(read.size(), 4u);
    EXPECT_TRUE(*read[0] == body.substr(100, 50));
    EXPECT_TRUE(*read[1] == body.substr(700'000, 400'000));
    EXPECT_TRUE(*read[2] == body.substr(1'999'900));
    EXPECT_EQ(*read[3], "");
    EXPECT_EQ(counted_->requests, 2) << "its opening, and one round of ranges";
  }
  EXPECT_LE(counted_->range_bytes, 4 * (256 << 10)) << "the blocks that were touched";
}

TEST_F(CachingStoreTest, AnyRangesReadAsFromTheObjectItself) {
  std::mt19937_64 random(3);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{1000}, size_t{1001}, size_t{262'144}, size_t{263'144}, size_t{263'145}, size_t{1'500'000}}) {
    const std::string key = std::to_string(size) + ".avro";
    const std::string body = Noise(size);
    Put(key, body);
    for (int round = 0; round < 20; ++round) {
      ASSERT_OK_AND_ASSIGN(const auto reader, Open()->OpenReader(key));
      std::vector<ByteRange> ranges;
      for (uint64_t i = random() % 5; i > 0; --i)
        ranges.push_back({.offset_bytes = static_cast<int64_t>(random() % (size + 10)), .size_bytes = static_cast<int64_t>(random() % (size + 10))});
      const std::vector<Result<Bytes>> read = reader->ReadRanges(ranges);
      for (size_t i = 0; i < ranges.size(); ++i) {
        const size_t offset = std::min(size, static_cast<size_t>(ranges[i].offset_bytes));
        ASSERT_TRUE(read[i].ok() && *read[i] == body.substr(offset, static_cast<size_t>(ranges[i].size_bytes)))
            << size << ": " << ranges[i].size_bytes << " at " << ranges[i].offset_bytes;
      }
      std::string bytes(size + 1, '\0');
      ASSERT_OK_AND_ASSIGN(const int64_t count, reader->ReadAt(static_cast<int64_t>(size / 2), static_cast<int64_t>(size), bytes.data()));
      EXPECT_TRUE(bytes.substr(0, static_cast<size_t>(count)) == body.substr(size / 2));
    }
  }
  ASSERT_OK_AND_ASSIGN(const auto reader, Open()->OpenReader("1000.avro"));
  EXPECT_THAT(reader->ReadRanges(std::vector<ByteRange>{{.offset_bytes = -1, .size_bytes = 1}}).front(), HasKind(ErrorKind::kInvalidArgument));
}

TEST_F(CachingStoreTest, PartsOfTwoObjectsAreNeverMixed) {
  Put("big.avro", Noise(1'000'000));
  ASSERT_OK_AND_ASSIGN(const auto first, Open()->OpenReader("big.avro"));
  ASSERT_THAT(first->ReadRanges(std::vector<ByteRange>{{.size_bytes = 10}}).front(), IsOk());
  Put("big.avro", std::string(1'000'000, 'r'));
  ASSERT_OK_AND_ASSIGN(const auto second, Open()->OpenReader("big.avro"));
  EXPECT_THAT(second->ReadRanges(std::vector<ByteRange>{{.size_bytes = 10}}).front(), IsOk()) << "kept";
  const auto mixed = second->ReadRanges(std::vector<ByteRange>{{.offset_bytes = 600'000, .size_bytes = 10}}).front();
  EXPECT_THAT(mixed, HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(mixed, HasMessage("big.avro was replaced"));
}

TEST_F(CachingStoreTest, WhatTurnsOutDamagedIsReadAnew) {
  Put("a.avro", "damaged");
  Put("big.avro", std::string(1'000'000, 'd'));
  const std::vector<ByteRange> range = {{.offset_bytes = 5, .size_bytes = 3}};
  EXPECT_EQ(*Open()->Get("a.avro"), "damaged");
  ASSERT_OK_AND_ASSIGN(const auto before, Open()->OpenReader("big.avro"));
  EXPECT_EQ(*before->ReadRanges(range).front(), "ddd");
  Put("a.avro", "restored");
  Put("big.avro", std::string(1'000'000, 'r'));
  Open()->Forget("a.avro");
  Open()->Forget("big.avro");
  Open()->Forget("never.avro");
  EXPECT_EQ(*Open()->Get("a.avro"), "restored");
  ASSERT_OK_AND_ASSIGN(const auto after, Open()->OpenReader("big.avro"));
  EXPECT_EQ(*after->ReadRanges(range).front(), "rrr");
}

StoreUnderTest MakeCachingStore() {
  auto around = std::make_shared<Surroundings>();
  std::shared_ptr<ObjectStore> memory = OpenMemoryStore("cached", SystemClock());
  return {.surroundings = around,
          .store = CachingStore(std::move(memory), around->cache, "conformance", [](std::string_view) { return false; })};
}

}  // namespace
}  // namespace datashard::cache

namespace datashard {
DS_STORE_CONFORMANCE(Caching, (StoreMaker{.name = "caching", .make = cache::MakeCachingStore}));
}
