#include "shardwrite/arrow_rows.h"

#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "shardwrite/json_rows.h"
#include "support/matchers.h"

namespace datashard::shardwrite {
namespace {

using ::testing::ElementsAre;

struct Named {
  std::string name;
  std::shared_ptr<arrow::Array> array;
};

std::shared_ptr<arrow::RecordBatch> Batch(const std::vector<Named>& columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const Named& column : columns) {
    fields.push_back(arrow::field(column.name, column.array->type()));
    arrays.push_back(column.array);
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), arrays[0]->length(), arrays);
}

ArrowStream StreamOf(const arrow::RecordBatchVector& batches) {
  ArrowStream stream;
  const auto reader = *arrow::RecordBatchReader::Make(batches, batches[0]->schema());
  if (!arrow::ExportRecordBatchReader(reader, stream.get()).ok()) std::abort();
  return stream;
}

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> Array(std::shared_ptr<arrow::DataType> type, const std::vector<std::optional<Value>>& values) {
  std::unique_ptr<arrow::ArrayBuilder> made;
  if (!arrow::MakeBuilder(arrow::default_memory_pool(), type, &made).ok()) std::abort();
  auto& builder = static_cast<Builder&>(*made);
  for (const auto& value : values) {
    const arrow::Status added = value ? builder.Append(*value) : builder.AppendNull();
    if (!added.ok()) std::abort();
  }
  return *builder.Finish();
}

std::shared_ptr<arrow::Array> Texts(const std::vector<std::optional<std::string>>& values, std::shared_ptr<arrow::DataType> type = arrow::utf8()) {
  switch (type->id()) {
    case arrow::Type::LARGE_STRING: return Array<arrow::LargeStringBuilder>(type, values);
    case arrow::Type::STRING_VIEW: return Array<arrow::StringViewBuilder>(type, values);
    case arrow::Type::BINARY: return Array<arrow::BinaryBuilder>(type, values);
    case arrow::Type::LARGE_BINARY: return Array<arrow::LargeBinaryBuilder>(type, values);
    case arrow::Type::BINARY_VIEW: return Array<arrow::BinaryViewBuilder>(type, values);
    case arrow::Type::FIXED_SIZE_BINARY: return Array<arrow::FixedSizeBinaryBuilder>(type, values);
    default: return Array<arrow::StringBuilder>(type, values);
  }
}

std::shared_ptr<arrow::Array> Ints(const std::vector<std::optional<int64_t>>& values) { return Array<arrow::Int64Builder>(arrow::int64(), values); }

std::shared_ptr<arrow::Array> DictionaryOf(const std::shared_ptr<arrow::Array>& values, const std::vector<std::optional<int8_t>>& indexes) {
  const auto index = Array<arrow::Int8Builder>(arrow::int8(), indexes);
  return *arrow::DictionaryArray::FromArrays(arrow::dictionary(arrow::int8(), values->type()), index, values);
}

using Rows = std::vector<std::pair<std::string, std::string>>;

Result<Rows> Read(const arrow::RecordBatchVector& batches, const ArrowKeyValue& columns) {
  Rows rows;
  DS_RETURN_IF_ERROR(ForEachRow(StreamOf(batches), columns, {}, [&](const KeyView& key, std::string_view value, std::span<const CelValue>) -> Status {
    rows.emplace_back(ToString(key), value);
    return {};
  }));
  return rows;
}

const ArrowKeyValue kKeyValue{"k", "v", std::nullopt};

