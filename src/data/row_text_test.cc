// Rows in and out as text: JSON Lines, terminal cells, literals, CSV and JSON Lines files.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/base64.h"
#include "data/data_test_support.h"
#include "data/iso_time.h"
#include "datashard/rows.h"

namespace datashard::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Optional;

std::vector<std::string> JsonLines(ArrowStream stream) {
  std::vector<std::string> lines;
  EXPECT_THAT(ForEachJsonLine(std::move(stream),
                              [&](std::string_view line) {
                                lines.emplace_back(line);
                                return Status();
                              }),
              IsOk());
  return lines;
}

TEST(JsonLines, EveryTypeHasItsSpelling) {
  const auto micros = arrow::TimeUnit::MICRO;
  const auto batch = Batch({{"b", Values(arrow::boolean(), "[true, null]")},
                            {"i", Values(arrow::int64(), "[-9223372036854775808, null]")},
                            {"f", Values(arrow::float32(), "[0.1, NaN]")},
                            {"d", Values(arrow::float64(), "[3, -Inf]")},
                            {"dec", Values(arrow::decimal128(5, 2), R"(["-1.50", null])")},
                            {"date", Values(arrow::date32(), "[-719528, 4000000]")},
                            {"time", Values(arrow::time64(micros), "[3661000001, 0]")},
                            {"ts", Values(arrow::timestamp(micros), "[-1, null]")},
                            {"tz", Values(arrow::timestamp(micros, "UTC"), "[1357016400000000, null]")},
                            {"s", Values(arrow::utf8(), R"(["a\"\\\n\u001bé", ""])")},
                            {"y", Values(arrow::binary(), R"(["hi", ""])")}});
  EXPECT_THAT(JsonLines(StreamOf({batch})),
              ElementsAre(R"({"b":true,"i":-9223372036854775808,"f":0.1,"d":3.0,"dec":"-1.50","date":"0000-01-01","time":"01:01:01.000001",)"
                          R"("ts":"1969-12-31T23:59:59.999999","tz":"2013-01-01T05:00:00Z","s":"a\"\\\n\u001bé","y":"aGk="})",
                          R"({"b":null,"i":null,"f":"NaN","d":"-Infinity","dec":null,"date":"+12921-08-18","time":"00:00:00",)"
                          R"("ts":null,"tz":null,"s":"","y":""})"));
}

TEST(JsonLines, TheSinkCanStop) {
  const auto batch = Batch({{"x", Values(arrow::int64(), "[1, 2, 3]")}});
  int lines = 0;
  const Status stopped = ForEachJsonLine(StreamOf({batch}), [&](std::string_view) -> Status {
    if (++lines == 2) return Unavailable("the pipe is closed");
    return {};
  });
  EXPECT_THAT(stopped, AllOf(HasKind(ErrorKind::kUnavailable), HasMessage("the pipe is closed")));
  EXPECT_EQ(lines, 2);
}

