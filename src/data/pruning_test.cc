// Property: a scan that prunes files and row groups gives the rows that a full scan and a plain reading of the filter give.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <random>

#include "data/data_test_support.h"

namespace datashard::data {
namespace {

// One column of every type that can be compared, with few different values so that filters hit and miss.
const std::vector<std::pair<std::string, std::string>> kColumns = {
    {"b", "boolean"}, {"i", "int"}, {"l", "long"}, {"f", "float"}, {"d", "double"}, {"dec", "decimal(6, 2)"},
    {"big", "decimal(30, 3)"}, {"date", "date"}, {"time", "time"}, {"ts", "timestamp"}, {"tz", "timestamptz"},
    {"s", "string"}, {"u", "uuid"}, {"x", "fixed[2]"}, {"y", "binary"}};

class Generator {
 public:
  explicit Generator(uint64_t seed) : engine_(seed) {}
  int64_t Below(int64_t bound) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(bound)); }

  // A value of the type, from a small set around `centre`, so that row groups differ.
  Literal Value(const Type& type, int64_t centre) {
    const int64_t n = centre + Below(7) - 3;
    const std::string letters(static_cast<size_t>(Below(3)), static_cast<char>('a' + ((n % 20) + 20) % 20));
    switch (type.kind()) {
      case TypeKind::kBoolean: return n % 2 == 0;
      case TypeKind::kInt:
      case TypeKind::kLong: return n;
      case TypeKind::kFloat:
      case TypeKind::kDouble: {
        static const double kOdd[] = {std::nan(""), 0.0, -0.0, INFINITY, -INFINITY};
        return Below(4) == 0 ? kOdd[Below(5)] : static_cast<double>(n) / 4;
      }
      case TypeKind::kDecimal: return DecimalValue{fmt::format("{}{}.{:0{}}", n < 0 ? "-" : "", std::abs(n), Below(3), type.scale())};
      case TypeKind::kDate: return DateValue{static_cast<int32_t>(n)};
      case TypeKind::kTime: return TimeValue{std::abs(n)};
      case TypeKind::kTimestamp: return TimestampValue{n, false};
      case TypeKind::kTimestampTz: return TimestampValue{n, true};
      case TypeKind::kString: {
        // Long common beginnings, so that bounds are cut; characters of two to four bytes at the cut.
        static const std::string kTails[] = {"", "é", "\xF4\x8F\xBF\xBF", "zz"};
        return Below(3) == 0 ? std::string(63, 'q') + kTails[Below(4)] + kTails[Below(4)] : letters;
      }
      case TypeKind::kUuid: {
        UuidValue uuid{};
        uuid.bytes[0] = static_cast<uint8_t>(n);
        return uuid;
      }
      case TypeKind::kFixed: return BinaryValue{std::string(2, static_cast<char>(n))};
      default: return BinaryValue{Below(4) == 0 ? std::string(70, '\xff') + letters : letters};
    }
  }

 private:
  std::mt19937_64 engine_;
};

using Rows = std::vector<std::vector<Literal>>;  // by column

