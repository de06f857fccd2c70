#include "cli/where.h"

#include "support/matchers.h"

namespace datashard::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

WhereValue Bare(std::string text) { return {std::move(text), false}; }
WhereValue Quoted(std::string text) { return {std::move(text), true}; }

// The one predicate of `text`.
WherePredicate One(std::string_view text) {
  const Result<std::vector<WherePredicate>> predicates = ParseWhere(text);
  EXPECT_THAT(predicates, IsOk()) << text;
  if (!predicates.ok() || predicates->size() != 1) {
    ADD_FAILURE() << text << " is not one predicate";
    return {};
  }
  return predicates->front();
}

Schema FlightSchema() {
  Schema schema;
  int32_t id = 0;
  const auto add = [&](std::string name, Type type) {
    schema.fields.push_back(Field{.id = ++id, .name = std::move(name), .type = std::move(type)});
  };
  add("dep_delay", Type(TypeKind::kDouble));
  add("flight", Type(TypeKind::kLong));
  add("origin", Type(TypeKind::kString));
  add("day", Type(TypeKind::kDate));
  add("time hour", Type(TypeKind::kTimestampTz));
  add("fare", Type::Decimal(9, 2));
  add("late", Type(TypeKind::kBoolean));
  return schema;
}

TEST(ParseWhere, EverySymbolIsAnOperatorWithAndWithoutSpaces) {
  const std::pair<std::string, FilterOp> kOps[] = {{"=", FilterOp::kEq},  {"==", FilterOp::kEq}, {"!=", FilterOp::kNe},
                                                   {"<>", FilterOp::kNe}, {"<", FilterOp::kLt},  {"<=", FilterOp::kLe},
                                                   {">", FilterOp::kGt},  {">=", FilterOp::kGe}};
  for (const auto& [symbol, op] : kOps) {
    const WherePredicate expected{"a", op, {Bare("-5")}};
    EXPECT_EQ(One("a " + symbol + " -5"), expected) << symbol;
    EXPECT_EQ(One("a" + symbol + "-5"), expected) << symbol;
    EXPECT_EQ(One("\t a" + symbol + "   -5\n"), expected) << symbol;
  }
}

TEST(ParseWhere, EveryWordIsAnOperatorInAnyCase) {
  const std::pair<std::string, FilterOp> kOps[] = {{"eq", FilterOp::kEq}, {"NE", FilterOp::kNe}, {"Lt", FilterOp::kLt},
                                                   {"le", FilterOp::kLe}, {"GT", FilterOp::kGt}, {"ge", FilterOp::kGe}};
  for (const auto& [word, op] : kOps) EXPECT_EQ(One("a " + word + " b"), (WherePredicate{"a", op, {Bare("b")}}));
  EXPECT_EQ(One("a is null"), (WherePredicate{"a", FilterOp::kIsNull, {}}));
  EXPECT_EQ(One("a IS NULL"), (WherePredicate{"a", FilterOp::kIsNull, {}}));
  EXPECT_EQ(One("a is_null"), (WherePredicate{"a", FilterOp::kIsNull, {}}));
  EXPECT_EQ(One("a Is Not Null"), (WherePredicate{"a", FilterOp::kIsNotNull, {}}));
  EXPECT_EQ(One("a is_not_null"), (WherePredicate{"a", FilterOp::kIsNotNull, {}}));
}

TEST(ParseWhere, ListsTakeAnyNumberOfValues) {
  EXPECT_EQ(One("a in (1, 2,3)"), (WherePredicate{"a", FilterOp::kIn, {Bare("1"), Bare("2"), Bare("3")}}));
  EXPECT_EQ(One("a in('x y', \"z\")"), (WherePredicate{"a", FilterOp::kIn, {Quoted("x y"), Quoted("z")}}));
  EXPECT_EQ(One("a in ()"), (WherePredicate{"a", FilterOp::kIn, {}}));
  EXPECT_EQ(One("a NOT IN (1)"), (WherePredicate{"a", FilterOp::kNotIn, {Bare("1")}}));
  EXPECT_EQ(One("a not_in (1)"), (WherePredicate{"a", FilterOp::kNotIn, {Bare("1")}}));
}

TEST(ParseWhere, TheAndOfBetweenDoesNotEndThePredicate) {
  const Result<std::vector<WherePredicate>> predicates = ParseWhere("a between 1 AND 9 and b = 2 AND c is null");
  ASSERT_THAT(predicates, IsOk());
  EXPECT_THAT(*predicates,
              ElementsAre(WherePredicate{"a", FilterOp::kBetween, {Bare("1"), Bare("9")}},
                          WherePredicate{"b", FilterOp::kEq, {Bare("2")}}, WherePredicate{"c", FilterOp::kIsNull, {}}));
}