TEST(TextRows, AreRawSoThatTheirCallerMayQuoteThem) {
  const auto batch = Batch({{"na\x1bme", Values(arrow::utf8(), R"(["\u001b[2J\u009b\u007f", null])")}});
  std::vector<std::vector<std::optional<std::string>>> rows;
  ASSERT_THAT(ForEachTextRow(StreamOf({batch}),
                             [&](const auto& cells) {
                               rows.push_back(cells);
                               return Status();
                             }),
              IsOk());
  EXPECT_THAT(rows, ElementsAre(ElementsAre(Optional(std::string("na\x1bme"))), ElementsAre(Optional(std::string("\x1b[2J\xC2\x9B\x7F"))),
                                ElementsAre(std::nullopt)));
}

TEST(IsoTime, GoesBothWays) {
  for (const int64_t days : {-2147483648LL, -719529LL, -719528LL, -1LL, 0LL, 11016LL, 2932896LL, 2932897LL, 2147483647LL}) {
    std::string text;
    AppendDate(text, days);
    EXPECT_THAT(ParseDate(text), Optional(static_cast<int32_t>(days))) << text;
  }
  for (const int64_t micros : {INT64_MIN + 86'400'000'000, int64_t{-1}, int64_t{0}, int64_t{1357016400123456}, INT64_MAX}) {
    std::string text;
    AppendTimestamp(text, micros, /*utc=*/true);
    const auto parsed = ParseTimestamp(text);
    ASSERT_TRUE(parsed.has_value()) << text;
    EXPECT_TRUE(parsed->has_zone && parsed->micros == micros) << text;
  }
  EXPECT_EQ(ParseTimestamp("2013-01-01 05:00+02:00")->micros, ParseTimestamp("2013-01-01T03:00:00Z")->micros);
  EXPECT_EQ(ParseTimestamp("2013-01-01T05:00:00-0530")->micros, ParseTimestamp("2013-01-01T10:30:00Z")->micros);
  for (const char* bad : {"", "2013", "2013-02-29", "2013-13-01", "2013-01-01T", "2013-01-01T24:00", "2013-01-01T05:00:00.",
                          "2013-01-01T05:00:00.1234567", "2013-01-01T05:00:00Zx", "2013-01-01x", "+294248-01-01T00:00:00"})
    EXPECT_FALSE(ParseTimestamp(bad).has_value()) << bad;
  for (const char* bad : {"1:00", "01:60", "01:00:60", "010000", "01:00:00 "}) EXPECT_FALSE(ParseTimeOfDay(bad).has_value()) << bad;
}

TEST(Base64, GoesBothWaysAndRefusesTheRest) {
  std::string bytes;
  for (int i = 0; i < 20; ++i) {
    std::string text;
    AppendBase64(text, bytes);
    EXPECT_THAT(ParseBase64(text), Optional(bytes));
    bytes += static_cast<char>(250 + 3 * i);
  }
  for (const char* bad : {"a", "aGk", "aGk==", "aG k", "aGl=", "====", "a==="}) EXPECT_FALSE(ParseBase64(bad).has_value()) << bad;
}

TEST(Literals, AreReadByTheColumnsType) {
  const auto parse = [](std::string_view text, const char* type) { return ParseLiteral(text, *Type::Parse(type)); };
  EXPECT_EQ(*parse("42", "long"), Literal(int64_t{42}));
  EXPECT_EQ(*parse("12.5", "double"), Literal(12.5));
  EXPECT_EQ(*parse("true", "boolean"), Literal(true));
  EXPECT_EQ(*parse("2013-01-01", "date"), Literal(DateValue{15706}));
  EXPECT_EQ(*parse("05:00", "time"), Literal(TimeValue{18'000'000'000}));
  EXPECT_EQ(*parse("2013-01-01", "timestamptz"), Literal(TimestampValue{1356998400000000, true}));
  EXPECT_EQ(*parse("2013-01-01T02:00:00+02:00", "timestamptz"), Literal(TimestampValue{1356998400000000, true}));
  EXPECT_EQ(*parse("12.5", "string"), Literal(std::string("12.5")));
  EXPECT_EQ(*parse("aGk=", "binary"), Literal(BinaryValue{"hi"}));
  EXPECT_EQ(*parse("12.5", "long"), Literal(DecimalValue{"12.5"}));
  EXPECT_EQ(*parse("9223372036854775808", "int"), Literal(DecimalValue{"9223372036854775808"}));
  EXPECT_THAT(parse("12x", "long"), AllOf(HasSubject(ErrorSubject::kOperand), HasMessage("'12x' is no value of type long; write it as 42")));
  EXPECT_THAT(parse("2013-01-01T00:00:00Z", "timestamp"), HasMessage("type timestamp"));
  EXPECT_THAT(parse("nope", "decimal(5, 2)"), HasMessage("12.50"));
  EXPECT_THAT(parse("", "int"), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(parse("1e5x", "double"), HasKind(ErrorKind::kInvalidArgument));
}

// A directory of its own for each test.
class Files : public testing::Test {
 protected:
  Files() {
    std::string name = testing::TempDir() + "rowsXXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~Files() override { std::filesystem::remove_all(directory_); }
  std::string Put(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ + "/" + name, std::ios::binary) << text;
    return directory_ + "/" + name;
  }
  std::string directory_;
};

Result<std::vector<std::string>> Lines(const std::string& path, ReadRowsOptions options = {}) {
  DS_ASSIGN_OR_RETURN(const RowFormat format, RowFormatOfPath(path));
  DS_ASSIGN_OR_RETURN(ArrowStream rows, ReadRows(path, format, std::move(options)));
  std::vector<std::string> lines;
  DS_RETURN_IF_ERROR(ForEachJsonLine(std::move(rows), [&](std::string_view line) {
    lines.emplace_back(line);
    return Status();
  }));
  return lines;
}

TEST_F(Files, CsvWithASchemaReadsItsTypes) {
  const std::string path = Put("a.csv",
                               "id,at,word,y,day,amount\n"
                               "1,2013-01-01T05:00:00Z,NA,aGk=,2013-01-02,1.5\n"
                               "NA,NA,\"NA\",NA,NA,NA\n"
                               "3,2013-01-01T05:00:00+02:00,\"two\nlines\",,2013-01-02,2\n");
  int64_t told = 0;
  ReadRowsOptions options{.schema = SchemaOf({{"id", "long"}, {"at", "timestamptz"}, {"word", "string"}, {"y", "binary"}, {"day", "date"}, {"amount", "decimal(5, 2)"}}),
                          .null_values = {"NA"}};
  options.on_progress = [&](int64_t bytes) { told = bytes; };
  EXPECT_THAT(Lines(path, options),
              testing::ResultOf([](const auto& r) { return r.ok() ? *r : std::vector<std::string>{r.error().ToString()}; },
                                ElementsAre(R"({"id":1,"at":"2013-01-01T05:00:00Z","word":null,"y":"aGk=","day":"2013-01-02","amount":"1.50"})",
                                            R"({"id":null,"at":null,"word":"NA","y":null,"day":null,"amount":null})",
                                            R"({"id":3,"at":"2013-01-01T03:00:00Z","word":"two\nlines","y":"","day":"2013-01-02","amount":"2.00"})")));
  EXPECT_EQ(told, static_cast<int64_t>(std::filesystem::file_size(path)));
}

TEST_F(Files, CsvWithoutASchemaTakesTypesFromItsStart) {
  ASSERT_OK_AND_ASSIGN(const auto lines, Lines(Put("a.csv", "a,b,c,d\n1,x,1.5,\n2,y,2,\n")));
  EXPECT_THAT(lines, ElementsAre(R"({"a":1,"b":"x","c":1.5,"d":null})", R"({"a":2,"b":"y","c":2.0,"d":null})"));
  ASSERT_OK_AND_ASSIGN(const auto tabs, Lines(Put("a.tsv", "a\tb\n1\t2\n"), {.delimiter = '\t'}));
  EXPECT_THAT(tabs, ElementsAre(R"({"a":1,"b":2})"));
}

TEST_F(Files, TextThatDoesNotParseIsNamedWithItsPlace) {
  const std::string bad_value = Put("a.csv", "a,b\n1,2\nx,4\n");
  EXPECT_THAT(Lines(bad_value, {.schema = SchemaOf({{"a", "long"}})}), AllOf(HasKind(ErrorKind::kInvalidArgument), HasMessage("a.csv"), HasMessage("Row #3")));
  EXPECT_THAT(Lines(Put("b.csv", "a,b\n1,2\n1,2,3\n")), AllOf(HasKind(ErrorKind::kInvalidArgument), HasMessage("Row #3")));
  EXPECT_THAT(Lines(Put("c.csv", "")), AllOf(HasKind(ErrorKind::kInvalidArgument), HasMessage("c.csv")));
  EXPECT_THAT(Lines(Put("d.jsonl", "{\"a\": 1}\n{\"a\": \n")), AllOf(HasKind(ErrorKind::kInvalidArgument), HasMessage("d.jsonl")));
  EXPECT_THAT(Lines(Put("e.jsonl", "{\"at\": \"2013-01-01\"}\n"), {.schema = SchemaOf({{"at", "timestamptz"}})}),
              AllOf(HasKind(ErrorKind::kInvalidArgument), HasMessage("column 'at': row 0: '2013-01-01' is no timestamptz")));
  EXPECT_THAT(Lines(Put("f.parquet", "no parquet at all")), AllOf(HasKind(ErrorKind::kCorruption), HasMessage("f.parquet")));
  EXPECT_THAT(Lines(Put("g.csv", "a\nx\xff\n"), {.schema = SchemaOf({{"a", "string"}})}), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(Lines(Put("g.jsonl", "{\"a\": \"x\xff\"}\n")), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(Lines(directory_ + "/gone.csv"), AllOf(HasKind(ErrorKind::kNotFound), HasMessage("gone.csv")));
  std::filesystem::create_directory(directory_ + "/d.csv");
  EXPECT_THAT(Lines(directory_ + "/d.csv"), AllOf(HasKind(ErrorKind::kInvalidArgument), HasMessage("directory")));
  EXPECT_THAT(RowFormatOfPath("a.txt"), HasKind(ErrorKind::kInvalidArgument));
}

TEST_F(Files, JsonLinesKeepZonesApart) {
  const std::string path = Put("a.jsonl", "{\"i\": 1, \"z\": \"2013-01-01T05:00:00Z\", \"n\": \"2013-01-01 05:00:00\", \"e\": null}\n"
                                          "{\"i\": 2.5, \"n\": null}\n");
  ASSERT_OK_AND_ASSIGN(const auto lines, Lines(path));
  EXPECT_THAT(lines, ElementsAre(R"({"i":1.0,"z":"2013-01-01T05:00:00Z","n":"2013-01-01T05:00:00","e":null})",
                                 R"({"i":2.5,"z":null,"n":null,"e":null})"));
}

TEST_F(Files, WhatIsWrittenAsJsonLinesIsReadAgain) {
  const Schema schema = SchemaOf({{"b", "boolean"}, {"i", "int"}, {"f", "float"}, {"dec", "decimal(9, 3)"}, {"day", "date"}, {"t", "time"},
                                  {"ts", "timestamp"}, {"tz", "timestamptz"}, {"s", "string"}, {"u", "uuid"}, {"x", "fixed[2]"}, {"y", "binary"}});
  const std::string line = R"({"b":true,"i":-7,"f":0.1,"dec":"1.250","day":"2013-01-02","t":"01:02:03.000004","ts":"2013-01-01T00:00:00",)"
                           R"("tz":"2013-01-01T00:00:00Z","s":"zürich","u":"f79c3e09-677c-4bbd-a479-3f349cb785e7","x":"aGk=","y":""})";
  const std::string none = R"({"b":null,"i":null,"f":null,"dec":null,"day":null,"t":null,"ts":null,"tz":null,"s":null,"u":null,"x":null,"y":null})";
  const std::string path = Put("a.jsonl", line + "\n" + none + "\n");
  ASSERT_OK_AND_ASSIGN(ArrowStream rows, ReadRows(path, RowFormat::kJsonLines, {.schema = schema}));
  ASSERT_OK_AND_ASSIGN(ArrowStream conformed, ConformRows(std::move(rows), schema));
  EXPECT_THAT(JsonLines(std::move(conformed)), ElementsAre(line, none));
}

TEST_F(Files, GzipIsLookedThrough) {
  const std::string path = Put("a.csv", "a\n1\n");
  ASSERT_EQ(std::system(("gzip -k " + path).c_str()), 0);
  ASSERT_OK_AND_ASSIGN(const auto lines, Lines(path + ".gz"));
  EXPECT_THAT(lines, ElementsAre(R"({"a":1})"));
  std::filesystem::resize_file(path + ".gz", std::filesystem::file_size(path + ".gz") - 6);
  EXPECT_THAT(Lines(path + ".gz"), HasKind(ErrorKind::kInvalidArgument));
}

TEST_F(Files, ManyBlocksGiveEveryRow) {
  std::string text = "id,word\n";
  for (int i = 0; i < 300'000; ++i) text += fmt::format("{},word {}\n", i, i % 1000);
  ASSERT_OK_AND_ASSIGN(ArrowStream rows, ReadRows(Put("a.csv", text), RowFormat::kCsv));
  ASSERT_OK_AND_ASSIGN(const TablePtr table, ReadAll(std::move(rows)));
  ASSERT_EQ(table->num_rows(), 300'000);
  EXPECT_TRUE(table->column(0)->GetScalar(299'999).ValueOrDie()->Equals(arrow::Int64Scalar(299'999)));
}

TEST_F(Files, ParquetIsReadAsItIs) {
  const Schema schema = SchemaOf({{"a", "long"}, {"u", "uuid"}});
  const auto store = OpenLocalStore(directory_, /*create=*/false);
  ASSERT_THAT(store, IsOk());
  ASSERT_THAT(WriteFile(**store, "f.parquet", schema, {Batch({{"a", Values(arrow::int64(), "[1, null]")}})}), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto lines, Lines(directory_ + "/f.parquet"));
  EXPECT_THAT(lines, ElementsAre(R"({"a":1,"u":null})", R"({"a":null,"u":null})"));
}

}  // namespace
}  // namespace datashard::data
