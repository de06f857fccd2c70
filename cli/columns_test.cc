#include "cli/columns.h"

#include "support/matchers.h"

namespace datashard::cli {
namespace {

using ::testing::ElementsAre;

TEST(ParseSchemaText, ReadsNamesTypesAndRequired) {
  ASSERT_OK_AND_ASSIGN(const Schema schema,
                       ParseSchemaText("id:long!, name : string,amount:decimal(10, 2)!,key:fixed[16]"));
  ASSERT_EQ(schema.fields.size(), 4u);
  EXPECT_EQ(schema.fields[0], (Field{.id = 1, .name = "id", .type = Type(TypeKind::kLong), .required = true}));
  EXPECT_EQ(schema.fields[1], (Field{.id = 2, .name = "name", .type = Type(TypeKind::kString)}));
  EXPECT_EQ(schema.fields[2], (Field{.id = 3, .name = "amount", .type = Type::Decimal(10, 2), .required = true}));
  EXPECT_EQ(schema.fields[3], (Field{.id = 4, .name = "key", .type = Type::Fixed(16)}));
}

TEST(ParseSchemaText, QuotedNamesMayHoldSyntax) {
  ASSERT_OK_AND_ASSIGN(const Schema schema, ParseSchemaText(R"("a,b:c":long,"say ""hi""":string)"));
  EXPECT_EQ(schema.fields[0].name, "a,b:c");
  EXPECT_EQ(schema.fields[1].name, "say \"hi\"");
}

TEST(ParseSchemaText, MistakesAreNamed) {
  const std::pair<std::string_view, std::string_view> kMistakes[] = {
      {"", "is not name:type"},
      {"id", "'id' is not name:type"},
      {"id:long,", "is not name:type"},
      {"id:long:string", "is not name:type"},
      {":long", "a column name is empty"},
      {"id:lnog", "unknown type 'lnog'"},
      {"id:", "unknown type ''"},
      {"id:long!!", "unknown type 'long!'"},
      {"id:decimal(39,2)", "unknown type 'decimal(39,2)'"},
      {"\"id:long", "never closed"},
      {"\"id\"x:long", "text after the closing quote"},
  };
  for (const auto& [text, message] : kMistakes) {
    const Result<Schema> schema = ParseSchemaText(text);
    EXPECT_THAT(schema, HasKind(ErrorKind::kInvalidArgument)) << text;
    EXPECT_THAT(schema, HasMessage(message)) << text;
  }
  EXPECT_THAT(ParseSchemaText("id:long,id:string"), HasKind(ErrorKind::kInvalidArgument));
}

TEST(ParseNames, SplitsAtCommasOutsideOfQuotes) {
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, ParseNames(R"(a, b ,"c,d")"));
  EXPECT_THAT(names, ElementsAre("a", "b", "c,d"));
  EXPECT_THAT(ParseNames("a,,b"), HasMessage("a column name is empty"));
  EXPECT_THAT(ParseNames(""), HasKind(ErrorKind::kInvalidArgument));
}

TEST(ParseTypeOverride, ReadsColumnAndType) {
  ASSERT_OK_AND_ASSIGN(const auto override, ParseTypeOverride("time_hour=timestamptz"));
  EXPECT_EQ(override.first, "time_hour");
  EXPECT_EQ(override.second, Type(TypeKind::kTimestampTz));
  EXPECT_THAT(ParseTypeOverride("time_hour"), HasMessage("is not column=type"));
  EXPECT_THAT(ParseTypeOverride("time_hour=instant"), HasMessage("unknown type 'instant'"));
}

TEST(ParseSchemaJson, ReadsIcebergsOwnFormWithNestedTypes) {
  ASSERT_OK_AND_ASSIGN(const Schema schema, ParseSchemaJson(R"({"type": "struct", "schema-id": 3, "fields": [
      {"id": 1, "name": "id", "required": true, "type": "long", "doc": "the key"},
      {"id": 2, "name": "tags", "required": false,
       "type": {"type": "list", "element-id": 3, "element-required": true, "element": "string"}},
      {"id": 4, "name": "place", "required": false,
       "type": {"type": "struct", "fields": [{"id": 5, "name": "x", "required": true, "type": "double"}]}},
      {"id": 6, "name": "notes", "required": false,
       "type": {"type": "map", "key-id": 7, "key": "string", "value-id": 8, "value-required": false, "value": "string"}}]})",
                                                            "x.json"));
  ASSERT_EQ(schema.fields.size(), 4u);
  EXPECT_EQ(schema.fields[0],
            (Field{.id = 1, .name = "id", .type = Type(TypeKind::kLong), .required = true, .doc = "the key"}));
  EXPECT_EQ(schema.fields[1].type.children()[0].id, 3);
  EXPECT_TRUE(schema.fields[1].type.children()[0].required);
  EXPECT_EQ(schema.fields[2].type.children()[0].name, "x");
  EXPECT_EQ(schema.fields[3].type.children()[1].id, 8);
  EXPECT_EQ(schema.HighestFieldId(), 8);
}

TEST(ParseSchemaJson, GivesOutIdsWhereThereAreNone) {
  ASSERT_OK_AND_ASSIGN(const Schema schema,
                       ParseSchemaJson(R"({"fields": [{"name": "a", "type": {"type": "list", "element": "int"}},
      {"name": "b", "type": "string", "required": true}]})",
                                       "x.json"));
  EXPECT_EQ(schema.fields[0].id, 1);
  EXPECT_EQ(schema.fields[1].id, 2);
  EXPECT_EQ(schema.fields[0].type.children()[0].id, 3);
}

TEST(ParseSchemaJson, MistakesNameFileAndField) {
  const std::pair<std::string_view, std::string_view> kMistakes[] = {
      {"", "schema in x.json: this is not JSON"},
      {"{\"fields\": [", "this is not JSON"},
      {"[]", "expected an object with \"fields\""},
      {R"({"fields": 5})", "\"fields\" must be a list"},
      {R"({"fields": [5]})", "a field must be an object"},
      {R"({"fields": [{"type": "long"}]})", "a field needs a \"name\""},
      {R"({"fields": [{"name": "a"}]})", "field a: \"type\" is missing"},
      {R"({"fields": [{"name": "a", "type": "lnog"}]})", "field a: "},
      {R"({"fields": [{"name": "a", "type": 5}]})", "field a: a type is a name"},
      {R"({"fields": [{"name": "a", "type": {"type": "list"}}]})", "field a.element: \"element\" is missing"},
      {R"({"fields": [{"name": "a", "type": "long", "required": 1}]})", "\"required\" must be true or false"},
      {R"({"fields": [{"name": "a", "type": "long", "id": 0}]})", "\"id\" must be a whole number from 1 on"},
      {R"({"fields": [{"name": "a", "type": "long", "id": 18446744073709551615}]})", "\"id\" must be a whole number"},
      {R"({"fields": [{"name": "a", "type": "long", "id": 1}, {"name": "b", "type": "long"}]})",
       "give all of them or none"},
  };
  for (const auto& [json, message] : kMistakes) {
    const Result<Schema> schema = ParseSchemaJson(json, "x.json");
    EXPECT_THAT(schema, HasKind(ErrorKind::kInvalidArgument)) << json;
    EXPECT_THAT(schema, HasMessage(message)) << json;
  }
}

TEST(ParseSchemaJson, DepthIsBounded) {
  std::string type = "\"long\"";
  for (int i = 0; i < 40; ++i) type = R"({"type": "list", "element": )" + type + "}";
  EXPECT_THAT(ParseSchemaJson(R"({"fields": [{"name": "a", "type": )" + type + "}]}", "x.json"),
              HasMessage("deeper than 32"));
  EXPECT_THAT(ParseSchemaJson(std::string(500'000, '['), "x.json"), HasMessage("not JSON"));
}

}  // namespace
}  // namespace datashard::cli