std::shared_ptr<arrow::Array> ToArray(const std::vector<Literal>& values, const Type& type) {
  const auto arrow_type = *ArrowTypeOf(type);
  auto builder = arrow::MakeBuilder(arrow_type).ValueOrDie();
  for (const Literal& value : values) {
    arrow::Result<std::shared_ptr<arrow::Scalar>> scalar = arrow::MakeNullScalar(arrow_type);
    if (const auto* v = std::get_if<bool>(&value)) scalar = arrow::MakeScalar(*v);
    if (const auto* v = std::get_if<int64_t>(&value)) scalar = arrow::MakeScalar(arrow_type, *v);
    if (const auto* v = std::get_if<double>(&value)) scalar = arrow::MakeScalar(arrow_type, *v);
    if (const auto* v = std::get_if<std::string>(&value)) scalar = arrow::MakeScalar(*v);
    if (const auto* v = std::get_if<DateValue>(&value)) scalar = arrow::MakeScalar(arrow_type, v->days);
    if (const auto* v = std::get_if<TimeValue>(&value)) scalar = arrow::MakeScalar(arrow_type, v->micros);
    if (const auto* v = std::get_if<TimestampValue>(&value)) scalar = arrow::MakeScalar(arrow_type, v->micros);
    if (const auto* v = std::get_if<DecimalValue>(&value))
      scalar = std::make_shared<arrow::Decimal128Scalar>(arrow::Decimal128::FromString(v->text).ValueOrDie(), arrow_type);
    std::optional<std::string> bytes;
    if (const auto* v = std::get_if<BinaryValue>(&value)) bytes = v->bytes;
    if (const auto* v = std::get_if<UuidValue>(&value)) bytes = std::string(v->bytes.begin(), v->bytes.end());
    if (bytes.has_value()) scalar = arrow::MakeScalar(arrow_type, arrow::Buffer::FromString(*bytes));
    EXPECT_TRUE(scalar.ok() && builder->AppendScalar(**scalar).ok()) << ToString(value);
  }
  return builder->Finish().ValueOrDie();
}

// The filter as include/datashard/filter.h words it, value by value.
bool Keeps(const Predicate& predicate, const Type& type, const Literal& value) {
  const bool is_null = std::holds_alternative<std::monostate>(value);
  if (predicate.op == FilterOp::kIsNull) return is_null;
  if (predicate.op == FilterOp::kIsNotNull) return !is_null;
  const auto* real = std::get_if<double>(&value);
  if (is_null || (real != nullptr && std::isnan(*real))) return false;
  const auto order = [&](size_t i) { return iceberg::Compare(value, predicate.values[i], type); };
  const auto equals_any = [&] {
    for (size_t i = 0; i < predicate.values.size(); ++i)
      if (order(i) == 0) return true;
    return false;
  };
  switch (predicate.op) {
    case FilterOp::kEq: return order(0) == 0;
    case FilterOp::kNe: return order(0) != 0;
    case FilterOp::kLt: return order(0) < 0;
    case FilterOp::kLe: return order(0) <= 0;
    case FilterOp::kGt: return order(0) > 0;
    case FilterOp::kGe: return order(0) >= 0;
    case FilterOp::kBetween: return order(0) >= 0 && order(1) <= 0;
    case FilterOp::kIn: return equals_any();
    default: return !equals_any();
  }
}

