// Files of a few rows, put together by hand: they hold the rows, and say of them what Parquet's own writer says.
#include "data/small_file_writer.h"

#include <gtest/gtest.h>

#include <arrow/io/memory.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/size_statistics.h>
#include <parquet/statistics.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "data/data_test_support.h"
#include "data/random_rows.h"
#include "sim/seed.h"

namespace datashard::data {
namespace {

constexpr std::string_view kByHand = "datashard version 1.0.0";

std::shared_ptr<parquet::FileMetaData> FooterOf(ObjectStore& store, const std::string& key) {
  const auto bytes = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(*store.Get(key)));
  return parquet::ParquetFileReader::Open(bytes)->metadata();
}

// Of a column of nothing but infinities of one sign Parquet's writer says the greatest finite number, where it starts
// looking; ours says what there is. The random rows hold no such numbers.
template <typename T>
std::string Infinite(std::string bound) {
  T value{};
  if (bound.size() != sizeof value) return bound;
  std::memcpy(&value, bound.data(), sizeof value);
  if (std::abs(value) != std::numeric_limits<T>::max()) return bound;
  value = std::copysign(std::numeric_limits<T>::infinity(), value);
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}
std::string Exact(std::string bound, const Type& type) {
  if (type.kind() == TypeKind::kFloat) return Infinite<float>(std::move(bound));
  if (type.kind() == TypeKind::kDouble) return Infinite<double>(std::move(bound));
  return bound;
}

// What both writers say of the rows; sizes and places differ.
DataFile OfTheRows(DataFile file, const Schema& schema) {
  for (auto* bounds : {&file.lower_bounds, &file.upper_bounds})
    for (auto& [id, bound] : *bounds) bound = Exact(bound, schema.FindById(id)->type);
  file.file_path.clear();
  file.column_sizes.clear();
  file.split_offsets.clear();
  file.file_size_in_bytes = 0;
  return file;
}

void ExpectSameStatistics(const parquet::FileMetaData& by_hand, const parquet::FileMetaData& by_parquet, const Schema& schema) {
  ASSERT_TRUE(by_hand.schema()->Equals(*by_parquet.schema())) << by_hand.schema()->ToString() << by_parquet.schema()->ToString();
  for (int i = 0; i < by_hand.num_columns(); ++i) {
    EXPECT_EQ(by_hand.schema()->Column(i)->schema_node()->field_id(), by_parquet.schema()->Column(i)->schema_node()->field_id());
    EXPECT_EQ(by_hand.schema()->Column(i)->sort_order(), by_parquet.schema()->Column(i)->sort_order());
    const auto a = by_hand.RowGroup(0)->ColumnChunk(i)->encoded_statistics();
    const auto b = by_parquet.RowGroup(0)->ColumnChunk(i)->encoded_statistics();
    ASSERT_TRUE(a != nullptr && b != nullptr);
    EXPECT_EQ(a->has_min, b->has_min);
    EXPECT_EQ(a->has_max, b->has_max);
    const Type& type = schema.fields[static_cast<size_t>(i)].type;
    EXPECT_EQ(a->min(), Exact(b->min(), type));
    EXPECT_EQ(a->max(), Exact(b->max(), type));
    EXPECT_EQ(a->null_count, b->null_count);
    EXPECT_EQ(a->is_min_value_exact, b->is_min_value_exact);
    EXPECT_EQ(by_hand.RowGroup(0)->ColumnChunk(i)->num_values(), by_parquet.RowGroup(0)->ColumnChunk(i)->num_values());
    const auto sizes_a = by_hand.RowGroup(0)->ColumnChunk(i)->size_statistics();
    const auto sizes_b = by_parquet.RowGroup(0)->ColumnChunk(i)->size_statistics();
    EXPECT_EQ(sizes_a == nullptr, sizes_b == nullptr || !sizes_b->is_set());
    if (sizes_a == nullptr || sizes_b == nullptr) continue;
    EXPECT_EQ(sizes_a->definition_level_histogram, sizes_b->definition_level_histogram);
    EXPECT_EQ(sizes_a->unencoded_byte_array_data_bytes, sizes_b->unencoded_byte_array_data_bytes);
  }
}

TEST(SmallFiles, HoldTheRowsAndAreDescribedAsByParquetsWriter) {
  for (const uint64_t seed : sim::SeedsFromEnvOrRandom(150)) {
    SCOPED_TRACE(seed);
    RandomRows random(seed);
    const Schema schema = random.NextSchema();
    std::vector<BatchPtr> batches = {random.NextBatch(schema, 1 + random.Below(random.Below(4) == 0 ? 400 : 12))};
    for (int64_t more = random.Below(3); more > 0; --more) batches.push_back(random.NextBatch(schema, random.Below(20)));
    const auto store = TestStore();
    ASSERT_OK_AND_ASSIGN(const DataFile by_hand, WriteFile(*store, "hand", schema, batches));
    ASSERT_OK_AND_ASSIGN(const DataFile by_parquet, WriteFile(*store, "parquet", schema, batches, {.small_file_rows = 0}));
    ASSERT_EQ(FooterOf(*store, "hand")->created_by(), kByHand);
    ASSERT_NE(FooterOf(*store, "parquet")->created_by(), kByHand);
    EXPECT_EQ(OfTheRows(by_hand, schema), OfTheRows(by_parquet, schema));
    EXPECT_EQ(by_hand.split_offsets, std::vector<int64_t>{4});
    EXPECT_EQ(by_hand.file_size_in_bytes, store->Head("hand")->size_bytes);
    ExpectSameStatistics(*FooterOf(*store, "hand"), *FooterOf(*store, "parquet"), schema);
    int64_t pages = 4;
    for (const auto& [id, size] : by_hand.column_sizes) pages += size;
    EXPECT_LT(pages, by_hand.file_size_in_bytes);
    EXPECT_LE(by_hand.file_size_in_bytes, by_parquet.file_size_in_bytes);
    ASSERT_OK_AND_ASSIGN(const TablePtr rows, Scan(store, PlanOf(schema, {{"hand", by_hand}})));
    EXPECT_TRUE(SameRows(*rows, *arrow::Table::FromRecordBatches(batches).ValueOrDie())) << rows->ToString();
  }
}

TEST(SmallFiles, AreForFewRowsOfOnePage) {
  const Schema schema = SchemaOf({{"x", "long"}, {"s", "string"}});
  const auto store = TestStore();
  const auto written_by_hand = [&](int64_t rows, size_t text_bytes, WriteSettings settings) {
    const auto batch = Batch({{"x", arrow::MakeArrayFromScalar(arrow::Int64Scalar(7), rows).ValueOrDie()},
                              {"s", arrow::MakeArrayFromScalar(arrow::StringScalar(std::string(text_bytes, 'x')), rows).ValueOrDie()}});
    const std::string key = fmt::format("{}-{}-{}-{}", rows, text_bytes, settings.row_group_rows, settings.page_bytes);
    const DataFile file = *WriteFile(*store, key, schema, {batch}, settings);
    EXPECT_EQ((*Scan(store, PlanOf(schema, {{key, file}})))->num_rows(), rows);
    return FooterOf(*store, key)->created_by() == kByHand;
  };
  EXPECT_TRUE(written_by_hand(999, 1, {}));
  EXPECT_FALSE(written_by_hand(1000, 1, {}));
  EXPECT_TRUE(written_by_hand(10, 100'000, {}));
  EXPECT_FALSE(written_by_hand(10, 110'000, {}));
  EXPECT_FALSE(written_by_hand(10, 1, {.row_group_rows = 9}));
  EXPECT_FALSE(written_by_hand(10, 1, {.page_bytes = 79}));
}

TEST(SmallFiles, LongTextKeepsItsStatisticsUpToTheLimitOfParquetsWriter) {
  const Schema schema = SchemaOf({{"s", "string"}, {"b", "binary"}, {"f", "fixed[4097]"}});
  for (const int64_t size : {4095, 4096, 4097}) {
    const std::string text(static_cast<size_t>(size), 'y');
    const auto batch = Batch({{"s", Values(arrow::utf8(), "[\"a\", \"" + text + "\"]")}, {"b", Values(arrow::binary(), "[\"" + text + "\", \"zz\"]")},
                              {"f", Values(arrow::fixed_size_binary(4097), "[null, \"" + std::string(4097, 'y') + "\"]")}});
    const auto store = TestStore();
    ASSERT_OK_AND_ASSIGN(const DataFile by_hand, WriteFile(*store, "hand", schema, {batch}));
    ASSERT_OK_AND_ASSIGN(const DataFile by_parquet, WriteFile(*store, "parquet", schema, {batch}, {.small_file_rows = 0}));
    EXPECT_EQ(OfTheRows(by_hand, schema), OfTheRows(by_parquet, schema));
    EXPECT_EQ(by_hand.lower_bounds.contains(1), size <= 4096);
    EXPECT_FALSE(by_hand.lower_bounds.contains(3));
    ExpectSameStatistics(*FooterOf(*store, "hand"), *FooterOf(*store, "parquet"), schema);
  }
}

TEST(SmallFiles, ManyColumnsAndWhatCompressesWell) {
  std::vector<std::pair<std::string, std::string>> names;
  std::vector<std::pair<std::string, std::shared_ptr<arrow::Array>>> columns;
  for (int i = 0; i < 200; ++i) {  // lists of over 14 items have a longer head
    names.emplace_back(fmt::format("c{}", i), "string");
    columns.emplace_back(names.back().first, arrow::MakeArrayFromScalar(arrow::StringScalar("again and again"), 50).ValueOrDie());
  }
  const Schema schema = SchemaOf(names);
  const auto store = TestStore();
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "f", schema, {Batch(columns)}));
  EXPECT_EQ(FooterOf(*store, "f")->RowGroup(0)->ColumnChunk(199)->compression(), parquet::Compression::ZSTD);
  EXPECT_LT(file.column_sizes.at(200), 100);
  ASSERT_OK_AND_ASSIGN(const TablePtr rows, Scan(store, PlanOf(schema, {{"f", file}})));
  EXPECT_TRUE(SameRows(*rows, *arrow::Table::FromRecordBatches({Batch(columns)}).ValueOrDie()));
}

TEST(SmallFiles, ANullInARequiredColumnLeavesNoObject) {
  const Schema schema = SchemaOf({{"x!", "long"}});
  const auto store = TestStore();
  const auto group = store->NewWriteGroup();
  const auto written = WriteDataFile(StreamOf({Batch({{"x", Values(arrow::int64(), "[null]")}})}), schema, *group, "f", "memory://f");
  EXPECT_THAT(written, testing::AllOf(HasKind(ErrorKind::kInvalidArgument), HasSubject(ErrorSubject::kValue), HasMessage("'x'")));
  EXPECT_THAT(store->Head("f"), HasKind(ErrorKind::kNotFound));
}

// As corrupt_file_test.cc has it for files of Parquet's writer; this one is small enough for every bit.
TEST(SmallFiles, AFlippedBitFailsTheReadOrChangesNothing) {
  const Schema schema = SchemaOf({{"id!", "long"}, {"word", "string"}, {"x", "double"}, {"d", "decimal(9, 2)"}, {"long", "string"}});
  const auto batch = Batch({{"id", Values(arrow::int64(), "[1, 2, 3]")}, {"word", Values(arrow::utf8(), R"(["b", null, "a"])")},
                            {"x", Values(arrow::float64(), "[0.5, NaN, null]")},
                            {"d", Values(arrow::decimal128(9, 2), R"(["-1.50", "12.00", null])")},
                            {"long", arrow::MakeArrayFromScalar(arrow::StringScalar(std::string(200, 'x')), 3).ValueOrDie()}});
  const auto store = TestStore();
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "f", schema, {batch}));
  const Bytes bytes = *store->Get("f");
  ASSERT_OK_AND_ASSIGN(const TablePtr rows, Scan(store, PlanOf(schema, {{"f", file}})));
  EXPECT_EQ(rows->num_rows(), 3);
  size_t failed = 0;
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    Bytes damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    ASSERT_THAT(store->Replace("f", damaged), IsOk());
    const auto read = Scan(store, PlanOf(schema, {{"f", file}}));
    if (read.ok()) {
      EXPECT_TRUE(SameRows(**read, *rows)) << bit / 8 << ": " << bit % 8;
    } else {
      EXPECT_THAT(read, HasKind(ErrorKind::kCorruption)) << bit / 8;
      ++failed;
    }
  }
  EXPECT_GT(failed, 3 * bytes.size());  // the rest: statistics, offsets of no use, names that are not looked at
}

}  // namespace
}  // namespace datashard::data
