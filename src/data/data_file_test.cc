// Writing and reading back: values, statistics, projection, evolution, and files that are not what the manifest says.
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <arrow/io/memory.h>

#include "data/data_test_support.h"

namespace datashard::data {
namespace {

using testing::ElementsAre;

// One column of every type, three rows: two values and a null.
const std::vector<std::pair<std::string, std::string>> kAllTypes = {
    {"bool", "boolean"},     {"int", "int"},
    {"long", "long"},        {"float", "float"},
    {"double", "double"},    {"dec9", "decimal(9, 2)"},
    {"dec18", "decimal(18, 4)"}, {"dec38", "decimal(38, 10)"},
    {"date", "date"},        {"time", "time"},
    {"ts", "timestamp"},     {"tstz", "timestamptz"},
    {"string", "string"},    {"uuid", "uuid"},
    {"fixed", "fixed[3]"},   {"binary", "binary"}};

BatchPtr AllTypesBatch() {
  const auto micros = arrow::TimeUnit::MICRO;
  return Batch({{"bool", Values(arrow::boolean(), "[false, null, true]")},
                {"int", Values(arrow::int32(), "[-2147483648, null, 2147483647]")},
                {"long", Values(arrow::int64(), "[-9223372036854775808, null, 9223372036854775807]")},
                {"float", Values(arrow::float32(), "[-1.5, null, 2.5]")},
                {"double", Values(arrow::float64(), "[-0.5, null, 1e300]")},
                {"dec9", Values(arrow::decimal128(9, 2), R"(["-1234567.89", null, "0.01"])")},
                {"dec18", Values(arrow::decimal128(18, 4), R"(["-12345678901234.5678", null, "1.0000"])")},
                {"dec38", Values(arrow::decimal128(38, 10), R"(["-1234567890123456789012345678.0123456789", null, "5.0000000000"])")},
                {"date", Values(arrow::date32(), "[-719162, null, 19000]")},
                {"time", Values(arrow::time64(micros), "[0, null, 86399999999]")},
                {"ts", Values(arrow::timestamp(micros), "[-1, null, 1700000000000000]")},
                {"tstz", Values(arrow::timestamp(micros, "UTC"), "[-1, null, 1700000000000000]")},
                {"string", Values(arrow::utf8(), R"(["", null, "zürich"])")},
                {"uuid", Values(arrow::fixed_size_binary(16), R"(["0123456789abcdef", null, "fedcba9876543210"])")},
                {"fixed", Values(arrow::fixed_size_binary(3), R"(["abc", null, "xyz"])")},
                {"binary", Values(arrow::binary(), R"(["", null, "bytes"])")}});
}

TEST(DataFiles, EveryTypeComesBackAsItWent) {
  const Schema schema = SchemaOf(kAllTypes);
  const auto store = TestStore();
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "data/a.parquet", schema, {AllTypesBatch()}));
  ASSERT_OK_AND_ASSIGN(const TablePtr table, Scan(store, PlanOf(schema, {{"data/a.parquet", file}})));
  ASSERT_OK_AND_ASSIGN(const auto arrow_schema, ArrowSchemaOf(schema));
  EXPECT_TRUE(table->schema()->Equals(*arrow_schema, /*check_metadata=*/true));
  const auto wrote = arrow::Table::FromRecordBatches({AllTypesBatch()}).ValueOrDie();
  for (int i = 0; i < wrote->num_columns(); ++i)
    EXPECT_TRUE(table->column(i)->Equals(wrote->column(i))) << wrote->field(i)->name() << table->column(i)->ToString();
}