Predicate RandomPredicate(Generator& random, const Schema& schema, int64_t centre) {
  const Field& field = schema.fields[static_cast<size_t>(random.Below(static_cast<int64_t>(schema.fields.size())))];
  Predicate predicate{.column = field.name, .op = static_cast<FilterOp>(random.Below(11))};
  int64_t operands = 1;
  if (predicate.op == FilterOp::kIn || predicate.op == FilterOp::kNotIn) operands = random.Below(4);
  if (predicate.op == FilterOp::kBetween) operands = 2;
  if (predicate.op == FilterOp::kIsNull || predicate.op == FilterOp::kIsNotNull) operands = 0;
  for (int64_t i = 0; i < operands; ++i) predicate.values.push_back(random.Value(field.type, centre));
  // Operands no value of the column can equal.
  if (operands > 0 && random.Below(6) == 0) {
    if (field.type.kind() == TypeKind::kDecimal) predicate.values[0] = DecimalValue{"1.00005"};
    if (field.type.kind() == TypeKind::kInt) predicate.values[0] = int64_t{3'000'000'000};
    if (field.type.kind() == TypeKind::kFloat) predicate.values[0] = 0.1;
  }
  return predicate;
}

void CheckOneTable(uint64_t seed) {
  SCOPED_TRACE(fmt::format("DATASHARD_SEEDS={}", seed));
  Generator random(seed);
  const Schema schema = SchemaOf(kColumns);
  const auto store = TestStore();
  std::vector<std::pair<std::string, DataFile>> files;
  Rows all(schema.fields.size());
  for (int64_t f = 0; f < 3; ++f) {
    Rows rows(schema.fields.size());
    std::vector<std::pair<std::string, std::shared_ptr<arrow::Array>>> columns;
    const int64_t count = 1 + random.Below(120);
    for (size_t c = 0; c < rows.size(); ++c) {
      const int64_t null_in = random.Below(4) == 0 ? 1 : 2 + random.Below(10);  // sometimes nothing but nulls
      for (int64_t r = 0; r < count; ++r)
        rows[c].push_back(random.Below(null_in) == 0 ? Literal() : random.Value(schema.fields[c].type, 4 * f + r / 20));
      columns.emplace_back(schema.fields[c].name, ToArray(rows[c], schema.fields[c].type));
      all[c].insert(all[c].end(), rows[c].begin(), rows[c].end());
    }
    const std::string key = fmt::format("f{}", f);
    ASSERT_OK_AND_ASSIGN(DataFile file, WriteFile(*store, key, schema, {Batch(columns)}, {.row_group_rows = 20}));
    files.emplace_back(key, std::move(file));
  }
  for (int round = 0; round < 60; ++round) {
    ReadPlan plan = PlanOf(schema, {});
    for (int64_t i = 0; i <= random.Below(3); ++i) plan.filter.all_of.push_back(RandomPredicate(random, schema, random.Below(16)));
    ASSERT_OK_AND_ASSIGN(plan.filter, BindFilter(plan.filter, schema));
    for (const auto& [key, file] : files)
      if (MayMatch(plan.filter, schema, file)) plan.files.push_back({.key = key, .file = file});
    plan.threads = static_cast<int32_t>(1 + random.Below(3));
    plan.batch_rows = random.Below(2) * 7;

    arrow::FieldVector fields = (*ArrowSchemaOf(schema))->fields();
    arrow::ArrayVector wanted;
    std::vector<Rows::value_type> kept(schema.fields.size());
    for (size_t r = 0; r < all[0].size(); ++r) {
      bool keeps = true;
      for (const Predicate& predicate : plan.filter.all_of) {
        const Field* field = schema.Find(predicate.column);
        keeps = keeps && Keeps(predicate, field->type, all[static_cast<size_t>(field->id) - 1][r]);
      }
      for (size_t c = 0; keeps && c < kept.size(); ++c) kept[c].push_back(all[c][r]);
    }
    for (size_t c = 0; c < kept.size(); ++c) wanted.push_back(ToArray(kept[c], schema.fields[c].type));
    std::string what;
    for (const Predicate& predicate : plan.filter.all_of) {
      what += fmt::format("{} {} ", predicate.column, ToString(predicate.op));
      for (const Literal& value : predicate.values) what += ToString(value) + " ";
    }
    const auto read = Scan(store, plan);
    ASSERT_THAT(read, IsOk()) << what;
    const auto table = arrow::Table::Make(arrow::schema(fields), wanted);
    ASSERT_TRUE(SameRows(**read, *table)) << what << "\n" << (*read)->num_rows() << " rows, not " << table->num_rows();
  }
}

TEST(Pruning, APrunedScanEqualsAFullScanWithTheFilter) {
  const char* given = std::getenv("DATASHARD_SEEDS");
  if (given != nullptr) return CheckOneTable(std::strtoull(given, nullptr, 10));
  const uint64_t seed = std::random_device()();
  for (uint64_t i = 0; i < 8 && !testing::Test::HasFatalFailure(); ++i) CheckOneTable(seed + i);
}

TEST(Pruning, FilesAreLeftOutWhereNothingCanMatch) {
  const Schema schema = SchemaOf({{"x", "long"}, {"s", "string"}});
  const auto store = TestStore();
  const auto batch = Batch({{"x", Values(arrow::int64(), "[10, null, 20]")}, {"s", Values(arrow::utf8(), "[null, null, null]")}});
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "f", schema, {batch}));
  const auto may = [&](const std::string& column, FilterOp op, std::vector<Literal> values) {
    const auto bound = BindFilter({{{.column = column, .op = op, .values = std::move(values)}}}, schema);
    EXPECT_THAT(bound, IsOk());
    return MayMatch(*bound, schema, file);
  };
  EXPECT_FALSE(may("x", FilterOp::kEq, {int64_t{9}}));
  EXPECT_TRUE(may("x", FilterOp::kEq, {int64_t{15}}));
  EXPECT_FALSE(may("x", FilterOp::kLt, {int64_t{10}}));
  EXPECT_TRUE(may("x", FilterOp::kLe, {int64_t{10}}));
  EXPECT_FALSE(may("x", FilterOp::kGt, {int64_t{20}}));
  EXPECT_FALSE(may("x", FilterOp::kIn, {}));
  EXPECT_FALSE(may("x", FilterOp::kIn, {int64_t{1}, int64_t{99}}));
  EXPECT_FALSE(may("x", FilterOp::kBetween, {int64_t{21}, int64_t{30}}));
  EXPECT_TRUE(may("x", FilterOp::kNotIn, {int64_t{10}}));
  EXPECT_TRUE(may("x", FilterOp::kIsNull, {}));
  EXPECT_FALSE(may("s", FilterOp::kIsNotNull, {}));
  EXPECT_FALSE(may("s", FilterOp::kNe, {std::string("a")}));
}