TEST(ParseWhere, QuotesHoldWhatWouldOtherwiseBeSyntax) {
  EXPECT_EQ(One("a = 'it''s (and) >= \"b\", or'"),
            (WherePredicate{"a", FilterOp::kEq, {Quoted("it's (and) >= \"b\", or")}}));
  EXPECT_EQ(One("a = \"say \"\"hi\"\"\""), (WherePredicate{"a", FilterOp::kEq, {Quoted("say \"hi\"")}}));
  EXPECT_EQ(One("a = ''"), (WherePredicate{"a", FilterOp::kEq, {Quoted("")}}));
  EXPECT_EQ(One("\"time hour\" > 5"), (WherePredicate{"time hour", FilterOp::kGt, {Bare("5")}}));
  EXPECT_EQ(One("`a``b` > 5"), (WherePredicate{"a`b", FilterOp::kGt, {Bare("5")}}));
  EXPECT_EQ(One("größe = Öl"), (WherePredicate{"größe", FilterOp::kEq, {Bare("Öl")}}));
}

TEST(ParseWhere, KeywordsAreColumnsWhereAColumnStands) {
  EXPECT_EQ(One("and = or"), (WherePredicate{"and", FilterOp::kEq, {Bare("or")}}));
  EXPECT_EQ(One("in in (in)"), (WherePredicate{"in", FilterOp::kIn, {Bare("in")}}));
  EXPECT_EQ(One("null is null"), (WherePredicate{"null", FilterOp::kIsNull, {}}));
}

TEST(ParseWhere, TimestampsNeedNoQuotesUnlessTheyHaveASpace) {
  EXPECT_EQ(One("t >= 2013-01-01T05:00:00+02:00").values, std::vector{Bare("2013-01-01T05:00:00+02:00")});
  EXPECT_EQ(One("t >= '2013-01-01 05:00'").values, std::vector{Quoted("2013-01-01 05:00")});
  EXPECT_THAT(ParseWhere("t >= 2013-01-01 05:00"), HasMessage("at '05:00'"));
}

TEST(ParseWhere, MistakesNameThePlaceAndWhatWasExpected) {
  const std::pair<std::string_view, std::string_view> kMistakes[] = {
      {"", "at its end: expected a column name"},
      {"   ", "at its end: expected a column name"},
      {"a", "at its end: expected an operator"},
      {"a 5", "at '5': expected an operator"},
      {"= 5", "at '= 5': expected a column name"},
      {"'a' = 5", "at ''a' = 5': expected a column name"},
      {"\"\" = 5", "expected a column name"},
      {"a =< 5", "at '=< 5': expected an operator"},
      {"a === 5", "expected an operator"},
      {"a like 'x%'", "at 'like 'x%'': expected an operator"},
      {"a =", "at its end: expected a value after =="},
      {"a = = 5", "at '= 5': expected a value"},
      {"a = (5)", "at '(5)': expected a value"},
      {"a = `b`", "backquotes are for column names"},
      {"a = 5 6", "at '6': expected AND or the end"},
      {"a = New York", "put a value with spaces in quotes"},
      {"a = 'x'y", "at 'y': expected AND or the end"},
      {"a = 'x", "the quote ' that opens here is never closed"},
      {"a = \"x", "the quote \" that opens here is never closed"},
      {"a = 'x''", "never closed"},
      {"a = 5 and", "at its end: expected a column name"},
      {"a = 5 or b = 6", "OR is not supported"},
      {"a in 5", "at '5': expected ( and a list"},
      {"a in (", "at its end: expected a value"},
      {"a in (5", "at its end: expected , or )"},
      {"a in (5,)", "at ')': expected a value"},
      {"a in (,5)", "at ',5)': expected a value"},
      {"a in (5 6)", "at '6)': expected , or )"},
      {"a in (5))", "at ')': expected AND or the end"},
      {"a between 5", "at its end: expected AND and the upper end"},
      {"a between 5, 6", "expected AND and the upper end"},
      {"a between 5 and", "at its end: expected a value after between"},
      {"a not 5", "at '5': expected IN after NOT"},
      {"a not", "at its end: expected IN after NOT"},
      {"a is", "at its end: expected NULL or NOT NULL"},
      {"a is not", "at its end: expected NULL or NOT NULL"},
      {"a is 5", "at '5': expected NULL or NOT NULL"},
      {"a is null null", "at 'null': expected AND or the end"},
  };
  for (const auto& [text, message] : kMistakes) {
    const Result<std::vector<WherePredicate>> predicates = ParseWhere(text);
    EXPECT_THAT(predicates, HasKind(ErrorKind::kInvalidArgument)) << text;
    EXPECT_THAT(predicates, HasMessage(message)) << text;
  }
}

