// Which requests a scan makes to a remote store, how many at once, and what becomes of their failures.
#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>

#include "base/random.h"
#include "data/data_test_support.h"
#include "sim/forwarding_store.h"

namespace datashard::data {
namespace {

using testing::IsEmpty;

/// Looks like a bucket, tells what it was asked for, and can hold answers back until many were asked for.
class RemoteStore final : public sim::ForwardingStore {
 public:
  struct Asked {
    int opened = 0;
    int whole = 0;
    std::vector<std::vector<ByteRange>> rounds;  // of ranges that were asked for at once
    int single_reads = 0;
    int at_once_max = 0;
  };

  explicit RemoteStore(std::shared_ptr<ObjectStore> base) : ForwardingStore(std::move(base)) {}
  bool is_remote() const override { return true; }

  /// Whoever asks from now on waits until `count` are waiting, or all hope is lost.
  void HoldUntil(int count) { hold_ = count; }
  void FailRanges(Error error) { range_error_ = std::move(error); }
  Asked asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  Result<Bytes> Get(std::string_view key) override {
    const Request request(*this);
    Note([](Asked& asked) { ++asked.whole; });
    return base_->Get(key);
  }
  Result<std::unique_ptr<ObjectReader>> OpenReader(std::string_view key) override {
    const Request request(*this);
    Note([](Asked& asked) { ++asked.opened; });
    DS_ASSIGN_OR_RETURN(std::unique_ptr<ObjectReader> reader, base_->OpenReader(key));
    return std::unique_ptr<ObjectReader>(std::make_unique<Reader>(*this, std::move(reader)));
  }

 private:
  struct Request {
    explicit Request(RemoteStore& store) : store(store) { store.Begin(); }
    ~Request() { store.End(); }
    RemoteStore& store;
  };
  class Reader final : public ObjectReader {
   public:
    Reader(RemoteStore& store, std::unique_ptr<ObjectReader> base) : store_(store), base_(std::move(base)) {}
    int64_t size_bytes() const override { return base_->size_bytes(); }
    int64_t at_hand_offset() const override { return std::max<int64_t>(0, size_bytes() - (64 << 10)); }
    Result<bool> StillNamed() override { return base_->StillNamed(); }
    Result<int64_t> ReadAt(int64_t offset, int64_t size, void* out) override {
      if (offset < at_hand_offset()) store_.Note([](Asked& asked) { ++asked.single_reads; });
      return base_->ReadAt(offset, size, out);
    }
    std::vector<Result<Bytes>> ReadRanges(std::span<const ByteRange> ranges) override {
      const Request request(store_);
      store_.Note([&](Asked& asked) { asked.rounds.emplace_back(ranges.begin(), ranges.end()); });
      if (store_.range_error_) return {ranges.size(), Result<Bytes>(*store_.range_error_)};
      return base_->ReadRanges(ranges);
    }

   private:
    RemoteStore& store_;
    std::unique_ptr<ObjectReader> base_;
  };

  void Begin() {
    std::unique_lock lock(mutex_);
    asked_.at_once_max = std::max(asked_.at_once_max, ++under_way_);
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return asked_.at_once_max >= hold_; });
  }
  void End() {
    const std::lock_guard lock(mutex_);
    --under_way_;
  }
  void Note(const std::function<void(Asked&)>& note) {
    const std::lock_guard lock(mutex_);
    note(asked_);
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int under_way_ = 0;
  int hold_ = 0;
  Asked asked_;
  std::optional<Error> range_error_;
};

/// Random numbers: nothing compresses, so a row has eight bytes per column.
BatchPtr Noise(int64_t rows, const Schema& schema, uint64_t seed) {
  const std::unique_ptr<Random> random = SeededRandom(seed);
  std::vector<std::pair<std::string, std::shared_ptr<arrow::Array>>> columns;
  for (const Field& field : schema.fields) {
    arrow::Int64Builder builder;
    for (int64_t row = 0; row < rows; ++row)
      EXPECT_TRUE(builder.Append(RandomId63(*random)).ok());
    columns.emplace_back(field.name, builder.Finish().ValueOrDie());
  }
  return Batch(std::move(columns));
}

class RemoteReads : public testing::Test {
 protected:
  Schema Longs(int columns) {
    std::vector<std::pair<std::string, std::string>> named;
    for (int i = 0; i < columns; ++i) named.emplace_back("c" + std::to_string(i), "long");
    return SchemaOf(named);
  }
  ReadPlan Remotely(ReadPlan plan, int32_t threads = 1) {
    plan.requests = 32;
    plan.threads = threads;
    return plan;
  }