TEST(DataFiles, BoundsAreTheExactValuesInSingleValueForm) {
  const Schema schema = SchemaOf(kAllTypes);
  const auto store = TestStore();
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "data/a.parquet", schema, {AllTypesBatch()}));
  EXPECT_EQ(file.record_count, 3);
  EXPECT_EQ(file.file_path, "memory://t/data/a.parquet");
  ASSERT_OK_AND_ASSIGN(const ObjectInfo object, store->Head("data/a.parquet"));
  EXPECT_EQ(file.file_size_in_bytes, object.size_bytes);
  EXPECT_THAT(file.split_offsets, ElementsAre(4));  // right behind the magic
  const auto bounds = [&](const std::string& column) {
    const Field& field = *schema.Find(column);
    EXPECT_EQ(file.value_counts.at(field.id), 3) << column;
    EXPECT_EQ(file.null_value_counts.at(field.id), 1) << column;
    EXPECT_GT(file.column_sizes.at(field.id), 0) << column;
    return std::pair(*iceberg::DecodeValue(file.lower_bounds.at(field.id), field.type),
                     *iceberg::DecodeValue(file.upper_bounds.at(field.id), field.type));
  };
  const auto pair = [](auto low, auto high) { return std::pair(Literal(low), Literal(high)); };
  EXPECT_EQ(bounds("bool"), pair(false, true));
  EXPECT_EQ(bounds("int"), pair(int64_t{INT32_MIN}, int64_t{INT32_MAX}));
  EXPECT_EQ(bounds("long"), pair(INT64_MIN, INT64_MAX));
  EXPECT_EQ(bounds("float"), pair(-1.5, 2.5));
  EXPECT_EQ(bounds("double"), pair(-0.5, 1e300));
  EXPECT_EQ(bounds("dec9"), pair(DecimalValue{"-1234567.89"}, DecimalValue{"0.01"}));
  EXPECT_EQ(bounds("dec18"), pair(DecimalValue{"-12345678901234.5678"}, DecimalValue{"1.0000"}));
  EXPECT_EQ(bounds("dec38"), pair(DecimalValue{"-1234567890123456789012345678.0123456789"}, DecimalValue{"5.0000000000"}));
  EXPECT_EQ(bounds("date"), pair(DateValue{-719162}, DateValue{19000}));
  EXPECT_EQ(bounds("time"), pair(TimeValue{0}, TimeValue{86399999999}));
  EXPECT_EQ(bounds("ts"), pair(TimestampValue{-1, false}, TimestampValue{1700000000000000, false}));
  EXPECT_EQ(bounds("tstz"), pair(TimestampValue{-1, true}, TimestampValue{1700000000000000, true}));
  EXPECT_EQ(bounds("string"), pair(std::string(), std::string("zürich")));
  EXPECT_EQ(bounds("fixed"), pair(BinaryValue{"abc"}, BinaryValue{"xyz"}));
  EXPECT_EQ(bounds("binary"), pair(BinaryValue{""}, BinaryValue{"bytes"}));
  EXPECT_EQ(file.lower_bounds.at(schema.Find("uuid")->id), "0123456789abcdef");
  EXPECT_EQ(file.upper_bounds.at(schema.Find("uuid")->id), "fedcba9876543210");
}

// Every value and bound agrees with iceberg::EncodeValue, so manifests of ours and of other writers compare alike.
TEST(DataFiles, BoundsHaveTheBytesOfEncodeValue) {
  const Schema schema = SchemaOf(kAllTypes);
  const auto store = TestStore();
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "data/a.parquet", schema, {AllTypesBatch()}));
  for (const Field& field : schema.fields) {
    ASSERT_OK_AND_ASSIGN(const Literal lower, iceberg::DecodeValue(file.lower_bounds.at(field.id), field.type));
    ASSERT_OK_AND_ASSIGN(const Bytes again, iceberg::EncodeValue(lower, field.type));
    EXPECT_EQ(again, file.lower_bounds.at(field.id)) << field.name;
  }
}

TEST(DataFiles, NanIsCountedAndStaysOutOfTheBounds) {
  const Schema schema = SchemaOf({{"x", "double"}, {"only_nan", "float"}, {"zeros", "double"}});
  const auto store = TestStore();
  const auto batch = Batch({{"x", Values(arrow::float64(), "[NaN, 1.5, null, -2.5]")},
                            {"only_nan", Values(arrow::float32(), "[NaN, NaN, null, NaN]")},
                            {"zeros", Values(arrow::float64(), "[0.0, -0.0, 0.0, 0.0]")}});
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "f", schema, {batch}));
  EXPECT_EQ(file.nan_value_counts.at(1), 1);
  EXPECT_EQ(file.nan_value_counts.at(2), 3);
  EXPECT_EQ(*iceberg::DecodeValue(file.lower_bounds.at(1), schema.fields[0].type), Literal(-2.5));
  EXPECT_FALSE(file.lower_bounds.contains(2));
  const auto low = std::get<double>(*iceberg::DecodeValue(file.lower_bounds.at(3), schema.fields[2].type));
  const auto high = std::get<double>(*iceberg::DecodeValue(file.upper_bounds.at(3), schema.fields[2].type));
  EXPECT_TRUE(low == 0 && std::signbit(low) && high == 0 && !std::signbit(high));
}

