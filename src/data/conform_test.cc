// What may go into which column: lossless or refused, with the column and the row named.
#include <gtest/gtest.h>

#include <arrow/c/bridge.h>

#include <cerrno>

#include "data/cast_column.h"
#include "data/data_test_support.h"
#include "datashard/rows.h"

namespace datashard::data {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;
using testing::AllOf;

Result<ArrayPtr> Conform(const ArrayPtr& column, const std::string& type) {
  DS_ASSIGN_OR_RETURN(auto rows, ConformRows(StreamOf({Batch({{"x", column}})}), SchemaOf({{"x", type}})));
  DS_ASSIGN_OR_RETURN(const TablePtr table, ReadAll(std::move(rows)));
  return table->column(0)->num_chunks() == 0 ? ArrayPtr() : table->column(0)->chunk(0);
}

#define EXPECT_CONFORMS(column, type, wanted)                           \
  do {                                                                  \
    const auto conformed = Conform(column, type);                       \
    ASSERT_THAT(conformed, IsOk());                                     \
    EXPECT_TRUE((*conformed)->Equals(wanted)) << (*conformed)->ToString(); \
  } while (false)
#define EXPECT_REFUSED(column, type, text)                                                                         \
  do {                                                                                                              \
    const auto refused = Conform(column, type);                                                                    \
    EXPECT_THAT(refused, AllOf(HasKind(ErrorKind::kInvalidArgument), HasSubject(ErrorSubject::kValue), HasMessage(text))); \
    EXPECT_THAT(refused, HasMessage("column 'x'"));                                                                 \
  } while (false)

TEST(Conform, NumbersGoWhereTheyLoseNothing) {
  EXPECT_CONFORMS(Values(arrow::int8(), "[-1, null]"), "long", Values(arrow::int64(), "[-1, null]"));
  EXPECT_CONFORMS(Values(arrow::int64(), "[-1, 7]"), "int", Values(arrow::int32(), "[-1, 7]"));
  EXPECT_CONFORMS(Values(arrow::int64(), "[1, null]"), "double", Values(arrow::float64(), "[1, null]"));
  EXPECT_CONFORMS(Values(arrow::float64(), "[2.0, null]"), "long", Values(arrow::int64(), "[2, null]"));
  EXPECT_CONFORMS(Values(arrow::float64(), "[0.1]"), "float", Values(arrow::float32(), "[0.1]"));
  EXPECT_CONFORMS(Values(arrow::uint64(), "[9223372036854775807]"), "long", Values(arrow::int64(), "[9223372036854775807]"));
  EXPECT_CONFORMS(Values(arrow::int64(), "[-12, 99]"), "decimal(4, 2)", Values(arrow::decimal128(4, 2), R"(["-12.00", "99.00"])"));
  EXPECT_CONFORMS(Values(arrow::decimal128(10, 4), R"(["1.2500"])"), "decimal(3, 2)", Values(arrow::decimal128(3, 2), R"(["1.25"])"));
  EXPECT_CONFORMS(Values(arrow::null(), "[null, null]"), "string", Values(arrow::utf8(), "[null, null]"));
}

TEST(Conform, NumbersThatWouldLoseSomethingAreRefusedWithTheirRow) {
  EXPECT_REFUSED(Values(arrow::float64(), "[1.0, 2.0, 1.9, 2.5]"), "long", "row 2");
  EXPECT_REFUSED(Values(arrow::float64(), "[1.9]"), "long", "truncated");
  EXPECT_REFUSED(Values(arrow::float64(), "[NaN]"), "long", "row 0");
  EXPECT_REFUSED(Values(arrow::int64(), "[1, 3000000000]"), "int", "row 1");
  EXPECT_REFUSED(Values(arrow::int64(), "[9007199254740993]"), "double", "row 0");
  EXPECT_REFUSED(Values(arrow::uint64(), "[9223372036854775808]"), "long", "row 0");
  EXPECT_REFUSED(Values(arrow::float64(), "[1, 1e300]"), "float", "row 1");
  EXPECT_REFUSED(Values(arrow::int64(), "[1, 100]"), "decimal(4, 2)", "row 1");
  EXPECT_REFUSED(Values(arrow::decimal128(10, 4), R"(["1.2500", "1.2501"])"), "decimal(10, 2)", "row 1");
  EXPECT_REFUSED(Values(arrow::boolean(), "[true]"), "long", "bool cannot be stored as long");
  EXPECT_REFUSED(Values(arrow::utf8(), R"(["12"])"), "long", "string cannot be stored as long");
  EXPECT_REFUSED(Values(arrow::int64(), "[5]"), "string", "int64 cannot be stored as string");
  EXPECT_REFUSED(Values(arrow::int64(), "[1]"), "boolean", "cannot be stored");
  EXPECT_REFUSED(Values(arrow::float64(), "[1]"), "decimal(4, 2)", "cannot be stored");
}

TEST(Conform, TimesKeepTheirInstant) {
  using arrow::TimeUnit;
  EXPECT_CONFORMS(Values(arrow::timestamp(TimeUnit::NANO), "[1000, null]"), "timestamp", Values(arrow::timestamp(TimeUnit::MICRO), "[1, null]"));
  EXPECT_CONFORMS(Values(arrow::timestamp(TimeUnit::SECOND, "Asia/Tokyo"), "[1]"), "timestamptz",
                  Values(arrow::timestamp(TimeUnit::MICRO, "UTC"), "[1000000]"));
  EXPECT_CONFORMS(Values(arrow::timestamp(TimeUnit::NANO), "[86400000000000]"), "date", Values(arrow::date32(), "[1]"));
  EXPECT_CONFORMS(Values(arrow::time32(TimeUnit::SECOND), "[5]"), "time", Values(arrow::time64(TimeUnit::MICRO), "[5000000]"));
  EXPECT_REFUSED(Values(arrow::timestamp(TimeUnit::NANO), "[1000, 1001]"), "timestamp", "row 1");
  EXPECT_REFUSED(Values(arrow::timestamp(TimeUnit::SECOND), "[9223372036854775807]"), "timestamp", "row 0");
  EXPECT_CONFORMS(Values(arrow::timestamp(TimeUnit::NANO), "[1000, null]"), "timestamptz",
                  Values(arrow::timestamp(TimeUnit::MICRO, "UTC"), "[1, null]"));
  EXPECT_REFUSED(Values(arrow::timestamp(TimeUnit::MICRO, "UTC"), "[1]"), "timestamp", "cannot be stored as timestamp");
  EXPECT_REFUSED(Values(arrow::timestamp(TimeUnit::MICRO), "[0, 1]"), "date", "row 1");
  EXPECT_REFUSED(Values(arrow::time64(TimeUnit::MICRO), "[86400000000]"), "time", "row 0");
}

TEST(Conform, UuidsComeAsBytesOrText) {
  const auto bytes = Values(arrow::fixed_size_binary(16), R"(["0123456789abcdef", null])");
  EXPECT_CONFORMS(bytes, "uuid", bytes);
  EXPECT_CONFORMS(Values(arrow::binary(), R"(["0123456789abcdef", null])"), "uuid", bytes);
  EXPECT_CONFORMS(Values(arrow::utf8(), R"(["30313233-3435-3637-3839-616263646566", null])"), "uuid", bytes);
  EXPECT_CONFORMS(Values(arrow::large_utf8(), R"(["30313233343536373839616263646566", null])"), "uuid", bytes);
  EXPECT_REFUSED(Values(arrow::utf8(), R"([null, "nonsense"])"), "uuid", "row 1");
  EXPECT_REFUSED(Values(arrow::fixed_size_binary(3), R"(["abc"])"), "uuid", "16");
  EXPECT_CONFORMS(Values(arrow::binary(), R"(["abc"])"), "fixed[3]", Values(arrow::fixed_size_binary(3), R"(["abc"])"));
  EXPECT_REFUSED(Values(arrow::binary(), R"(["abc", "abcd"])"), "fixed[3]", "row 1");
  EXPECT_REFUSED(Values(arrow::utf8(), R"(["abc"])"), "binary", "cannot be stored");
}

TEST(Conform, LayoutsAreMadePlain) {
  const auto words = Values(arrow::utf8(), R"(["a", null, "b", "b"])");
  EXPECT_CONFORMS(Values(arrow::large_utf8(), R"(["a", null, "b", "b"])"), "string", words);
  EXPECT_CONFORMS(Values(arrow::utf8_view(), R"(["a", null, "b", "b"])"), "string", words);
  EXPECT_CONFORMS(arrow::DictionaryArray::FromArrays(arrow::dictionary(arrow::int8(), arrow::large_utf8()),
                                                     Values(arrow::int8(), "[0, null, 1, 1]"), Values(arrow::large_utf8(), R"(["a", "b"])"))
                      .ValueOrDie(),
                  "string", words);
  EXPECT_CONFORMS(arrow::DictionaryArray::FromArrays(arrow::dictionary(arrow::uint32(), arrow::utf8_view()),
                                                     Values(arrow::uint32(), "[0, null, 1, 1]"), Values(arrow::utf8_view(), R"(["a", "b"])"))
                      .ValueOrDie(),
                  "string", words);
  const ArrayPtr runs =
      arrow::RunEndEncodedArray::Make(4, Values(arrow::int32(), "[1, 2, 4]"), Values(arrow::utf8(), R"(["a", null, "b"])")).ValueOrDie();
  EXPECT_CONFORMS(runs, "string", words);
  EXPECT_CONFORMS(Values(arrow::binary_view(), R"(["a"])"), "binary", Values(arrow::binary(), R"(["a"])"));
  EXPECT_CONFORMS(words->Slice(2), "string", Values(arrow::utf8(), R"(["b", "b"])"));
}

TEST(Conform, ColumnsAreMatchedByName) {
  const Schema schema = SchemaOf({{"a!", "long"}, {"b", "string"}, {"c", "double"}});
  const auto batch = Batch({{"c", Values(arrow::float64(), "[1]")}, {"a", Values(arrow::int64(), "[2]")}});
  ASSERT_OK_AND_ASSIGN(auto rows, ConformRows(StreamOf({batch}), schema));
  ASSERT_OK_AND_ASSIGN(const TablePtr table, ReadAll(std::move(rows)));
  EXPECT_THAT(table->ColumnNames(), testing::ElementsAre("a", "b", "c"));
  EXPECT_EQ(table->column(1)->null_count(), 1);

  const auto one = Values(arrow::int64(), "[1]");
  const auto unknown = ConformRows(StreamOf({Batch({{"a", one}, {"x", one}, {"y", one}})}), schema);
  EXPECT_THAT(unknown, AllOf(HasKind(ErrorKind::kInvalidArgument), HasSubject(ErrorSubject::kColumn), HasMessage("'x', 'y'")));
  const auto missing = ConformRows(StreamOf({Batch({{"b", Values(arrow::utf8(), "[]")}})}), schema);
  EXPECT_THAT(missing, AllOf(HasSubject(ErrorSubject::kColumn), HasMessage("'a'")));
  const auto twice = ConformRows(StreamOf({Batch({{"a", one}, {"a", one}})}), schema);
  EXPECT_THAT(twice, AllOf(HasSubject(ErrorSubject::kColumn), HasMessage("'a' is given twice")));
}

TEST(Conform, ANullInARequiredColumnIsNamedWithItsRowInTheStream) {
  const auto first = Batch({{"x", Values(arrow::int64(), "[1, 2]")}});
  const auto second = Batch({{"x", Values(arrow::int64(), "[3, null]")}});
  ASSERT_OK_AND_ASSIGN(auto rows, ConformRows(StreamOf({first, second}), SchemaOf({{"x!", "long"}})));
  const auto read = ReadAll(std::move(rows));
  EXPECT_THAT(read, AllOf(HasSubject(ErrorSubject::kValue), HasMessage("column 'x': row 3: a required column has no value")));
}

// A producer that is not this library's: it fails, or hands over what it should not.
struct Producer {
  BatchPtr batch;
  int fails_with = 0;
};
ArrowStream Foreign(Producer& producer) {
  ArrowStream stream;
  stream->private_data = &producer;
  stream->get_schema = [](ArrowArrayStream* self, ArrowSchema* out) {
    const auto& batch = static_cast<Producer*>(self->private_data)->batch;
    return arrow::ExportSchema(*batch->schema(), out).ok() ? 0 : EINVAL;
  };
  stream->get_next = [](ArrowArrayStream* self, ArrowArray* out) {
    auto& producer = *static_cast<Producer*>(self->private_data);
    if (producer.fails_with != 0) return producer.fails_with;
    out->release = nullptr;
    if (producer.batch == nullptr) return 0;
    const auto batch = std::exchange(producer.batch, nullptr);
    return arrow::ExportRecordBatch(*batch, out).ok() ? 0 : EINVAL;
  };
  stream->get_last_error = [](ArrowArrayStream*) -> const char* { return "the dog ate it"; };
  stream->release = [](ArrowArrayStream* self) { self->release = nullptr; };
  return stream;
}

TEST(ForeignStreams, FailuresKeepTheirText) {
  Producer producer{.batch = Batch({{"x", Values(arrow::int64(), "[1]")}}), .fails_with = EIO};
  ASSERT_OK_AND_ASSIGN(auto rows, ConformRows(Foreign(producer), SchemaOf({{"x", "long"}})));
  EXPECT_THAT(ReadAll(std::move(rows)), AllOf(HasKind(ErrorKind::kUnavailable), HasMessage("the dog ate it")));
  EXPECT_THAT(ConformRows(ArrowStream(), SchemaOf({{"x", "long"}})), HasKind(ErrorKind::kInvalidArgument));
}

TEST(ForeignStreams, BuffersThatWouldBeReadOutOfBoundsAreRefused) {
  const auto good = Values(arrow::utf8(), R"(["abc", "def", "ghi"])");
  auto offsets = std::vector<int32_t>{0, 1'000'000, 6, 9};
  auto data = good->data()->Copy();
  data->buffers[1] = arrow::Buffer::FromVector(offsets);
  Producer producer{.batch = Batch({{"x", arrow::MakeArray(data)}})};
  ASSERT_OK_AND_ASSIGN(auto rows, ConformRows(Foreign(producer), SchemaOf({{"x", "string"}})));
  EXPECT_THAT(ReadAll(std::move(rows)), HasKind(ErrorKind::kInvalidArgument));

  data = good->data()->Copy();
  data->buffers[2] = arrow::Buffer::FromString(std::string("ab\xff" "defghi"));
  Producer not_utf8{.batch = Batch({{"x", arrow::MakeArray(data)}})};
  ASSERT_OK_AND_ASSIGN(rows, ConformRows(Foreign(not_utf8), SchemaOf({{"x", "string"}})));
  EXPECT_THAT(ReadAll(std::move(rows)), AllOf(HasKind(ErrorKind::kInvalidArgument), HasSubject(ErrorSubject::kValue)));

  const auto coded = arrow::DictionaryArray::FromArrays(Values(arrow::int32(), "[0, 1]"), Values(arrow::utf8(), R"(["a", "b"])")).ValueOrDie();
  data = coded->data()->Copy();
  data->buffers[1] = arrow::Buffer::FromVector(std::vector<int32_t>{0, 77});
  Producer bad_index{.batch = Batch({{"x", arrow::MakeArray(data)}})};
  ASSERT_OK_AND_ASSIGN(rows, ConformRows(Foreign(bad_index), SchemaOf({{"x", "string"}})));
  EXPECT_THAT(ReadAll(std::move(rows)), HasKind(ErrorKind::kInvalidArgument));
}

TEST(InferredSchemas, FollowTheArrowTypes) {
  const auto infer = [](std::shared_ptr<arrow::Schema> schema) {
    ArrowSchemaHandle exported;
    EXPECT_TRUE(arrow::ExportSchema(*schema, exported.get()).ok());
    return InferSchema(*exported.get());
  };
  ASSERT_OK_AND_ASSIGN(const Schema schema,
                       infer(arrow::schema({arrow::field("a", arrow::uint16(), /*nullable=*/false), arrow::field("b", arrow::large_utf8()),
                                            arrow::field("c", arrow::timestamp(arrow::TimeUnit::NANO, "UTC")),
                                            arrow::field("d", arrow::dictionary(arrow::int32(), arrow::utf8())),
                                            arrow::field("e", arrow::decimal128(10, 3)), arrow::field("f", arrow::fixed_size_binary(4))})));
  EXPECT_TRUE(SameFields(schema, SchemaOf({{"a!", "int"}, {"b", "string"}, {"c", "timestamptz"}, {"d", "string"}, {"e", "decimal(10, 3)"}, {"f", "fixed[4]"}})));
  // What we export is read back as the same schema, the uuid by its metadata.
  const Schema all = SchemaOf({{"u", "uuid"}, {"t", "time"}, {"b", "binary"}});
  ASSERT_OK_AND_ASSIGN(const ArrowSchemaHandle exported, ExportSchema(all));
  ASSERT_OK_AND_ASSIGN(const Schema again, InferSchema(*exported.get()));
  EXPECT_TRUE(SameFields(again, all));

  const auto nulls = infer(arrow::schema({arrow::field("empty", arrow::null())}));
  EXPECT_THAT(nulls, AllOf(HasKind(ErrorKind::kInvalidArgument), HasSubject(ErrorSubject::kSchema), HasMessage("'empty'")));
  EXPECT_THAT(infer(arrow::schema({arrow::field("l", arrow::list(arrow::int32()))})), HasMessage("'l'"));
}

}  // namespace
}  // namespace datashard::data
