// Data files read from a bucket: which requests are made, and what becomes of objects that are not what they were.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache/caching_store.h"
#include "data/data_file.h"
#include "s3/fake_bucket_test_support.h"
#include "storage/temporary_directory.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"

namespace datashard {
namespace {

const std::string kFile = "data/f.parquet";
const std::string kPath = "/b/t/" + kFile;

class BucketReads : public s3::FakeBucketTest {
 protected:
  /// Rows that do not compress: some seven bytes for each column.
  static std::vector<int64_t> Ids(int count) {
    std::vector<int64_t> ids;
    for (uint64_t i = 1; i <= static_cast<uint64_t>(count); ++i) ids.push_back(static_cast<int64_t>(i * 0x9E3779B97F4A7C15U >> 1));
    return ids;
  }
  /// Reads `count` rows in row groups of 100,000 written to kFile.
  data::ReadPlan Written(int count, std::vector<int32_t> column_ids = {1, 2}) {
    const auto group = store().NewWriteGroup();
    auto file = data::WriteDataFile(data::ConformRows(RowsWithIds(Ids(count)), IdAndText()).value(), IdAndText(), *group, kFile,
                                    "s3://b/t/" + kFile, {.row_group_rows = 100'000});
    EXPECT_THAT(file, IsOk());
    EXPECT_THAT(group->Sync(), IsOk());
    written_requests_ = server_.requests().size();
    return {.schema = IdAndText(), .column_ids = std::move(column_ids), .files = {{.key = kFile, .file = **file}}, .requests = 8};
  }
  Result<std::vector<int64_t>> Read(const data::ReadPlan& plan) {
    DS_ASSIGN_OR_RETURN(ArrowStream rows, data::ReadDataFiles(shared_store(), plan));
    return IdsOf(std::move(rows));
  }
  std::shared_ptr<ObjectStore> shared_store() {
    store();
    return read_through_ != nullptr ? read_through_ : std::shared_ptr<ObjectStore>(std::shared_ptr<void>(), store_.get());
  }
  /// The Range headers of requests since the file was written; "all" for a request without one.
  std::vector<std::string> Ranges() const {
    std::vector<std::string> ranges;
    const std::vector<SeenRequest> requests = server_.requests();
    for (size_t i = written_requests_; i < requests.size(); ++i) {
      EXPECT_EQ(requests[i].method, "GET");
      ranges.push_back(requests[i].Header("range").empty() ? "all" : requests[i].Header("range"));
    }
    return ranges;
  }

  size_t written_requests_ = 0;
  std::shared_ptr<ObjectStore> read_through_;
};

TEST_F(BucketReads, ASmallFileIsOneGetOfAllOfIt) {
  const data::ReadPlan plan = Written(1000);
  EXPECT_EQ(*Read(plan), Ids(1000));
  EXPECT_THAT(Ranges(), testing::ElementsAre("all"));
}

TEST_F(BucketReads, ALargeFileIsItsEndAndThenItsColumnsAtOnce) {
  const data::ReadPlan plan = Written(400'000, {1});
  ASSERT_GT(plan.files[0].file.file_size_in_bytes, 5 << 20);
  EXPECT_EQ(*Read(plan), Ids(400'000));
  const std::vector<std::string> ranges = Ranges();
  ASSERT_EQ(ranges.size(), 5u) << "its end, and a range for each of four row groups";
  EXPECT_EQ(ranges.front(), "bytes=-65536");
  size_t conditional = 0;
  for (const SeenRequest& request : server_.requests()) conditional += !request.Header("if-match").empty();
  EXPECT_EQ(conditional, 4u) << "of the object whose end was read, and of no other";
}

TEST_F(BucketReads, AnObjectReplacedUnderAReaderIsNamed) {
  const data::ReadPlan plan = Written(400'000, {1});
  bucket_.before = [&](const SeenRequest& request) {
    if (request.Header("range").starts_with("bytes=4-")) bucket_.Put(kPath, bucket_.objects()[kPath].body);
  };
  const auto failed = Read(plan);
  EXPECT_THAT(failed, HasMessage("data file data/f.parquet"));
  EXPECT_THAT(failed, HasMessage("was replaced"));
}

TEST_F(BucketReads, AnObjectDeletedUnderAReaderIsNamed) {
  const data::ReadPlan plan = Written(400'000, {1});
  bucket_.before = [&](const SeenRequest& request) {
    if (request.Header("range").starts_with("bytes=4-")) bucket_.Delete(kPath);
  };
  const auto failed = Read(plan);
  EXPECT_THAT(failed, HasMessage("data file data/f.parquet"));
  EXPECT_THAT(failed, HasMessage("does not exist"));
}

TEST_F(BucketReads, ATruncatedObjectIsNamedWithBothSizes) {
  for (const int rows : {1000, 400'000}) {
    const data::ReadPlan plan = Written(rows);
    const std::string body = bucket_.objects()[kPath].body;
    bucket_.Put(kPath, body.substr(0, body.size() - 1));
    const auto failed = Read(plan);
    EXPECT_THAT(failed, HasMessage("data file data/f.parquet"));
    EXPECT_THAT(failed, HasMessage(std::to_string(body.size() - 1) + " bytes, where the manifest says " + std::to_string(body.size())));
    bucket_.Delete(kPath);
  }
}

TEST_F(BucketReads, ABodyThatBreaksOffIsAskedForAgain) {
  const auto cut = [](ScriptedAnswer answer) {
    answer.cut_body_at = static_cast<std::ptrdiff_t>(answer.body.size() / 2);
    return answer;
  };
  const data::ReadPlan large = Written(400'000, {1});
  bucket_.Fail({.method = "GET", .target_part = kFile, .apply = true, .answer = cut});                   // its end
  bucket_.Fail({.method = "GET", .target_part = kFile, .occurrence = 2, .apply = true, .answer = cut});  // a range
  EXPECT_EQ(*Read(large), Ids(400'000));
  EXPECT_TRUE(bucket_.AllFired());
  bucket_.Delete(kPath);
  const data::ReadPlan small = Written(1000);
  bucket_.Fail({.method = "GET", .target_part = kFile, .apply = true, .answer = cut});
  EXPECT_EQ(*Read(small), Ids(1000));
  EXPECT_TRUE(bucket_.AllFired());
}

TEST_F(BucketReads, WhatIsKeptOnDiskCostsNoRequestAndADamagedFileIsReadAnew) {
  TemporaryDirectory directory;
  std::shared_ptr<cache::DiskCache> kept = cache::DiskCache::Open({.directory = directory.path()}, outside_).value();
  const data::ReadPlan plan = Written(400'000);
  read_through_ = cache::CachingStore(std::shared_ptr<ObjectStore>(std::shared_ptr<void>(), store_.get()), kept, "b",
                                      [](std::string_view key) { return key.ends_with(".parquet"); });
  EXPECT_EQ(*Read(plan), Ids(400'000));
  const size_t first = Ranges().size();
  EXPECT_EQ(*Read(plan), Ids(400'000));
  EXPECT_EQ(Ranges().size(), first) << "nothing is asked for again";

  // A page that was spoilt, and restored by its owner.
  const std::string body = bucket_.objects()[kPath].body;
  std::string spoilt = body;
  spoilt[1000] ^= 1;
  bucket_.Put(kPath, spoilt);
  read_through_->Forget(kFile);
  EXPECT_THAT(Read(plan), HasMessage("data file data/f.parquet: row group 0"));
  bucket_.Put(kPath, body);
  EXPECT_EQ(*Read(plan), Ids(400'000)) << "the spoilt bytes are not kept";
}

}  // namespace
}  // namespace datashard