TEST(DataFiles, NoRowsMakeNoObject) {
  const Schema schema = SchemaOf({{"x", "long"}});
  const auto store = TestStore();
  EXPECT_THAT(WriteFile(*store, "f", schema, {Batch({{"x", Values(arrow::int64(), "[]")}})}), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store->Head("f"), HasKind(ErrorKind::kNotFound));
}

TEST(DataFiles, AnyNameMayBeAColumnsAndPathsNameNone) {
  const Schema schema = SchemaOf({{"a.b", "string"}, {"key=value", "long"}, {"ünï", "long"}, {"a", "long"}});
  const auto store = TestStore();
  const auto batch = Batch({{"a.b", Values(arrow::utf8(), R"(["x", "y"])")}, {"key=value", Values(arrow::int64(), "[1, 2]")},
                            {"ünï", Values(arrow::int64(), "[3, 4]")}, {"a", Values(arrow::int64(), "[5, 6]")}});
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "data/a=9/key=value=7/f", schema, {batch}));
  ASSERT_OK_AND_ASSIGN(const TablePtr table, Scan(store, PlanOf(schema, {{"data/a=9/key=value=7/f", file}})));
  EXPECT_TRUE(SameRows(*table, *arrow::Table::FromRecordBatches({batch}).ValueOrDie()));
  EXPECT_EQ(table->num_columns(), 4);
}

TEST(DataFiles, AFailingStreamLeavesNoObject) {
  const Schema schema = SchemaOf({{"x!", "long"}});
  const auto store = TestStore();
  const auto good = Batch({{"x", Values(arrow::int64(), "[1, 2]")}});
  const auto bad = Batch({{"x", Values(arrow::int64(), "[3, null]")}});
  const auto written = WriteFile(*store, "f", schema, {good, bad});
  EXPECT_THAT(written, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(written, HasMessage("column 'x': row 3"));
  EXPECT_THAT(store->Head("f"), HasKind(ErrorKind::kNotFound));
}

TEST(DataFiles, RowGroupsAreCutAndTheirOrderKept) {
  const Schema schema = SchemaOf({{"x", "long"}});
  const auto store = TestStore();
  std::vector<BatchPtr> batches;
  arrow::Int64Builder builder;
  for (int64_t i = 0; i < 10'000; ++i) ASSERT_TRUE(builder.Append(i).ok());
  const auto all = builder.Finish().ValueOrDie();
  for (int64_t i = 0; i < 10; ++i) batches.push_back(Batch({{"x", all->Slice(i * 1000, 1000)}}));
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "f", schema, batches, {.row_group_rows = 1500}));
  EXPECT_EQ(file.split_offsets.size(), 7u);
  for (const int threads : {1, 2, 5}) {
    ReadPlan plan = PlanOf(schema, {{"f", file}, {"f", file}});
    plan.threads = threads;
    plan.batch_rows = 700;
    ASSERT_OK_AND_ASSIGN(const TablePtr table, Scan(store, plan));
    EXPECT_EQ(table->num_rows(), 20'000);
    ASSERT_OK_AND_ASSIGN(const auto joined, Lift(arrow::Concatenate(table->column(0)->chunks()), ErrorKind::kInternal));
    EXPECT_TRUE(joined->Slice(0, 10'000)->Equals(all) && joined->Slice(10'000)->Equals(all));
  }
}

TEST(DataFiles, ColumnsComeInTheOrderAskedForAndNoneGivesCounts) {
  const Schema schema = SchemaOf({{"a", "long"}, {"b", "string"}, {"c", "double"}});
  const auto store = TestStore();
  const auto batch = Batch({{"a", Values(arrow::int64(), "[1, 2, 3]")},
                            {"b", Values(arrow::utf8(), R"(["x", "y", "z"])")},
                            {"c", Values(arrow::float64(), "[1, 2, 3]")}});
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "f", schema, {batch}));
  ReadPlan plan = PlanOf(schema, {{"f", file}});
  plan.column_ids = {3, 1};
  plan.filter.all_of = {{.column = "b", .op = FilterOp::kGt, .values = {std::string("x")}}};
  ASSERT_OK_AND_ASSIGN(const TablePtr some, Scan(store, plan));
  EXPECT_THAT(some->ColumnNames(), ElementsAre("c", "a"));
  EXPECT_EQ(some->num_rows(), 2);
  plan.column_ids = {};
  ASSERT_OK_AND_ASSIGN(ArrowStream rows, ReadDataFiles(store, plan));
  ArrowArrayHandle counted;
  ASSERT_EQ(rows->get_next(rows.get(), counted.get()), 0);
  EXPECT_EQ(counted->n_children, 0);
  EXPECT_EQ(counted->length, 2);
}