TEST(ArrowRows, ReadsKeysOfEveryType) {
  const auto values = Texts({"a", std::nullopt, "c"});
  const auto keys_of = [&](const std::shared_ptr<arrow::Array>& keys) {
    const Result<Rows> rows = Read({Batch({{"k", keys}, {"v", values}})}, kKeyValue);
    EXPECT_THAT(rows, IsOk()) << keys->type()->ToString();
    std::vector<std::string> found;
    if (rows.ok()) {
      for (const auto& [key, value] : *rows) found.push_back(key);
      EXPECT_THAT(*rows, ElementsAre(testing::Pair(found[0], "a"), testing::Pair(found[1], ""), testing::Pair(found[2], "c")));
    }
    return found;
  };
  EXPECT_THAT(keys_of(Ints({-5, 0, INT64_MAX})), ElementsAre("-5", "0", "9223372036854775807"));
  EXPECT_THAT(keys_of(Array<arrow::UInt64Builder, uint64_t>(arrow::uint64(), {1, UINT64_MAX, 2})), ElementsAre("1", "18446744073709551615", "2"));
  EXPECT_THAT(keys_of(Array<arrow::Int8Builder, int8_t>(arrow::int8(), {-128, 0, 127})), ElementsAre("-128", "0", "127"));
  EXPECT_THAT(keys_of(Array<arrow::UInt16Builder, uint16_t>(arrow::uint16(), {1, 65535, 3})), ElementsAre("1", "65535", "3"));
  EXPECT_THAT(keys_of(Array<arrow::UInt32Builder, uint32_t>(arrow::uint32(), {1, 4294967295, 3})), ElementsAre("1", "4294967295", "3"));
  const std::vector<std::optional<std::string>> texts = {"abc", "a longer text than twelve bytes", "xyz"};
  for (const auto& type : {arrow::utf8(), arrow::large_utf8(), arrow::utf8_view()}) {
    EXPECT_THAT(keys_of(Texts(texts, type)), ElementsAre("\"abc\"", "\"a longer text than twelve bytes\"", "\"xyz\""));
  }
  for (const auto& type : {arrow::binary(), arrow::large_binary(), arrow::binary_view()}) {
    EXPECT_THAT(keys_of(Texts(texts, type)), ElementsAre("b\"abc\"", "b\"a longer text than twelve bytes\"", "b\"xyz\""));
  }
  EXPECT_THAT(keys_of(Texts({"abc", "def", "xyz"}, arrow::fixed_size_binary(3))), ElementsAre("b\"abc\"", "b\"def\"", "b\"xyz\""));
  EXPECT_THAT(keys_of(DictionaryOf(Texts({"one", "two"}), {1, 0, 1})), ElementsAre("\"two\"", "\"one\"", "\"two\""));
  EXPECT_THAT(keys_of(DictionaryOf(Ints({10, 20}), {1, 0, 1})), ElementsAre("20", "10", "20"));
}

TEST(ArrowRows, ReadsSlicesAndSeveralBatches) {
  const auto whole = Batch({{"k", Ints({1, 2, 3, 4, 5})}, {"v", Texts({"a", "b", std::nullopt, "d", "e"})}});
  const Result<Rows> rows = Read({whole->Slice(1, 3), whole->Slice(4, 0), whole->Slice(4)}, kKeyValue);
  ASSERT_THAT(rows, IsOk());
  EXPECT_EQ(*rows, (Rows{{"2", "b"}, {"3", ""}, {"4", "d"}, {"5", "e"}}));
  // A struct array with an offset of its own, as a sliced chunk comes.
  const auto array = (*whole->ToStructArray())->Slice(2);
  ArrowSchemaHandle schema;
  ArrowArrayHandle exported;
  ASSERT_TRUE(arrow::ExportArray(*array, exported.get(), schema.get()).ok());
  const auto batch = ArrowBatch::Make(*schema.get(), *exported.get());
  ASSERT_THAT(batch, IsOk());
  const auto keys = batch->Column("k");
  ASSERT_THAT(keys, IsOk());
  EXPECT_EQ((*keys)->Signed(0), 3);
  const auto values = batch->Column("v");
  EXPECT_TRUE((*values)->IsNull(0));
  EXPECT_EQ((*values)->Text(1), "d");
}