TEST(Binding, RefusesWhatCannotBeCompared) {
  const Schema schema = SchemaOf({{"x", "long"}, {"s", "string"}});
  const auto bind = [&](const std::string& column, FilterOp op, std::vector<Literal> values) {
    return BindFilter({{{.column = column, .op = op, .values = std::move(values)}}}, schema);
  };
  EXPECT_THAT(bind("gone", FilterOp::kEq, {int64_t{1}}), testing::AllOf(HasSubject(ErrorSubject::kColumn), HasMessage("'gone'")));
  EXPECT_THAT(bind("x", FilterOp::kEq, {std::string("1")}), testing::AllOf(HasSubject(ErrorSubject::kOperand), HasMessage("'x'")));
  EXPECT_THAT(bind("x", FilterOp::kEq, {Literal()}), testing::AllOf(HasKind(ErrorKind::kInvalidArgument), HasMessage("is_null")));
  EXPECT_THAT(bind("x", FilterOp::kBetween, {int64_t{1}}), HasSubject(ErrorSubject::kOperand));
  ASSERT_OK_AND_ASSIGN(const Filter in, bind("x", FilterOp::kIn, {Literal(), int64_t{1}}));
  EXPECT_EQ(in.all_of[0].values.size(), 1u);
}

// Constants that lie between the values of a column, or beyond them: the answer is the one of exact arithmetic.
TEST(Binding, ComparesExactlyWithConstantsTheColumnCannotHold) {
  const Schema schema = SchemaOf({{"i", "int"}, {"l", "long"}, {"d", "date"}, {"t", "timestamp"}, {"dec", "decimal(6, 2)"}});
  const auto store = TestStore();
  const auto batch = Batch({{"i", Values(arrow::int32(), "[-2147483648, -1, 2, null]")},
                            {"l", Values(arrow::int64(), "[-9223372036854775808, -1, 9223372036854775807, null]")},
                            {"d", Values(arrow::date32(), "[-2, -1, 2, null]")},
                            {"t", Values(arrow::timestamp(arrow::TimeUnit::MICRO), "[-1, 0, 86400000000, null]")},
                            {"dec", Values(arrow::decimal128(6, 2), R"(["-1.25", "0.00", "1.25", null])")}});
  ASSERT_OK_AND_ASSIGN(const DataFile file, WriteFile(*store, "f", schema, {batch}));
  const auto count = [&](const std::string& column, FilterOp op, std::vector<Literal> values) -> int64_t {
    ReadPlan plan = PlanOf(schema, {{"f", file}});
    plan.filter.all_of = {{.column = column, .op = op, .values = std::move(values)}};
    const auto bound = BindFilter(plan.filter, schema);
    EXPECT_THAT(bound, IsOk());
    const auto rows = Scan(store, std::move(plan));
    EXPECT_THAT(rows, IsOk());
    if (!bound.ok() || !rows.ok()) return -1;
    if (!MayMatch(*bound, schema, file)) {
      EXPECT_EQ((*rows)->num_rows(), 0) << column;
    }
    return (*rows)->num_rows();
  };
  using enum FilterOp;
  const double nan = std::nan("");
  const std::string far(5000, '9');
  struct Case {
    std::string column;
    Literal value;
    std::array<int64_t, 6> rows;  // for == != < <= > >=
  };
  const std::vector<Case> cases = {
      {"i", 1.5, {0, 3, 2, 2, 1, 1}},
      {"i", -1.5, {0, 3, 1, 1, 2, 2}},
      {"i", -1.0, {1, 2, 1, 2, 1, 2}},
      {"i", nan, {0, 3, 0, 0, 0, 0}},
      {"i", int64_t{1} << 40, {0, 3, 3, 3, 0, 0}},
      {"i", DecimalValue{"-.5"}, {0, 3, 2, 2, 1, 1}},
      {"i", DecimalValue{"2.00"}, {1, 2, 2, 3, 0, 1}},
      {"l", INFINITY, {0, 3, 3, 3, 0, 0}},
      {"l", -INFINITY, {0, 3, 0, 0, 3, 3}},
      {"l", 0x1p63, {0, 3, 3, 3, 0, 0}},
      {"l", -0x1p63, {1, 2, 0, 1, 2, 3}},
      {"l", DecimalValue{"9223372036854775806.5"}, {0, 3, 2, 2, 1, 1}},
      {"l", DecimalValue{"9223372036854775807.5"}, {0, 3, 3, 3, 0, 0}},
      {"l", DecimalValue{"-9223372036854775808.5"}, {0, 3, 0, 0, 3, 3}},
      {"l", DecimalValue{"9223372036854775808"}, {0, 3, 3, 3, 0, 0}},
      {"l", DecimalValue{far}, {0, 3, 3, 3, 0, 0}},
      {"l", DecimalValue{"-" + far}, {0, 3, 0, 0, 3, 3}},
      {"d", TimestampValue{-1, false}, {0, 3, 2, 2, 1, 1}},
      {"d", TimestampValue{2 * 86'400'000'000, false}, {1, 2, 2, 3, 0, 1}},
      {"t", DateValue{0}, {1, 2, 1, 2, 1, 2}},
      {"dec", DecimalValue{far}, {0, 3, 3, 3, 0, 0}},
      {"dec", DecimalValue{"-" + far}, {0, 3, 0, 0, 3, 3}},
      {"dec", DecimalValue{"0." + std::string(5000, '0') + "1"}, {0, 3, 2, 2, 1, 1}},
  };
  for (const auto& [column, value, rows] : cases) {
    constexpr std::array kOps = {kEq, kNe, kLt, kLe, kGt, kGe};
    for (size_t i = 0; i < kOps.size(); ++i)
      EXPECT_EQ(count(column, kOps[i], {value}), rows[i]) << column << " " << ToString(kOps[i]) << " " << ToString(value);
  }
  EXPECT_EQ(count("i", kIn, {1.5, 2.0, nan, DecimalValue{far}}), 1);
  EXPECT_EQ(count("i", kNotIn, {1.5, 2.0, nan, DecimalValue{far}}), 2);
  EXPECT_EQ(count("i", kBetween, {-1.5, 1.5}), 1);
  EXPECT_EQ(count("i", kBetween, {-INFINITY, INFINITY}), 3);
  EXPECT_EQ(count("i", kBetween, {nan, 5.0}), 0);
  EXPECT_EQ(count("i", kBetween, {INFINITY, INFINITY}), 0);
}

}  // namespace
}  // namespace datashard::data