TEST(Evolution, OldFilesAreWidenedAndNewColumnsAreNull) {
  const Schema before = SchemaOf({{"i", "int"}, {"f", "float"}, {"d", "decimal(5, 2)"}});
  Schema after = SchemaOf({{"renamed", "long"}, {"f", "double"}, {"d", "decimal(20, 2)"}, {"added", "string"}});
  const auto store = TestStore();
  const auto batch = Batch({{"i", Values(arrow::int32(), "[-7, null]")},
                            {"f", Values(arrow::float32(), "[1.5, 2.5]")},
                            {"d", Values(arrow::decimal128(5, 2), R"(["-1.25", "999.99"])")}});
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "f", before, {batch}));
  ASSERT_OK_AND_ASSIGN(const TablePtr table, Scan(store, PlanOf(after, {{"f", file}})));
  EXPECT_TRUE(table->column(0)->chunk(0)->Equals(Values(arrow::int64(), "[-7, null]")));
  EXPECT_TRUE(table->column(1)->chunk(0)->Equals(Values(arrow::float64(), "[1.5, 2.5]")));
  EXPECT_TRUE(table->column(2)->chunk(0)->Equals(Values(arrow::decimal128(20, 2), R"(["-1.25", "999.99"])")));
  EXPECT_EQ(table->column(3)->null_count(), 2);
  ReadPlan plan = PlanOf(after, {{"f", file}});
  plan.filter.all_of = {{.column = "renamed", .op = FilterOp::kLt, .values = {int64_t{0}}},
                        {.column = "d", .op = FilterOp::kEq, .values = {DecimalValue{"-1.25"}}},
                        {.column = "added", .op = FilterOp::kIsNull}};
  ASSERT_OK_AND_ASSIGN(const TablePtr one, Scan(store, plan));
  EXPECT_EQ(one->num_rows(), 1);

  after.fields[3].required = true;
  const auto missing = Scan(store, PlanOf(after, {{"f", file}}));
  EXPECT_THAT(missing, HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(missing, HasMessage("column 'added' (field id 4) is missing"));
  Schema narrowed = before;
  narrowed.fields[1].type = Type(TypeKind::kLong);
  EXPECT_THAT(Scan(store, PlanOf(narrowed, {{"f", file}})), HasMessage("column 'f' (field id 2) is float, where the table has long"));
}

// A Parquet file as pyarrow users write it: no field ids, the Arrow schema inside.
DataFile PutForeign(ObjectStore& store, const std::string& key, const BatchPtr& batch) {
  auto sink = arrow::io::BufferOutputStream::Create().ValueOrDie();
  const auto table = arrow::Table::FromRecordBatches({batch}).ValueOrDie();
  EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), sink, 1024, parquet::default_writer_properties(),
                                         parquet::ArrowWriterProperties::Builder().store_schema()->build())
                  .ok());
  const auto buffer = sink->Finish().ValueOrDie();
  EXPECT_THAT(store.Replace(key, buffer->ToString()), IsOk());
  return {.record_count = batch->num_rows(), .file_size_in_bytes = buffer->size()};
}