TEST(ArrowRows, NamesTheRowOfANullKey) {
  const auto first = Batch({{"k", Ints({1, 2})}, {"v", Texts({"a", "b"})}});
  const auto second = Batch({{"k", Ints({3, std::nullopt})}, {"v", Texts({"a", "b"})}});
  const Result<Rows> rows = Read({first, second}, kKeyValue);
  EXPECT_THAT(rows, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(rows, HasMessage("the key of row 3 is null"));
  EXPECT_THAT(Read({Batch({{"k", DictionaryOf(Texts({"x", std::nullopt}), {0, 1})}, {"v", Texts({"a", "b"})}})}, kKeyValue), HasMessage("row 1 is null"));
}

TEST(ArrowRows, RefusesColumnsItCannotTake) {
  const auto numbers = Ints({1});
  const auto text = Texts({"a"});
  EXPECT_THAT(Read({Batch({{"key", numbers}, {"v", text}})}, kKeyValue), HasMessage("no column k; they have key, v"));
  EXPECT_THAT(Read({Batch({{"k", numbers}, {"v", numbers}})}, kKeyValue), HasMessage("values are binary or utf8"));
  EXPECT_THAT(Read({Batch({{"k", Array<arrow::DoubleBuilder, double>(arrow::float64(), {1.5})}, {"v", text}})}, kKeyValue), HasMessage("keys are integers"));
  EXPECT_THAT(Read({Batch({{"k", numbers}, {"k", numbers}, {"v", text}})}, kKeyValue), HasMessage("two columns are called k"));
  EXPECT_THAT(Read({Batch({{"k", Array<arrow::Date32Builder, int32_t>(arrow::date32(), {1})}, {"v", text}})}, kKeyValue), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(Read({Batch({{"k", numbers}, {"v", text}})}, {"k", "v", std::vector<std::string>{}}), HasKind(ErrorKind::kInvalidArgument));
}

TEST(ArrowRows, GivesARuleItsColumnsAndTheKey) {
  const auto batch = Batch({{"id", Ints({7, 8})}, {"v", Texts({"a", "b"})}, {"region", DictionaryOf(Texts({"eu"}), {0, std::nullopt})}});
  std::vector<std::vector<CelValue>> seen;
  ASSERT_THAT(ForEachRow(StreamOf({batch}), {"id", "v", std::nullopt}, {{"key", CelType::kInt}, {"region", CelType::kString}},
                         [&](const KeyView&, std::string_view, std::span<const CelValue> columns) -> Status {
                           EXPECT_EQ(seen.empty() ? std::get<CelText>(columns[1]).text : "eu", "eu");
                           seen.emplace_back(columns.begin(), columns.end());
                           return {};
                         }),
              IsOk());
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0][0], CelValue(int64_t{7}));
  EXPECT_TRUE(std::holds_alternative<CelText>(seen[0][1]));
  EXPECT_TRUE(std::holds_alternative<std::monostate>(seen[1][1]));
  EXPECT_THAT(ForEachRow(StreamOf({batch}), {"id", "v", std::nullopt}, {{"region", CelType::kInt}}, nullptr), HasMessage("row 0: column region"));
  EXPECT_THAT(ForEachRow(StreamOf({batch}), {"id", "v", std::nullopt}, {{"planet", CelType::kInt}}, nullptr), HasMessage("no column planet"));
}

TEST(ArrowRows, WritesRowsAsPythonWritesJson) {
  const auto list = [] {
    arrow::ListBuilder builder(arrow::default_memory_pool(), std::make_shared<arrow::Int64Builder>());
    auto& items = static_cast<arrow::Int64Builder&>(*builder.value_builder());
    (void)builder.Append();
    (void)items.Append(1);
    (void)items.AppendNull();
    (void)builder.Append();
    (void)builder.AppendNull();
    return *builder.Finish();
  }();
  const auto nested = *arrow::StructArray::Make({Ints({1, 2, 3}), Texts({"x", "y", "z"})}, std::vector<std::string>{"b", "a"});
  const auto batch = Batch({{"k", Ints({1, 2, 3})},
                            {"text", Texts({"caf\u00e9 \"q\"\\\n\x7f", "\U0001f600", std::nullopt})},
                            {"float", Array<arrow::DoubleBuilder, double>(arrow::float64(), {0.1, 1e16, -0.0})},
                            {"bool", Array<arrow::BooleanBuilder, bool>(arrow::boolean(), {true, false, std::nullopt})},
                            {"list", list},
                            {"nested", nested}});
  const Result<Rows> rows = Read({batch}, {"k", std::nullopt, std::vector<std::string>{"text", "float", "bool", "k", "missing", "list", "nested"}});
  ASSERT_THAT(rows, IsOk());
  EXPECT_EQ((*rows)[0].second, R"({"bool":true,"float":0.1,"k":1,"list":[1,null],"missing":null,"nested":{"a":"x","b":1},"text":"caf\u00e9 \"q\"\\\n\u007f"})");
  EXPECT_EQ((*rows)[1].second, R"({"bool":false,"float":1e+16,"k":2,"list":[],"missing":null,"nested":{"a":"y","b":2},"text":"\ud83d\ude00"})");
  EXPECT_EQ((*rows)[2].second, R"({"bool":null,"float":-0.0,"k":3,"list":null,"missing":null,"nested":{"a":"z","b":3},"text":null})");
  const Result<Rows> sliced = Read({batch->Slice(1)}, {"k", std::nullopt, std::vector<std::string>{}});
  ASSERT_THAT(sliced, IsOk());
  EXPECT_EQ((*sliced)[0].second, R"({"bool":false,"float":1e+16,"k":2,"list":[],"nested":{"a":"y","b":2},"text":"\ud83d\ude00"})");
  EXPECT_THAT(Read({Batch({{"k", Ints({1})}, {"bytes", Texts({"a"}, arrow::binary())}})}, {"k", std::nullopt, std::vector<std::string>{}}),
              HasMessage("column bytes: JSON has no bytes"));
  EXPECT_THAT(Read({Batch({{"k", Ints({1})}, {"text", Texts({"\xff"})}})}, {"k", std::nullopt, std::vector<std::string>{}}), HasMessage("row 0"));
}