  std::shared_ptr<ObjectStore> memory_ = TestStore();
  std::shared_ptr<RemoteStore> remote_ = std::make_shared<RemoteStore>(memory_);
};

TEST_F(RemoteReads, ASmallFileIsOneRequest) {
  const Schema schema = Longs(3);
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*memory_, "f", schema, {Noise(1000, schema, 1)}));
  const ReadPlan plan = PlanOf(schema, {{"f", file}});
  ASSERT_OK_AND_ASSIGN(const TablePtr here, Scan(memory_, plan));
  ASSERT_OK_AND_ASSIGN(const TablePtr there, Scan(remote_, Remotely(plan)));
  EXPECT_TRUE(SameRows(*here, *there));
  const auto asked = remote_->asked();
  EXPECT_EQ(asked.whole, 1);
  EXPECT_EQ(asked.opened, 0);
  EXPECT_THAT(asked.rounds, IsEmpty());
}

TEST_F(RemoteReads, ALargeFileIsItsEndAndOneRoundForEachRowGroupOfWantedColumns) {
  const Schema schema = Longs(12);
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*memory_, "f", schema, {Noise(400'000, schema, 2)}, {.row_group_rows = 200'000}));
  ASSERT_GT(file.file_size_in_bytes, 30 << 20);
  ReadPlan plan = PlanOf(schema, {{"f", file}});
  plan.column_ids = {2, 3, 11};
  ASSERT_OK_AND_ASSIGN(const TablePtr here, Scan(memory_, plan));
  for (const int threads : {1, 3}) {
    const auto before = remote_->asked();
    ASSERT_OK_AND_ASSIGN(const TablePtr there, Scan(remote_, Remotely(plan, threads)));
    EXPECT_TRUE(SameRows(*here, *there));
    const auto asked = remote_->asked();
    EXPECT_EQ(asked.opened - before.opened, 1);
    EXPECT_EQ(asked.whole + asked.single_reads, 0);
    ASSERT_EQ(asked.rounds.size() - before.rounds.size(), 2u);
    int64_t bytes = 0;
    for (const auto& round : asked.rounds) {
      EXPECT_EQ(round.size(), 2u) << "columns 2 and 3 are neighbours, 11 is far away";
      for (const ByteRange& range : round) bytes += range.size_bytes;
    }
    EXPECT_LT(bytes / static_cast<int64_t>(asked.rounds.size()), 200'000 * 8 * 3 + 50'000) << "nothing but the three columns";
  }
}