TEST(ForeignFiles, AreReadByNameAndWhateverTheirLayout) {
  const auto store = TestStore();
  const auto words = Values(arrow::utf8(), R"(["a", "b", "a"])");
  const auto coded = arrow::DictionaryArray::FromArrays(arrow::dictionary(arrow::int32(), arrow::utf8()),
                                                        Values(arrow::int32(), "[0, 1, 0]"), Values(arrow::utf8(), R"(["a", "b"])"))
                         .ValueOrDie();
  const auto batch = Batch({{"coded", coded},
                            {"large", Values(arrow::large_utf8(), R"(["x", null, "z"])")},
                            {"zoned", Values(arrow::timestamp(arrow::TimeUnit::MILLI, "Europe/Zurich"), "[1, 2, 3]")},
                            {"old", Values(arrow::int16(), "[1, 2, 3]")},
                            {"uuid", Values(arrow::utf8(), R"(["f79c3e09-677c-4bbd-a479-3f349cb785e7", null, "F79C3E09-677C-4BBD-A479-3F349CB785E7"])")}});
  const DataFile file = PutForeign(*store, "f", batch);
  const Schema schema =
      SchemaOf({{"coded", "string"}, {"large", "string"}, {"zoned", "timestamptz"}, {"new", "long"}, {"uuid", "uuid"}});
  ReadPlan plan = PlanOf(schema, {{"f", file}});
  plan.files[0].name_mapping = R"([{"field-id": 1, "names": ["coded"]}, {"field-id": 2, "names": ["large"]},
      {"field-id": 3, "names": ["zoned"]}, {"field-id": 4, "names": ["new", "old"]}, {"field-id": 5, "names": ["uuid"]}])";
  ASSERT_OK_AND_ASSIGN(const TablePtr table, Scan(store, plan));
  EXPECT_TRUE(table->column(0)->chunk(0)->Equals(words));
  EXPECT_TRUE(table->column(1)->chunk(0)->Equals(Values(arrow::utf8(), R"(["x", null, "z"])")));
  EXPECT_TRUE(table->column(2)->chunk(0)->Equals(Values(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), "[1000, 2000, 3000]")));
  EXPECT_TRUE(table->column(3)->chunk(0)->Equals(Values(arrow::int64(), "[1, 2, 3]")));
  EXPECT_EQ(table->column(4)->null_count(), 1);
  plan.files[0].name_mapping = std::nullopt;  // by the names in the schema
  ASSERT_OK_AND_ASSIGN(const TablePtr by_name, Scan(store, plan));
  EXPECT_EQ(by_name->column(3)->null_count(), 3);
}

TEST(ForeignFiles, TextThatIsNotUtf8IsCorruption) {
  const auto store = TestStore();
  const auto raw = Values(arrow::binary(), R"(["ok", "b"])");
  auto data = raw->data()->Copy();
  data->buffers[2] = arrow::Buffer::FromString(std::string("ok\xff"));
  data->type = arrow::utf8();
  const DataFile file = PutForeign(*store, "f", Batch({{"s", arrow::MakeArray(data)}}));
  const auto read = Scan(store, PlanOf(SchemaOf({{"s", "string"}}), {{"f", file}}));
  EXPECT_THAT(read, HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(read, HasMessage("not UTF-8"));
}

TEST(WrongFiles, AreNamedWithWhatIsWrong) {
  const Schema schema = SchemaOf({{"x", "long"}});
  const auto store = TestStore();
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "data/f", schema, {Batch({{"x", Values(arrow::int64(), "[1, 2]")}})}));
  const auto missing = Scan(store, PlanOf(schema, {{"data/gone", file}}));
  EXPECT_THAT(missing, HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(missing, HasSubject(ErrorSubject::kDataFile));
  EXPECT_THAT(missing, HasMessage("data/gone"));

  DataFile other = file;
  other.record_count = 3;
  EXPECT_THAT(Scan(store, PlanOf(schema, {{"data/f", other}})), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(Scan(store, PlanOf(schema, {{"data/f", other}})), HasMessage("data/f"));
  other = file;
  other.file_size_in_bytes += 1;
  EXPECT_THAT(Scan(store, PlanOf(schema, {{"data/f", other}})), HasSubject(ErrorSubject::kDataFile));
  other = file;
  other.value_counts[9] = 2;  // the manifest knows of a column that the file lost
  Schema wider = schema;
  wider.fields.push_back({.id = 9, .name = "y", .type = Type(TypeKind::kLong)});
  EXPECT_THAT(Scan(store, PlanOf(wider, {{"data/f", other}})), HasMessage("column 'y' (field id 9) is missing"));
}

TEST(WrongFiles, TheFirstErrorEndsTheStreamForGood) {
  const Schema schema = SchemaOf({{"x", "long"}});
  const auto store = TestStore();
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "f", schema, {Batch({{"x", Values(arrow::int64(), "[1, 2]")}})}));
  for (const int threads : {1, 3}) {
    ReadPlan plan = PlanOf(schema, {{"f", file}, {"gone", file}, {"f", file}});
    plan.threads = threads;
    ASSERT_OK_AND_ASSIGN(ArrowStream rows, ReadDataFiles(store, plan));
    ArrowArrayHandle batch;
    ASSERT_EQ(rows->get_next(rows.get(), batch.get()), 0);
    EXPECT_EQ(batch->length, 2);
    for (int again = 0; again < 2; ++again) {
      ArrowArrayHandle none;
      const int code = rows->get_next(rows.get(), none.get());
      ASSERT_NE(code, 0);
      EXPECT_TRUE(none.empty());
      const Error error = StreamError(*rows.get(), code);
      EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
      EXPECT_EQ(error.subject(), ErrorSubject::kDataFile);
    }
  }
}