TEST(JsonFloat, IsPythonsRepr) {
  const auto text = [](double value) {
    Bytes out;
    AppendJsonFloat(value, out);
    return out;
  };
  EXPECT_EQ(text(0), "0.0");
  EXPECT_EQ(text(1), "1.0");
  EXPECT_EQ(text(-12.5), "-12.5");
  EXPECT_EQ(text(0.0001), "0.0001");
  EXPECT_EQ(text(0.00001), "1e-05");
  EXPECT_EQ(text(1.5e-7), "1.5e-07");
  EXPECT_EQ(text(123456789012345680.0), "1.2345678901234568e+17");
  EXPECT_EQ(text(9007199254740993.0), "9007199254740992.0");
  EXPECT_EQ(text(1e22), "1e+22");
  EXPECT_EQ(text(1e300), "1e+300");
  EXPECT_EQ(text(5e-324), "5e-324");
  EXPECT_EQ(text(static_cast<double>(0.1F)), "0.10000000149011612");
  EXPECT_EQ(text(std::numeric_limits<double>::quiet_NaN()), "NaN");
  EXPECT_EQ(text(-INFINITY), "-Infinity");
}

// What another library hands over may be wrong: it is refused, and nothing is read beyond what it says.
TEST(ArrowColumns, RefusesDamagedArrays) {
  const auto damaged = [](const std::function<void(ArrowArray&)>& change, const std::shared_ptr<arrow::Array>& array) {
    ArrowSchemaHandle schema;
    ArrowArrayHandle exported;
    if (!arrow::ExportArray(*array, exported.get(), schema.get()).ok()) std::abort();
    ArrowArray changed = *exported.get();
    std::vector<const void*> buffers(changed.buffers, changed.buffers + changed.n_buffers);
    changed.buffers = buffers.data();
    change(changed);
    const auto column = ArrowColumn::Make("c", *schema.get(), changed, {0, array->length()});
    return column.ok() ? std::string("accepted") : column.error().message();
  };
  const auto texts = Texts({"abc", "de"});
  EXPECT_EQ(damaged([](ArrowArray&) {}, texts), "accepted");
  EXPECT_THAT(damaged([](ArrowArray& array) { array.length = 1; }, texts), testing::HasSubstr("fewer rows"));
  EXPECT_THAT(damaged([](ArrowArray& array) { array.offset = -1; }, texts), testing::HasSubstr("fewer rows"));
  EXPECT_THAT(damaged([](ArrowArray& array) { array.n_buffers = 2; }, texts), testing::HasSubstr("too few buffers"));
  EXPECT_THAT(damaged([](ArrowArray& array) { array.buffers[1] = nullptr; }, texts), testing::HasSubstr("no values"));
  EXPECT_THAT(damaged([](ArrowArray& array) { array.buffers[2] = nullptr; }, texts), testing::HasSubstr("no bytes"));
  static const int32_t kDescending[] = {0, 3, 2};
  EXPECT_THAT(damaged([](ArrowArray& array) { array.buffers[1] = kDescending; }, texts), testing::HasSubstr("ascend"));
  const auto views = Texts({"a text that does not fit into its view", "b"}, arrow::utf8_view());
  static const int64_t kShort[] = {5};
  EXPECT_THAT(damaged([](ArrowArray& array) { array.buffers[array.n_buffers - 1] = kShort; }, views), testing::HasSubstr("outside of its buffers"));
  const auto words = DictionaryOf(Texts({"x"}), {0, 0});
  static const int8_t kBeyond[] = {0, 9};
  EXPECT_THAT(damaged([](ArrowArray& array) { array.buffers[1] = kBeyond; }, words), testing::HasSubstr("outside of its dictionary"));
}

}  // namespace
}  // namespace datashard::shardwrite
