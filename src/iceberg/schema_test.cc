#include "datashard/schema.h"

#include "datashard/filter.h"
#include "support/matchers.h"

namespace datashard {
namespace {

using ::testing::HasSubstr;

TEST(Types, NamesAreReadAndPrinted) {
  for (const char* name : {"boolean", "int", "long", "float", "double", "date", "time", "timestamp", "timestamptz",
                           "string", "uuid", "binary", "decimal(10, 2)", "decimal(38, 38)", "decimal(1, 0)", "fixed[16]"}) {
    ASSERT_OK_AND_ASSIGN(const Type type, Type::Parse(name));
    EXPECT_EQ(type.ToString(), name);
  }
  ASSERT_OK_AND_ASSIGN(const Type tight, Type::Parse("decimal(9,2)"));
  EXPECT_EQ(tight, Type::Decimal(9, 2));
}

TEST(Types, WhatIsNoTypeIsRefusedWithItsReason) {
  EXPECT_THAT(Type::Parse("text"), HasMessage("type 'text': unknown"));
  EXPECT_THAT(Type::Parse("fixed"), HasMessage("use fixed[L]"));
  for (const char* name : {"", "Long", "decimal", "decimal()", "decimal(39, 2)", "decimal(5, 6)", "decimal(5)",
                           "decimal(5, 2", "decimal(5, -1)", "decimal(99999999999, 1)", "fixed[0]", "fixed[-1]", "fixed[]",
                           "list<int>", "timestamp_ns"}) {
    EXPECT_THAT(Type::Parse(name), HasKind(ErrorKind::kInvalidArgument)) << name;
    EXPECT_THAT(Type::Parse(name), HasSubject(ErrorSubject::kSchema)) << name;
  }
}

Schema Nested() {
  return {.fields = {{.id = 1, .name = "a", .type = Type(TypeKind::kLong)},
                     {.id = 2, .name = "s", .type = Type::Struct({{.id = 3, .name = "a", .type = Type(TypeKind::kInt)}})},
                     {.id = 4,
                      .name = "m",
                      .type = Type::Map({.id = 5, .name = "key", .type = Type(TypeKind::kString)},
                                        {.id = 9, .name = "value", .type = Type(TypeKind::kInt)})}}};
}

TEST(Schemas, FieldsAreFoundByNameAndId) {
  const Schema schema = Nested();
  EXPECT_EQ(schema.Find("s")->id, 2);
  EXPECT_EQ(schema.Find("key"), nullptr) << "nested names are not top-level names";
  EXPECT_EQ(schema.FindById(9)->name, "value");
  EXPECT_EQ(schema.FindById(8), nullptr);
  EXPECT_EQ(schema.HighestFieldId(), 9);
  EXPECT_EQ(Schema{}.HighestFieldId(), 0);
  EXPECT_THAT(schema.Validate(), IsOk());
}

TEST(Schemas, FaultsAreNamed) {
  Schema schema = Nested();
  schema.fields[1].id = 9;
  EXPECT_THAT(schema.Validate(), HasMessage("id 9 is used twice"));
  schema = Nested();
  schema.fields[1].name = "a";
  EXPECT_THAT(schema.Validate(), HasMessage("the name 'a' is used twice"));
  schema = Nested();
  schema.fields[0].name = "";
  EXPECT_THAT(schema.Validate(), HasMessage("id 1 has an empty name"));
  schema = Nested();
  schema.fields[0].id = 0;
  EXPECT_THAT(schema.Validate(), HasMessage("ids start at 1"));
  schema = Nested();
  schema.fields[0].type = Type::Decimal(40, 2);
  EXPECT_THAT(schema.Validate(), HasMessage("decimal(40, 2) is out of range"));
  schema.fields[0].type = Type::List({.id = 20, .name = "element", .type = Type::Fixed(0)});
  EXPECT_THAT(schema.Validate(), HasSubject(ErrorSubject::kSchema));
}

TEST(Schemas, DocsDoNotMakeFieldsDifferent) {
  Schema other = Nested();
  other.schema_id = 5;
  other.fields[0].doc = "words";
  EXPECT_TRUE(SameFields(Nested(), other));
  other.fields[0].required = true;
  EXPECT_FALSE(SameFields(Nested(), other));
  other = Nested();
  other.fields[1].type = Type::Struct({{.id = 3, .name = "a", .type = Type(TypeKind::kInt), .doc = "d"}});
  EXPECT_TRUE(SameFields(Nested(), other));
  other.fields[1].type = Type::Struct({{.id = 3, .name = "a", .type = Type(TypeKind::kLong)}});
  EXPECT_FALSE(SameFields(Nested(), other));
  std::swap(other.fields[0], other.fields[1]);
  EXPECT_FALSE(SameFields(Nested(), other)) << "the order counts";
}

TEST(FilterOps, EverySpellingIsKnown) {
  const std::pair<const char*, FilterOp> kCases[] = {
      {"==", FilterOp::kEq}, {"=", FilterOp::kEq}, {"EQ", FilterOp::kEq}, {"!=", FilterOp::kNe}, {"<>", FilterOp::kNe},
      {"ne", FilterOp::kNe}, {"<", FilterOp::kLt}, {"lt", FilterOp::kLt}, {"<=", FilterOp::kLe}, {"le", FilterOp::kLe},
      {">", FilterOp::kGt}, {"gt", FilterOp::kGt}, {">=", FilterOp::kGe}, {"ge", FilterOp::kGe}, {"In", FilterOp::kIn},
      {"not_in", FilterOp::kNotIn}, {"NOT IN", FilterOp::kNotIn}, {"not  in ", FilterOp::kNotIn},
      {"notin", FilterOp::kNotIn}, {"between", FilterOp::kBetween}, {"is_null", FilterOp::kIsNull},
      {"isnull", FilterOp::kIsNull}, {"IS NULL", FilterOp::kIsNull}, {"is_not_null", FilterOp::kIsNotNull},
      {"notnull", FilterOp::kIsNotNull}, {"isnotnull", FilterOp::kIsNotNull}, {"is not null", FilterOp::kIsNotNull}};
  for (const auto& [text, op] : kCases) {
    ASSERT_OK_AND_ASSIGN(const FilterOp parsed, ParseFilterOp(text));
    EXPECT_EQ(parsed, op) << text;
    ASSERT_OK_AND_ASSIGN(const FilterOp again, ParseFilterOp(ToString(op)));
    EXPECT_EQ(again, op);
  }
  for (const char* text : {"", "like", "===", "_", "i n"})
    EXPECT_THAT(ParseFilterOp(text), HasMessage("known are ==, !=")) << text;
}

TEST(Literals, AreShownShortAndQuoted) {
  EXPECT_EQ(ToString(Literal()), "null");
  EXPECT_EQ(ToString(Literal(true)), "true");
  EXPECT_EQ(ToString(Literal(int64_t{-5})), "-5");
  EXPECT_EQ(ToString(Literal(0.1)), "0.1");
  EXPECT_EQ(ToString(Literal(std::string("it's\n"))), "'it\\'s\\x0a'");
  EXPECT_EQ(ToString(Literal(DateValue{-1})), "1969-12-31");
  EXPECT_EQ(ToString(Literal(TimeValue{3'661'000'001})), "01:01:01.000001");
  EXPECT_EQ(ToString(Literal(TimestampValue{-1, true})), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(ToString(Literal(TimestampValue{0, false})), "1970-01-01T00:00:00");
  EXPECT_THAT(ToString(Literal(TimestampValue{INT64_MIN, true})), HasSubstr("T19:59:05.224192Z"));
  EXPECT_THAT(ToString(Literal(DateValue{INT32_MIN})), HasSubstr("days"));
  EXPECT_EQ(ToString(Literal(DecimalValue{"1.50"})), "1.50");
  EXPECT_EQ(ToString(Literal(BinaryValue{std::string("\x00\xff", 2)})), "0x00ff");
  UuidValue uuid{};
  uuid.bytes[15] = 10;
  EXPECT_EQ(ToString(Literal(uuid)), "00000000-0000-0000-0000-00000000000a");
  const std::string longest = ToString(Literal(std::string(63, 'a') + "äää"));
  EXPECT_EQ(longest, "'" + std::string(63, 'a') + "…'") << "cut between characters";
}

}  // namespace
}  // namespace datashard