TEST_F(RemoteReads, RowGroupsThatCannotMatchAreNotFetched) {
  const Schema schema = SchemaOf({{"n", "long"}, {"noise", "long"}});
  std::vector<BatchPtr> batches;
  for (int64_t part = 0; part < 8; ++part) {
    arrow::Int64Builder numbers;
    for (int64_t row = 0; row < 100'000; ++row) EXPECT_TRUE(numbers.Append(part * 100'000 + row).ok());
    const BatchPtr noise = Noise(100'000, SchemaOf({{"noise", "long"}}), static_cast<uint64_t>(part));
    batches.push_back(Batch({{"n", numbers.Finish().ValueOrDie()}, {"noise", noise->column(0)}}));
  }
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*memory_, "f", schema, batches, {.row_group_rows = 100'000}));
  ReadPlan plan = PlanOf(schema, {{"f", file}});
  plan.filter = {.all_of = {{.column = "n", .op = FilterOp::kGe, .values = {int64_t{650'000}}}}};
  ASSERT_OK_AND_ASSIGN(const TablePtr there, Scan(remote_, Remotely(plan)));
  EXPECT_EQ(there->num_rows(), 150'000);
  const auto asked = remote_->asked();
  EXPECT_EQ(asked.rounds.size(), 2u) << "two row groups of eight";
  EXPECT_EQ(asked.single_reads, 0);
}

TEST_F(RemoteReads, ManyFilesAreUnderWayAtOnceAndComeInOrder) {
  const Schema schema = Longs(1);
  std::vector<std::pair<std::string, DataFile>> files;
  for (int i = 0; i < 100; ++i) {
    const std::string key = "f" + std::to_string(i);
    ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*memory_, key, schema, {Noise(3, schema, static_cast<uint64_t>(i))}));
    files.emplace_back(key, file);
  }
  const ReadPlan plan = PlanOf(schema, files);
  ASSERT_OK_AND_ASSIGN(const TablePtr here, Scan(memory_, plan));
  for (const int threads : {1, 4}) {
    remote_->HoldUntil(32);
    ASSERT_OK_AND_ASSIGN(const TablePtr there, Scan(remote_, Remotely(plan, threads)));
    EXPECT_TRUE(SameRows(*here, *there));
  }
  EXPECT_GE(remote_->asked().at_once_max, 32);
  EXPECT_EQ(remote_->asked().whole, 200) << "each once";
}

TEST_F(RemoteReads, OneAfterAnotherWhereNoMoreRequestsAreAllowed) {
  const Schema schema = Longs(1);
  std::vector<std::pair<std::string, DataFile>> files;
  for (int i = 0; i < 5; ++i) {
    const std::string key = "f" + std::to_string(i);
    ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*memory_, key, schema, {Noise(3, schema, 1)}));
    files.emplace_back(key, file);
  }
  ASSERT_THAT(Scan(remote_, PlanOf(schema, files)), IsOk());
  EXPECT_EQ(remote_->asked().at_once_max, 1);
}

TEST_F(RemoteReads, AnErrorComesAfterTheRowsBeforeItAndNamesItsFile) {
  const Schema schema = Longs(1);
  std::vector<std::pair<std::string, DataFile>> files;
  for (int i = 0; i < 40; ++i) {
    const std::string key = "data/f" + std::to_string(i);
    ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*memory_, key, schema, {Noise(5, schema, 1)}));
    files.emplace_back(key, file);
  }
  ASSERT_THAT(memory_->Delete("data/f30"), IsOk());
  for (const int threads : {1, 4}) {
    ReadPlan plan = Remotely(PlanOf(schema, files), threads);
    ASSERT_OK_AND_ASSIGN(auto rows, ReadDataFiles(remote_, std::move(plan)));
    ASSERT_OK_AND_ASSIGN(const auto source, ImportRows(std::move(rows)));
    for (int i = 0; i < 30; ++i) ASSERT_THAT(source->Next(), IsOk());
    const auto failed = source->Next();
    EXPECT_THAT(failed, HasKind(ErrorKind::kNotFound));
    EXPECT_THAT(failed, HasMessage("data file data/f30"));
    EXPECT_THAT(failed, HasSubject(ErrorSubject::kDataFile));
  }
}

TEST_F(RemoteReads, AFailedFetchOfARowGroupNamesFileAndRowGroup) {
  const Schema schema = Longs(12);
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*memory_, "data/big", schema, {Noise(100'000, schema, 2)}));
  remote_->FailRanges(Corruption("it was replaced while it was read"));
  for (const int threads : {1, 4}) {
    const auto failed = Scan(remote_, Remotely(PlanOf(schema, {{"data/big", file}}), threads));
    EXPECT_THAT(failed, HasKind(ErrorKind::kCorruption));
    EXPECT_THAT(failed, HasMessage("data file data/big: row group 0: it was replaced"));
  }
}

TEST_F(RemoteReads, AStreamMayBeDroppedWithRequestsUnderWay) {
  const Schema schema = Longs(2);
  std::vector<std::pair<std::string, DataFile>> files;
  for (int i = 0; i < 60; ++i) {
    const std::string key = "f" + std::to_string(i);
    ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*memory_, key, schema, {Noise(50'000, schema, 1)}));
    files.emplace_back(key, file);
  }
  for (const int batches : {0, 1, 7}) {
    ASSERT_OK_AND_ASSIGN(auto rows, ReadDataFiles(remote_, Remotely(PlanOf(schema, files), 3)));
    ASSERT_OK_AND_ASSIGN(const auto source, ImportRows(std::move(rows)));
    for (int i = 0; i < batches; ++i) ASSERT_THAT(source->Next(), IsOk());
  }
}

TEST_F(RemoteReads, NoColumnsCostNoBytesButFooters) {
  const Schema schema = Longs(12);
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*memory_, "f", schema, {Noise(100'000, schema, 2)}));
  ReadPlan plan = Remotely(PlanOf(schema, {{"f", file}}));
  plan.column_ids.clear();
  ASSERT_THAT(Scan(remote_, plan), IsOk());
  EXPECT_THAT(remote_->asked().rounds, IsEmpty());
  EXPECT_EQ(remote_->asked().opened, 1);
}

}  // namespace
}  // namespace datashard::data
