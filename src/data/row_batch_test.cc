// Rows through shared memory: all of them come back, nothing is lost where they do not fit, and no bytes do harm.
#include "data/row_batch.h"

#include <gtest/gtest.h>

#include "data/data_test_support.h"
#include "data/random_rows.h"
#include "sim/seed.h"

namespace datashard::data {
namespace {

constexpr int64_t kAnySize = 1 << 30;

Result<EncodedRows> Encode(const Schema& schema, std::vector<BatchPtr> batches, int64_t size_bytes_max = kAnySize) {
  DS_ASSIGN_OR_RETURN(auto rows, ConformRows(StreamOf(std::move(batches)), schema));
  return EncodeRows(std::move(rows), schema, size_bytes_max);
}

Result<TablePtr> Decode(const Schema& schema, const std::vector<Bytes>& encoded) {
  const std::vector<ByteView> views(encoded.begin(), encoded.end());
  DS_ASSIGN_OR_RETURN(auto rows, DecodeRows(views, schema));
  return ReadAll(std::move(rows));
}

TEST(RowBatch, WhatIsEncodedComesBackInOrderWhateverTheTypes) {
  for (const uint64_t seed : sim::SeedsFromEnvOrRandom(40)) {
    SCOPED_TRACE(seed);
    RandomRows random(seed);
    const Schema schema = random.NextSchema();
    std::vector<BatchPtr> all;
    std::vector<Bytes> encoded;
    for (int64_t payload = random.Below(4); payload >= 0; --payload) {
      std::vector<BatchPtr> batches;
      int64_t rows = 0;
      for (int64_t batch = random.Below(3); batch >= 0; --batch) {
        batches.push_back(random.NextBatch(schema, random.Below(3) == 0 ? random.Below(30) : random.Below(3)));
        rows += batches.back()->num_rows();
      }
      all.insert(all.end(), batches.begin(), batches.end());
      ASSERT_OK_AND_ASSIGN(EncodedRows one, Encode(schema, batches));
      EXPECT_EQ(one.row_count, rows);
      EXPECT_EQ(one.bytes.empty(), rows == 0);
      EXPECT_FALSE(one.too_large.has_value());
      if (rows > 0) encoded.push_back(std::move(one.bytes));
    }
    ASSERT_OK_AND_ASSIGN(const TablePtr decoded, Decode(schema, encoded));
    EXPECT_TRUE(SameRows(*decoded, *arrow::Table::FromRecordBatches(all).ValueOrDie())) << decoded->ToString();
    EXPECT_TRUE(decoded->num_rows() == 0 || decoded->column(0)->num_chunks() == 1);
  }
}

TEST(RowBatch, RowsThatDoNotFitComeBackWhole) {
  const Schema schema = SchemaOf({{"x", "long"}, {"s", "string"}});
  const auto rows = [](const std::string& x, const std::string& s) {
    return Batch({{"x", Values(arrow::int64(), x)}, {"s", Values(arrow::utf8(), s)}});
  };
  const std::vector<BatchPtr> batches = {rows("[1]", R"(["a"])"), rows("[2, null]", R"(["b", "c"])"), rows("[4]", R"([null])")};
  ASSERT_OK_AND_ASSIGN(const EncodedRows fits, Encode(schema, batches));
  const auto size = static_cast<int64_t>(fits.bytes.size());
  for (int64_t limit = 0; limit <= size; ++limit) {
    ASSERT_OK_AND_ASSIGN(EncodedRows encoded, Encode(schema, batches, limit));
    ASSERT_EQ(encoded.too_large.has_value(), limit < size) << limit;
    if (!encoded.too_large.has_value()) continue;
    EXPECT_TRUE(encoded.bytes.empty());
    ASSERT_OK_AND_ASSIGN(const TablePtr all, ReadAll(*std::move(encoded.too_large)));
    EXPECT_TRUE(SameRows(*all, *arrow::Table::FromRecordBatches(batches).ValueOrDie())) << limit;
  }
}

TEST(RowBatch, NoMoreIsPulledThanShowsThatTheRowsDoNotFit) {
  const Schema schema = SchemaOf({{"x!", "long"}});
  const auto good = Batch({{"x", Values(arrow::int64(), "[1, 2, 3]")}});
  const auto bad = Batch({{"x", Values(arrow::int64(), "[4, null]")}});
  ASSERT_OK_AND_ASSIGN(EncodedRows encoded, Encode(schema, {good, bad}, 20));  // `bad` was not looked at yet
  ASSERT_TRUE(encoded.too_large.has_value());
  EXPECT_THAT(ReadAll(*std::move(encoded.too_large)), HasMessage("row 4"));
  const auto refused = Encode(schema, {good, bad});
  EXPECT_THAT(refused, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(refused, HasMessage("column 'x': row 4"));
}

TEST(RowBatch, DamagedBytesAreAnErrorOrOtherRowsButNeverHarm) {
  for (const uint64_t seed : sim::SeedsFromEnvOrRandom(10)) {
    SCOPED_TRACE(seed);
    RandomRows random(seed);
    const Schema schema = random.NextSchema();
    ASSERT_OK_AND_ASSIGN(const EncodedRows encoded, Encode(schema, {random.NextBatch(schema, 5)}));
    for (size_t size = 0; size < encoded.bytes.size(); ++size)
      ASSERT_THAT(Decode(schema, {encoded.bytes, encoded.bytes.substr(0, size)}),
                  testing::AllOf(HasKind(ErrorKind::kCorruption), HasMessage("payload 1")));
    EXPECT_THAT(Decode(schema, {encoded.bytes + '\0'}), HasMessage("1 bytes too many"));
    for (int i = 0; i < 2000; ++i) {
      Bytes damaged = encoded.bytes;
      for (int64_t flips = 1 + random.Below(3); flips > 0; --flips)
        damaged[static_cast<size_t>(random.Below(static_cast<int64_t>(damaged.size())))] ^= static_cast<char>(1 << random.Below(8));
      const auto decoded = Decode(schema, {damaged});
      if (decoded.ok()) continue;
      ASSERT_THAT(decoded, HasKind(ErrorKind::kCorruption));
    }
  }
}

TEST(RowBatch, BytesOfAnotherSchemaAndValuesBeyondTheirTypeAreCorruption) {
  const auto one = [](const std::string& type, const std::shared_ptr<arrow::Array>& column) {
    return Encode(SchemaOf({{"x", type}}), {Batch({{"x", column}})})->bytes;
  };
  const Bytes number = one("long", Values(arrow::int64(), "[86400000000]"));
  EXPECT_THAT(Decode(SchemaOf({{"x", "double"}}), {number}), HasMessage("column 'x' of 1 rows is cut off or of another type"));
  EXPECT_THAT(Decode(SchemaOf({{"x", "long"}, {"y", "long"}}), {number}), HasMessage("1 columns, the schema has 2"));
  EXPECT_THAT(Decode(SchemaOf({{"x", "long"}}), {"garbage, and more of it"}), HasKind(ErrorKind::kCorruption));
  const Bytes null = one("long", Values(arrow::int64(), "[null]"));
  EXPECT_THAT(Decode(SchemaOf({{"x!", "long"}}), {null}), testing::AllOf(HasKind(ErrorKind::kCorruption), HasMessage("required")));
  Bytes text = one("string", Values(arrow::utf8(), R"(["abc"])"));
  text.back() = '\xff';
  EXPECT_THAT(Decode(SchemaOf({{"x", "string"}}), {text}), testing::AllOf(HasKind(ErrorKind::kCorruption), HasMessage("UTF8")));
  Bytes time = one("time", Values(arrow::time64(arrow::TimeUnit::MICRO), "[1]"));
  time.back() = 1;  // the highest byte of the microseconds
  EXPECT_THAT(Decode(SchemaOf({{"x", "time"}}), {time}), HasKind(ErrorKind::kCorruption));
  Bytes decimal = one("decimal(4, 2)", Values(arrow::decimal128(4, 2), R"(["12.00"])"));
  decimal.back() = 1;
  EXPECT_THAT(Decode(SchemaOf({{"x", "decimal(4, 2)"}}), {decimal}), HasKind(ErrorKind::kCorruption));
}

}  // namespace
}  // namespace datashard::data
