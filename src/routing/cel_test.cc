#include "routing/cel.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "routing/routing_values.h"
#include "routing/router.h"
#include "support/matchers.h"

namespace datashard::routing {
namespace {

using namespace std::string_view_literals;

const CompiledCel::Columns kColumns = {{"i", CelType::kInt}, {"u", CelType::kUint}, {"s", CelType::kString},
                                       {"b", CelType::kBytes}, {"d", CelType::kDouble}, {"t", CelType::kBool}};
const std::vector<CelValue> kRow = {int64_t{5}, uint64_t{3}, CelText{"h\u00e9llo"}, CelBytes{"\x00\xff"sv}, 2.5, true};

/// The result as text: a number, "text", b"bytes", or the error.
std::string Evaluated(const std::string& expression, const std::vector<CelValue>& row = kRow) {
  auto compiled = CompiledCel::Compile(expression, kColumns);
  if (!compiled.ok()) return compiled.error().ToString();
  CelScratch scratch;
  auto result = (*compiled)->Evaluate(row, scratch);
  return result.ok() ? ToString(*result) : result.error().ToString();
}
/// The same of a bool.
std::string Truth(const std::string& expression) { return Evaluated("(" + expression + ") ? 1 : 0"); }
/// How compiling ends.
Status Compiled(const std::string& expression) {
  auto compiled = CompiledCel::Compile(expression, kColumns);
  if (!compiled.ok()) return compiled.error();
  return {};
}

TEST(Cel, EvaluatesTheCommonForms) {
  EXPECT_EQ(Evaluated("shard_hash(i) % 8u"), fmt::format("{}", *HashOf(KeyView::Int(5)) % 8));
  EXPECT_EQ(Evaluated("int(shard_hash(s) % 8u)"), fmt::format("{}", *HashOf(KeyView::Text("h\u00e9llo")) % 8));
  EXPECT_EQ(Evaluated("shard_hash(b)"), "12221366661834116083");
  EXPECT_EQ(Evaluated("s + \":\" + string(i)"), "\"h\u00e9llo:5\"");
  EXPECT_EQ(Evaluated("i < 3 ? 0 : i < 6 ? 1 : 2"), "1");
  EXPECT_EQ(Evaluated("s.startsWith('h') && !(i in [1, 2]) ? \"a\" : \"b\""), "\"a\"");
  EXPECT_EQ(Evaluated("b + b'\\x01'"), "b\"\\x00\\xff\\x01\"");
}

TEST(Cel, CalculatesByCelsRules) {
  EXPECT_EQ(Evaluated("-7 / 2"), "-3");
  EXPECT_EQ(Evaluated("-7 % 2"), "-1");
  EXPECT_EQ(Evaluated("1 + 2 * 3 - 4"), "3");
  EXPECT_EQ(Evaluated("i--1"), "6");
  EXPECT_EQ(Evaluated("---5"), "-5");
  EXPECT_EQ(Evaluated("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(Evaluated("-0x8000000000000000"), "-9223372036854775808");
  EXPECT_EQ(Evaluated("18446744073709551615u"), "18446744073709551615");
  EXPECT_EQ(Evaluated("string(1.0 / 3.0)"), "\"0.3333333333333333\"");
  EXPECT_EQ(Evaluated("string(1234567.0) + string(2.0) + string(-1.0/0.0)"), "\"1.234567e+062-inf\"");
  for (const std::string fails : {"9223372036854775807 + 1", "-9223372036854775808 / -1", "-9223372036854775808 % -1", "0u - 1u", "u - 4u",
                                  "i * 9223372036854775807", "-(-9223372036854775808)"}) {
    EXPECT_THAT(Evaluated(fails), testing::HasSubstr("invalid argument: cel_expr: `")) << fails;
    EXPECT_THAT(Evaluated(fails), testing::HasSubstr("the result does not fit its type")) << fails;
  }
  EXPECT_THAT(Evaluated("10 + i / 0"), testing::HasSubstr("`i / 0` (line 1, column 6): division by zero"));
  EXPECT_THAT(Evaluated("u % 0u"), testing::HasSubstr("modulus by zero"));
}

TEST(Cel, ConvertsOnlyWhatIsExactlyThere) {
  EXPECT_EQ(Evaluated("int(' +5 ')"), "5");
  EXPECT_EQ(Evaluated("int(-2.9)"), "-2");
  EXPECT_EQ(Evaluated("uint('5') + uint(2.9) + uint(i)"), "12");
  EXPECT_EQ(Evaluated("int(double('0x10') + double(' 1e2 '))"), "116");
  EXPECT_EQ(Evaluated("string(double('1e400')) + string(double('-1e-400')) + string(double('NaN'))"), "\"inf-0nan\"");
  EXPECT_EQ(Evaluated("string(b'abc') + string(bool('T' == 't' ? '1' : 'FALSE'))"), "\"abcfalse\"");
  EXPECT_EQ(Evaluated("size(bytes(s)) * 10 + s.size()"), "65");
  for (const std::string fails : {"int('')", "int('5.0')", "int(9223372036854775808.0)", "int(-9223372036854775808.0)", "uint(-1)", "uint('-0')",
                                  "uint(-0.5)", "int(0.0/0.0)", "int(18446744073709551615u)", "bool('yes') ? 1 : 0", "int(double('x'))"}) {
    EXPECT_THAT(Evaluated(fails), testing::HasSubstr("cannot be converted")) << fails;
  }
  EXPECT_THAT(Evaluated("string(b)"), testing::HasSubstr("the bytes are not UTF-8"));
  EXPECT_THAT(Evaluated("shard_hash(18446744073709551615u)"), testing::HasSubstr("shard_hash takes integers up to"));
}

TEST(Cel, ComparesWithinATypeOnly) {
  for (const std::string holds : {"i >= 5", "u < 4u", "s > 'h'", "b < b'\\x01'", "false < true", "d == 2.5", "null == null", "i != 6", "-0.0 == 0.0",
                                  "0.0/0.0 != 0.0/0.0", "i in [1, 5,]", "!(i in [])", "!(i in [,])", "1 < 2 == true", "'\\U0001F600' > '\\uffff'", "null in [null]"}) {
    EXPECT_EQ(Truth(holds), "1") << holds;
  }
  EXPECT_EQ(Truth("0.0/0.0 >= 1.0"), "0");
  EXPECT_EQ(Truth("null != null"), "0");
  for (const std::string refused : {"1 < 1u", "1 == 1.0", "i + 1u", "'a' < b'a'", "i == null", "i in [1u]", "t && 1", "!i", "-u", "d % 2.0", "s * 2",
                                    "null < null", "shard_hash(i) % 8", "shard_hash(d)", "int(t)", "i.size()", "s.contains(b'a')", "'x' in 'xy'"}) {
    EXPECT_THAT(Compiled(refused), HasKind(ErrorKind::kInvalidArgument)) << refused;
  }
  EXPECT_THAT(Compiled("shard_hash(i) % 8"), HasMessage("`shard_hash(i) % 8` (line 1, column 1): there is no such operation of uint and int"));
}

TEST(Cel, LetsOneOperandOfAndAndOrDecideOverFaults) {
  EXPECT_EQ(Truth("1/0 == 1 || true"), "1");
  EXPECT_EQ(Truth("true || 1/0 == 1"), "1");
  EXPECT_EQ(Truth("1/0 == 1 && false"), "0");
  EXPECT_EQ(Truth("t && 1/0 == 1 && !t"), "0");
  EXPECT_THAT(Truth("1/0 == 1 || false"), testing::HasSubstr("division by zero"));
  EXPECT_THAT(Truth("t && 1/0 == 1"), testing::HasSubstr("division by zero"));
  EXPECT_THAT(Truth("i in [5, 1/0]"), testing::HasSubstr("division by zero"));
}

TEST(Cel, ReadsEveryKindOfLiteral) {
  EXPECT_EQ(Evaluated(R"("\a\b\f\n\r\t\v\\\?\"\'\`" == "\x07\X08\014\012\015\u0009\U0000000B\134\077\042\047\140" ? 1 : 0)"), "1");
  EXPECT_EQ(Evaluated(R"("\xff")"), "\"\u00ff\"");
  EXPECT_EQ(Evaluated(R"(b"\xff\377A\u")"), "invalid argument: cel_expr, literal at line 1, column 1: the escape \\\"u\" is none of CEL");
  EXPECT_THAT(Compiled(R"(b"\u00e9")"), HasMessage("in bytes"));
  EXPECT_EQ(Evaluated(R"(B'\xff' + b"""a"b""" + bR'\n')"), "b\"\\xffa\\\"b\\\\n\"");
  EXPECT_EQ(Evaluated("'''a\n'b''' + r\"\\d\" + \"\"\"\"q\"\"\""), "\"a\\x0a'b\\\\d\\\"q\"");
  EXPECT_EQ(Evaluated("b'''1\r\n2\r3'''"), "b\"1\\x0a2\\x0a3\"");
  EXPECT_EQ(Evaluated("0x1F + 010"), "41");
  EXPECT_EQ(Evaluated("string(.5 + 1.5e-3 + 1E3)"), "\"1000.5015\"");
  EXPECT_EQ(Evaluated("5U // five"), "5");
  for (const std::string refused : {"'a", "'a\nb'", "\"\\q\"", "'\\400'", "'\\x4'", "'\\ud800'", "'\\U00110000'", "r'a\\'", "9223372036854775808",
                                    "18446744073709551616u", "0xFFFFFFFFFFFFFFFF", "1.", "1a", "0X1F", "'''a''"}) {
    EXPECT_THAT(Compiled(refused), HasKind(ErrorKind::kInvalidArgument)) << refused;
  }
}

TEST(Cel, SaysWhereTheSyntaxIsWrong) {
  EXPECT_THAT(Compiled("i +"), HasMessage("cel_expr ends where a value is expected"));
  EXPECT_THAT(Compiled("i\n  i"), HasMessage("unexpected `i` (line 2, column 3); an operator or the end is expected"));
  EXPECT_THAT(Compiled("(i"), HasMessage("')' is expected"));
  EXPECT_THAT(Compiled("t ? 1"), HasMessage("':' and the other value is expected"));
  EXPECT_THAT(Compiled("i & 5"), HasMessage("\"&\" starts nothing at line 1, column 3"));
  EXPECT_THAT(Compiled("'\u00e9' + \u00e9"), HasMessage("\"\u00e9\" starts nothing at line 1, column 7"));
  EXPECT_THAT(Compiled("if"), HasMessage("reserved word"));
  EXPECT_THAT(Compiled("i + zz"), HasMessage("`zz` (line 1, column 5) is no column; cel_columns has i, u, s, b, d, t"));
  EXPECT_THAT(Compiled("\xff"), HasMessage("not UTF-8"));
  EXPECT_THAT(Compiled("startsWith(s, 'h')"), HasMessage("write text.startsWith(…)"));
  EXPECT_THAT(Compiled("i.shard_hash()"), HasMessage("write shard_hash(…)"));
  EXPECT_THAT(Compiled("shard_hash(i, i)"), HasMessage("shard_hash takes 1 argument, not 2"));
  for (const std::string& refused : std::vector<std::string>{"", "  ", "-!t", "t ? t ? 1 : 2 : 3", "i i", ")", "i,", "i.", "f(,)", "f(1,)", "[1", "{1}", "i[", "..i", "t||", std::string("\0i", 2)}) {
    EXPECT_THAT(Compiled(refused), HasKind(ErrorKind::kInvalidArgument)) << refused;
  }
}

TEST(Cel, NamesWhatOnlyThePythonReaderEvaluates) {
  for (const auto& [expression, part] : std::vector<std::pair<std::string, std::string>>{
           {"1 + (s.matches('h.*') ? 1 : 2)", "`s.matches('h.*')` (line 1, column 6) is a call of matches"}, {"matches(s, 'a') ? 1 : 2", "a call of matches"},
           {"[1, 2].exists(x, x == 1) ? 1 : 2", "a call of exists"}, {"has(a.b) ? 1 : 2", "a call of has"}, {"{'a': 1}['a']", "an index"},
           {"size({'a': 1})", "`{'a': 1}` (line 1, column 6) is a map"}, {"size([1])", "a list outside of `in`"}, {"dyn(i)", "a call of dyn"},
           {"a.b", "a field selection"}, {"int == int ? 1 : 2", "a type as a value"}, {"google.protobuf.Timestamp{}", "a message"},
           {"timestamp('2020-01-01T00:00:00Z') > timestamp('') ? 1 : 2", "a call of timestamp"}, {"math.abs(i)", "a call of abs"},
           {"i in [1, 1u] ? 1 : 2", "a list of several types"}, {"i in {5: 1} ? 1 : 2", "a map"}}) {
    EXPECT_THAT(Compiled(expression), HasKind(ErrorKind::kUnsupported)) << expression;
    EXPECT_THAT(Compiled(expression), HasMessage(part)) << expression;
    EXPECT_THAT(Compiled(expression), HasMessage("The Python reader evaluates it with the package cel-expr-python")) << expression;
  }
}

TEST(Cel, RefusesResultsThatAreNoShard) {
  for (const std::string refused : {"t", "d", "null", "i == 5"}) EXPECT_THAT(Compiled(refused), HasMessage("a shard is an int or uint")) << refused;
  EXPECT_EQ((*CompiledCel::Compile("i", kColumns))->result_type(), CelType::kInt);
  EXPECT_EQ((*CompiledCel::Compile("u", kColumns))->result_type(), CelType::kUint);
  EXPECT_EQ((*CompiledCel::Compile("s", kColumns))->result_type(), CelType::kString);
  EXPECT_EQ((*CompiledCel::Compile("b", kColumns))->result_type(), CelType::kBytes);
  EXPECT_THAT(CompiledCel::Compile("1", {{"a", CelType::kInt}, {"a", CelType::kInt}}), HasMessage("names \"a\" twice"));
}

TEST(Cel, ReadsColumnsOnlyWhereItNeedsThem) {
  const std::vector<CelValue> nulls(6);
  EXPECT_EQ(Evaluated("true || t ? 7 : i", nulls), "7");
  EXPECT_EQ(Evaluated("i", nulls), "invalid argument: column \"i\" of the sharding expression takes int; it was given null");
  const std::vector<CelValue> converted = {uint64_t{5}, int64_t{3}, CelBytes{"abc"}, CelBytes{""}, int64_t{4}, false};
  EXPECT_EQ(Evaluated("s + string(i + 1) + string(u + 1u) + string(d + 0.5)", converted), "\"abc644.5\"");
  const std::vector<CelValue> wrong = {UINT64_MAX, int64_t{-3}, CelBytes{"\xff"}, CelText{"x"}, true, int64_t{1}};
  for (const std::string column : {"i", "u", "s", "b", "d < 1.0 ? 1 : 2", "t ? 1 : 2"}) {
    EXPECT_THAT(Evaluated(column, wrong), testing::HasSubstr("it was given")) << column;
  }
  EXPECT_EQ(Evaluated("i", {}), "invalid argument: the sharding expression reads 6 columns; 0 values were given");
}

TEST(Cel, BoundsDepthSizeAndMemory) {
  const auto repeated = [](const std::string& part, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += part;
    return text;
  };
  EXPECT_EQ(Evaluated(repeated("(", 200) + "i" + repeated(")", 200)), "5");
  for (const int depth : {251, 5000, 100'000}) {
    EXPECT_THAT(Compiled(repeated("(", depth)), HasKind(ErrorKind::kInvalidArgument));
    EXPECT_THAT(Compiled(repeated("[", depth)), HasMessage("nests deeper than 250 levels"));
    EXPECT_THAT(Compiled(repeated("t?1:", depth) + "1"), HasMessage("nests deeper"));
    EXPECT_THAT(Compiled(repeated("i+", depth) + "1"), HasMessage("nests deeper"));
    EXPECT_THAT(Compiled(repeated("!(", depth) + "t"), HasMessage("nests deeper"));
  }
  EXPECT_EQ(Truth(repeated("i==6||", 50'000) + "t"), "1");
  EXPECT_EQ(Evaluated(repeated("-", 100'001) + "i"), "-5");
  EXPECT_THAT(Compiled(repeated("i", (1 << 20) + 1)), HasMessage("at most 1048576 are supported"));
  const std::string large(1'000'000, 'x');
  EXPECT_THAT(Evaluated(repeated("s+", 20) + "s", {int64_t{0}, uint64_t{0}, CelText{large}, CelBytes{}, 0.0, true}), testing::HasSubstr("exceed 16 MiB"));
}

// Whatever the bytes, there is an answer, and what compiles can be evaluated.
TEST(Cel, SurvivesMutilatedExpressions) {
  const auto seeded = SeededRandom(6);
  Random& random = *seeded;
  const std::vector<std::string> seeds = {
      "shard_hash(s + ':' + string(i)) % 8u", "(i<5?(i<-3?0:1):(i<9?2:3))", "s.startsWith(\"h\\u00e9\") && !(i in [1, 2, 3]) ? b'\\xff' : bytes(s)",
      "-i * 0x1F / (u == 3u ? 2 : int(d)) % 7", "'''a\n''' + r\"\\d\" + string(1.5e-3)", "true || null == null ? int('12') : size(b)",
      "{'a': [1]}.a[0] + google.T{x: 1}.x // end"};
  const std::string alphabet = "()[]{}.,:?!=<>&|+-*/%'\"\\ rbux019einst\n";
  int compiled_count = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string text = seeds[random.Next() % seeds.size()];
    for (uint64_t edits = 1 + random.Next() % 4; edits > 0; --edits) {
      const size_t at = random.Next() % (text.size() + 1);
      const char c = random.Next() % 16 == 0 ? static_cast<char>(random.Next()) : alphabet[random.Next() % alphabet.size()];
      switch (random.Next() % 4) {
        case 0: text.insert(at, 1, c); break;
        case 1: text.erase(at, 1 + random.Next() % 3); break;
        case 2: text.insert(at, text.substr(random.Next() % (text.size() + 1), random.Next() % 12)); break;
        default: if (at < text.size()) text[at] = c;
      }
    }
    auto compiled = CompiledCel::Compile(text, kColumns);
    if (!compiled.ok()) {
      ASSERT_TRUE(compiled.kind() == ErrorKind::kInvalidArgument || compiled.kind() == ErrorKind::kUnsupported) << text;
      continue;
    }
    ++compiled_count;
    CelScratch scratch;
    auto result = (*compiled)->Evaluate(kRow, scratch);
    ASSERT_TRUE(result.ok() || result.kind() == ErrorKind::kInvalidArgument) << text;
  }
  EXPECT_GT(compiled_count, 1000);
}

ShardingSpec SpecOf(std::string expression, CompiledCel::Columns columns) {
  return {.strategy = ShardingStrategy::kCel, .cel_expr = std::move(expression), .cel_columns = std::move(columns)};
}

TEST(CelRouter, TakesTheResultForTheShardAndChecksIt) {
  ASSERT_OK_AND_ASSIGN(const auto router, MakeRouter(SpecOf("key % 5", {{"key", CelType::kInt}}), 4));
  EXPECT_FALSE(router->needs_context());
  EXPECT_EQ(*router->Route(KeyView::Int(13)), 3);
  EXPECT_THAT(router->Route(KeyView::Int(4)), HasMessage("the sharding expression gives 4; the snapshot has the shards 0 .. 3"));
  EXPECT_THAT(router->Route(KeyView::Int(-1)), HasMessage("gives -1, which is no shard id"));
  EXPECT_THAT(router->Route(KeyView::Text("x")), HasMessage("column \"key\" of the sharding expression takes int; it was given \"x\""));
  EXPECT_THAT(MakeRouter(SpecOf("key", {{"key", CelType::kString}}), 1), HasMessage("gives string, and there are no routing values"));
  EXPECT_THAT(MakeRouter(SpecOf("key.matches('a') ? 0 : 1", {{"key", CelType::kString}}), 2), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(ShardIdOf(KeyView::Int(INT32_MAX)), HasKind(ErrorKind::kInvalidArgument));
}

TEST(CelRouter, AsksForAContextWhereTheRuleHasOtherColumns) {
  ASSERT_OK_AND_ASSIGN(const auto router, MakeRouter(SpecOf("shard_hash(a + string(n)) % 4u", {{"a", CelType::kString}, {"n", CelType::kInt}}), 4));
  EXPECT_TRUE(router->needs_context());
  EXPECT_THAT(router->Route(KeyView::Int(1)), HasMessage("sharded by the columns a (string), n (int); pass their values as routing context"));
  const std::vector<CelValue> context = {CelText{"x"}, int64_t{7}};
  EXPECT_EQ(*router->RouteContext(context), static_cast<int32_t>(*HashOf(KeyView::Text("x7")) % 4));
}

TEST(CelRouter, FindsCategoriesByValueAndKind) {
  ShardingSpec spec = SpecOf("key", {{"key", CelType::kString}});
  spec.routing_values = {Key(KeyView::Bytes("eu")), Key(KeyView::Text("eu")), Key(KeyView::Text("us"))};
  ASSERT_OK_AND_ASSIGN(const auto texts, MakeRouter(spec, 3));
  EXPECT_EQ(*texts->Route(KeyView::Text("eu")), 1);
  EXPECT_EQ(*texts->Route(KeyView::Text("us")), 2);
  EXPECT_EQ(*texts->Route(KeyView::Text("asia")), std::nullopt);
  EXPECT_THAT(MakeRouter(spec, 2), HasMessage("3 routing values for 2 shards"));
  spec.cel_columns = {{"key", CelType::kBytes}};
  ASSERT_OK_AND_ASSIGN(const auto bytes, MakeRouter(spec, 3));
  EXPECT_EQ(*bytes->Route(KeyView::Bytes("eu")), 0);
  EXPECT_EQ(*bytes->Route(KeyView::Bytes("us")), std::nullopt);
  spec = SpecOf("key % 3u", {{"key", CelType::kUint}});
  spec.routing_values = {Key(KeyView::Int(2)), Key(KeyView::Int(0))};
  ASSERT_OK_AND_ASSIGN(const auto numbers, MakeRouter(spec, 2));
  EXPECT_EQ(*numbers->Route(KeyView::Int(5)), 0);
  EXPECT_EQ(*numbers->Route(KeyView::Unsigned(UINT64_MAX)), 1);
  EXPECT_EQ(*numbers->Route(KeyView::Int(4)), std::nullopt);
  spec.routing_values = {Key(KeyView::Int(2)), Key(KeyView::Int(2))};
  EXPECT_THAT(MakeRouter(spec, 2), HasMessage("routing_values 0 and 1 are both 2"));
  spec.routing_values = std::vector<Key>();
  ASSERT_OK_AND_ASSIGN(const auto none, MakeRouter(spec, 1));
  EXPECT_EQ(*none->Route(KeyView::Int(5)), std::nullopt);
}

TEST(RoutingValues, OfResultsAreSortedAndDistinct) {
  const std::vector<Key> sorted = SortedDistinct({Key(KeyView::Int(5)), Key(KeyView::Int(-1)), Key(KeyView::Int(5)), Key(KeyView::Unsigned(UINT64_MAX))});
  EXPECT_EQ(sorted, (std::vector<Key>{Key(KeyView::Int(-1)), Key(KeyView::Int(5)), Key(KeyView::Unsigned(UINT64_MAX))}));
  const std::vector<Key> texts = SortedDistinct({Key(KeyView::Text("\U0001F600")), Key(KeyView::Text("\uffff")), Key(KeyView::Text(""))});
  EXPECT_EQ(texts, (std::vector<Key>{Key(KeyView::Text("")), Key(KeyView::Text("\uffff")), Key(KeyView::Text("\U0001F600"))}));
}

}  // namespace
}  // namespace datashard::routing