TEST(WrittenFiles, CarryFieldIdsChecksumsAndPageIndexes) {
  const Schema schema = SchemaOf({{"id!", "long"}, {"word", "string"}, {"u", "uuid"}, {"d", "decimal(9, 2)"}});
  const auto store = TestStore();
  arrow::Int64Builder ids;
  arrow::StringBuilder words;
  for (int64_t i = 0; i < 5000; ++i) {
    ASSERT_TRUE(ids.Append(i).ok());
    ASSERT_TRUE(words.Append(i % 2 == 0 ? "even" : "odd").ok());
  }
  const auto batch = Batch({{"id", ids.Finish().ValueOrDie()}, {"word", words.Finish().ValueOrDie()}});
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "f", schema, {batch}));
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, store->Get("f"));
  const auto reader = parquet::ParquetFileReader::Open(std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(bytes)));
  const auto& footer = *reader->metadata();
  for (int i = 0; i < footer.schema()->num_columns(); ++i) {
    EXPECT_EQ(footer.schema()->Column(i)->schema_node()->field_id(), i + 1);
    const auto chunk = footer.RowGroup(0)->ColumnChunk(i);
    EXPECT_EQ(chunk->compression(), parquet::Compression::ZSTD);
    EXPECT_TRUE(chunk->GetColumnIndexLocation().has_value() && chunk->GetOffsetIndexLocation().has_value());
  }
  EXPECT_TRUE(footer.schema()->Column(0)->schema_node()->is_required());
  EXPECT_FALSE(footer.RowGroup(0)->ColumnChunk(0)->has_dictionary_page());
  EXPECT_THAT(footer.RowGroup(0)->ColumnChunk(0)->encodings(), testing::Contains(parquet::Encoding::DELTA_BINARY_PACKED));
  EXPECT_TRUE(footer.RowGroup(0)->ColumnChunk(1)->has_dictionary_page());
  EXPECT_EQ(footer.schema()->Column(2)->logical_type()->ToString(), "UUID");
  EXPECT_EQ(footer.schema()->Column(3)->physical_type(), parquet::Type::INT32);
  EXPECT_EQ(footer.key_value_metadata(), nullptr);  // no second copy of the schema
}

TEST(Streams, AbandonedOnesStopTheirThreads) {
  const Schema schema = SchemaOf({{"x", "long"}});
  const auto store = TestStore();
  arrow::Int64Builder builder;
  for (int64_t i = 0; i < 100'000; ++i) ASSERT_TRUE(builder.Append(i * 7919).ok());
  ASSERT_OK_AND_ASSIGN(const DataFile file,
                       WriteFile(*store, "f", schema, {Batch({{"x", builder.Finish().ValueOrDie()}})}, {.row_group_rows = 1000}));
  for (int pulled = 0; pulled < 4; ++pulled) {
    ReadPlan plan = PlanOf(schema, {{"f", file}, {"f", file}, {"f", file}});
    plan.threads = 4;
    ASSERT_OK_AND_ASSIGN(ArrowStream rows, ReadDataFiles(store, plan));
    for (int i = 0; i < pulled; ++i) {
      ArrowArrayHandle batch;
      ASSERT_EQ(rows->get_next(rows.get(), batch.get()), 0);
    }
  }
}

}  // namespace
}  // namespace datashard::data