TEST(ParseWhere, AnErrorCannotCarryEscapeSequences) {
  const Result<std::vector<WherePredicate>> predicates = ParseWhere("a \x1b[2J\x07");
  ASSERT_THAT(predicates, HasMessage("\\x1b[2J\\x07"));
  EXPECT_EQ(predicates.error().message().find('\x1b'), std::string::npos);
}

// No recursion and no backtracking: long input is read in one pass, however it is nested.
TEST(ParseWhere, LongInputIsReadInOnePass) {
  EXPECT_THAT(ParseWhere(std::string(1'000'000, '(')), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(ParseWhere(std::string("a = ").append(1'000'001, '\'')), HasKind(ErrorKind::kInvalidArgument));
  std::string many = "a in (0";
  for (int i = 1; i < 100'000; ++i) many += "," + std::to_string(i);
  EXPECT_EQ(One(many + ")").values.size(), 100'000u);
}

TEST(BindWhere, ConstantsTakeTheTypeOfTheirColumn) {
  ASSERT_OK_AND_ASSIGN(const Filter filter,
                       BindWhere({"dep_delay >= 120 and flight = 1545", "origin = JFK", "day = 2013-01-02",
                                  "late = true", "origin = '7'", "fare < 12.50"},
                                 FlightSchema()));
  ASSERT_EQ(filter.all_of.size(), 7u);
  EXPECT_EQ(filter.all_of[0], (Predicate{"dep_delay", FilterOp::kGe, {120.0}}));
  EXPECT_EQ(filter.all_of[1], (Predicate{"flight", FilterOp::kEq, {int64_t{1545}}}));
  EXPECT_EQ(filter.all_of[2], (Predicate{"origin", FilterOp::kEq, {std::string("JFK")}}));
  EXPECT_EQ(filter.all_of[3], (Predicate{"day", FilterOp::kEq, {DateValue{15'707}}}));
  EXPECT_EQ(filter.all_of[4], (Predicate{"late", FilterOp::kEq, {true}}));
  EXPECT_EQ(filter.all_of[5], (Predicate{"origin", FilterOp::kEq, {std::string("7")}}));
  EXPECT_EQ(filter.all_of[6], (Predicate{"fare", FilterOp::kLt, {DecimalValue{"12.50"}}}));
}

TEST(BindWhere, NoPredicateKeepsEveryRow) {
  ASSERT_OK_AND_ASSIGN(const Filter filter, BindWhere({}, FlightSchema()));
  EXPECT_THAT(filter.all_of, IsEmpty());
}

TEST(BindWhere, AMistypedColumnGetsTheNearestName) {
  const Result<Filter> filter = BindWhere({"dep_dealy > 5"}, FlightSchema());
  EXPECT_THAT(filter, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(filter, HasSubject(ErrorSubject::kColumn));
  EXPECT_THAT(filter, HasMessage("there is no column 'dep_dealy'; did you mean 'dep_delay'?"));
  EXPECT_THAT(BindWhere({"zzz > 5"}, FlightSchema()), HasMessage("the columns are dep_delay, flight, origin"));
}

TEST(BindWhere, AConstantThatDoesNotFitNamesTheColumn) {
  EXPECT_THAT(BindWhere({"flight = abc"}, FlightSchema()), HasMessage("column flight"));
  EXPECT_THAT(BindWhere({"flight = 1.5x"}, FlightSchema()), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(BindWhere({"day between 2013-01-01 and yesterday"}, FlightSchema()), HasMessage("column day"));
}

TEST(BindWhere, NullIsForIsNullAndQuotedNullIsText) {
  EXPECT_THAT(BindWhere({"origin = NULL"}, FlightSchema()), HasMessage("write origin is null or origin is not null"));
  EXPECT_THAT(BindWhere({"flight between null and 5"}, FlightSchema()), HasKind(ErrorKind::kInvalidArgument));
  ASSERT_OK_AND_ASSIGN(const Filter text, BindWhere({"origin = 'null'"}, FlightSchema()));
  EXPECT_THAT(text.all_of, ElementsAre(Predicate{"origin", FilterOp::kEq, {std::string("null")}}));
  ASSERT_OK_AND_ASSIGN(const Filter list, BindWhere({"origin in (JFK, null)"}, FlightSchema()));
  EXPECT_THAT(list.all_of, ElementsAre(Predicate{"origin", FilterOp::kIn, {std::string("JFK"), Literal()}}));
}

}  // namespace
}  // namespace datashard::cli
