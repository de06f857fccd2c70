#include "data/row_filter.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/util/decimal.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "base/check.h"
#include "base/error.h"
#include "data/arrow_support.h"
#include "data/arrow_types.h"
#include "data/data_file.h"
#include "iceberg/decimal.h"
#include "iceberg/value.h"

namespace datashard::data {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;
using ScalarPtr = std::shared_ptr<arrow::Scalar>;

// Literals are doubles and 64-bit integers, which a narrower column is widened to: 0.1 must not meet the float nearest to
// it, nor 3'000'000'000 wrap around.
std::shared_ptr<arrow::DataType> ComparedType(const Type& type, const std::shared_ptr<arrow::DataType>& column) {
  if (type.kind() == TypeKind::kFloat) return arrow::float64();
  if (type.kind() == TypeKind::kInt) return arrow::int64();
  return column;
}

// The decimal's digits at the column's scale; nothing for a number the column cannot hold.
std::optional<arrow::Decimal128> FittingDecimal(const std::string& text, const arrow::DataType& type) {
  const auto& wanted = static_cast<const arrow::Decimal128Type&>(type);
  const auto unscaled = iceberg::UnscaledOf(text, wanted.precision(), wanted.scale());
  if (!unscaled.has_value()) return std::nullopt;
  return arrow::Decimal128(static_cast<int64_t>(*unscaled >> 64), static_cast<uint64_t>(*unscaled));
}

Result<ScalarPtr> ToScalar(const Literal& value, const std::shared_ptr<arrow::DataType>& type) {
  const auto made = [](arrow::Result<ScalarPtr> scalar) { return Lift(std::move(scalar), ErrorKind::kInternal); };
  if (const auto* flag = std::get_if<bool>(&value)) return ScalarPtr(std::make_shared<arrow::BooleanScalar>(*flag));
  if (const auto* number = std::get_if<int64_t>(&value)) return made(arrow::MakeScalar(type, *number));
  if (const auto* number = std::get_if<double>(&value)) return made(arrow::MakeScalar(type, *number));
  if (const auto* text = std::get_if<std::string>(&value)) return ScalarPtr(std::make_shared<arrow::StringScalar>(*text));
  if (const auto* date = std::get_if<DateValue>(&value)) return made(arrow::MakeScalar(type, date->days));
  if (const auto* time = std::get_if<TimeValue>(&value)) return made(arrow::MakeScalar(type, time->micros));
  if (const auto* instant = std::get_if<TimestampValue>(&value)) return made(arrow::MakeScalar(type, instant->micros));
  if (const auto* decimal = std::get_if<DecimalValue>(&value)) {
    const auto number = FittingDecimal(decimal->text, *type);
    DS_CHECK(number.has_value());
    return ScalarPtr(std::make_shared<arrow::Decimal128Scalar>(*number, type));
  }
  std::string_view bytes;
  if (const auto* binary = std::get_if<BinaryValue>(&value)) bytes = binary->bytes;
  if (const auto* uuid = std::get_if<UuidValue>(&value))
    bytes = {reinterpret_cast<const char*>(uuid->bytes.data()), uuid->bytes.size()};
  auto buffer = arrow::Buffer::FromString(std::string(bytes));
  if (type->id() == arrow::Type::BINARY) return ScalarPtr(std::make_shared<arrow::BinaryScalar>(std::move(buffer)));
  return ScalarPtr(std::make_shared<arrow::FixedSizeBinaryScalar>(std::move(buffer), type));
}

Result<ArrayPtr> Call(const std::string& function, const std::vector<arrow::Datum>& arguments) {
  DS_ASSIGN_OR_RETURN(const auto answer, Lift(arrow::compute::CallFunction(function, arguments), ErrorKind::kInternal));
  return answer.make_array();
}

bool Fits(const Literal& value, const arrow::DataType& type) {
  const auto* decimal = std::get_if<DecimalValue>(&value);
  return decimal == nullptr || FittingDecimal(decimal->text, type).has_value();
}

bool Holds(const std::string& function, std::partial_ordering order) {
  if (function == "equal") return order == 0;
  if (function == "not_equal") return order != 0;
  if (function == "less") return order < 0;
  if (function == "less_equal") return order <= 0;
  if (function == "greater") return order > 0;
  return order >= 0;
}

// A decimal with more digits than the column's is compared as text, row by row: slow, rare and exact.
Result<ArrayPtr> CompareDecimals(const std::string& function, const arrow::Decimal128Array& column, const Literal& value) {
  const auto& type = static_cast<const arrow::Decimal128Type&>(*column.type());
  const Type iceberg_type = Type::Decimal(type.precision(), type.scale());
  arrow::BooleanBuilder builder;
  DS_RETURN_IF_ERROR(Lift(builder.Reserve(column.length()), ErrorKind::kInternal));
  for (int64_t i = 0; i < column.length(); ++i) {
    const bool matches = column.IsValid(i) && Holds(function, iceberg::Compare(DecimalValue{column.FormatValue(i)}, value, iceberg_type));
    builder.UnsafeAppend(matches);
  }
  ArrayPtr matches;
  DS_RETURN_IF_ERROR(Lift(builder.Finish(&matches), ErrorKind::kInternal));
  return matches;
}

Result<ArrayPtr> Compare(const std::string& function, const ArrayPtr& column, const Literal& value) {
  if (!Fits(value, *column->type()))
    return CompareDecimals(function, static_cast<const arrow::Decimal128Array&>(*column), value);
  DS_ASSIGN_OR_RETURN(const ScalarPtr scalar, ToScalar(value, column->type()));
  return Call(function, {column, scalar});
}

// NaN differs from everything in IEEE arithmetic, but a NaN in a column is to match nothing.
Result<ArrayPtr> WithoutNan(const ArrayPtr& column, ArrayPtr matches) {
  if (column->type_id() != arrow::Type::DOUBLE) return matches;
  DS_ASSIGN_OR_RETURN(const ArrayPtr same_as_itself, Call("equal", {column, column}));
  return BothMatch(matches, same_as_itself);
}

Result<ArrayPtr> IsIn(const ArrayPtr& column, const std::vector<Literal>& values) {
  arrow::ScalarVector scalars;
  for (const Literal& value : values) {
    const auto* number = std::get_if<double>(&value);
    if ((number != nullptr && std::isnan(*number)) || !Fits(value, *column->type())) continue;  // equals no value
    DS_ASSIGN_OR_RETURN(ScalarPtr scalar, ToScalar(value, column->type()));
    scalars.push_back(std::move(scalar));
    // The lookup goes by bits, and the two zeros are equal.
    if (number != nullptr && *number == 0) scalars.push_back(std::make_shared<arrow::DoubleScalar>(-*number));
  }
  std::unique_ptr<arrow::ArrayBuilder> builder;
  DS_RETURN_IF_ERROR(Lift(arrow::MakeBuilder(arrow::default_memory_pool(), column->type(), &builder), ErrorKind::kInternal));
  for (const ScalarPtr& scalar : scalars)
    DS_RETURN_IF_ERROR(Lift(builder->AppendScalar(*scalar), ErrorKind::kInternal));
  ArrayPtr set;
  DS_RETURN_IF_ERROR(Lift(builder->Finish(&set), ErrorKind::kInternal));
  // INCONCLUSIVE: null gives null, so that neither "in" nor its negation matches it.
  const arrow::compute::SetLookupOptions options(set, arrow::compute::SetLookupOptions::INCONCLUSIVE);
  DS_ASSIGN_OR_RETURN(const auto found, Lift(arrow::compute::IsIn(column, options), ErrorKind::kInternal));
  return found.make_array();
}

}  // namespace

Result<ArrayPtr> BothMatch(const ArrayPtr& a, const ArrayPtr& b) { return Call("and", {a, b}); }

Result<ArrayPtr> Matches(const Predicate& predicate, const Type& type, const ArrayPtr& given) {
  if (predicate.op == FilterOp::kIsNull) return Call("is_null", {given});
  if (predicate.op == FilterOp::kIsNotNull) return Call("is_valid", {given});
  ArrayPtr column = given;
  const auto compared = ComparedType(type, given->type());
  if (!compared->Equals(*given->type())) {
    DS_ASSIGN_OR_RETURN(column, Lift(arrow::compute::Cast(*given, compared), ErrorKind::kInternal));
  }
  const std::vector<Literal>& values = predicate.values;
  switch (predicate.op) {
    case FilterOp::kEq: return Compare("equal", column, values[0]);
    case FilterOp::kNe: {
      DS_ASSIGN_OR_RETURN(ArrayPtr matches, Compare("not_equal", column, values[0]));
      return WithoutNan(column, std::move(matches));
    }
    case FilterOp::kLt: return Compare("less", column, values[0]);
    case FilterOp::kLe: return Compare("less_equal", column, values[0]);
    case FilterOp::kGt: return Compare("greater", column, values[0]);
    case FilterOp::kGe: return Compare("greater_equal", column, values[0]);
    case FilterOp::kBetween: {
      DS_ASSIGN_OR_RETURN(const ArrayPtr above, Compare("greater_equal", column, values[0]));
      DS_ASSIGN_OR_RETURN(const ArrayPtr below, Compare("less_equal", column, values[1]));
      return BothMatch(above, below);
    }
    case FilterOp::kIn: return IsIn(column, values);
    case FilterOp::kNotIn: {
      DS_ASSIGN_OR_RETURN(const ArrayPtr found, IsIn(column, values));
      DS_ASSIGN_OR_RETURN(ArrayPtr matches, Call("invert", {found}));
      return WithoutNan(column, std::move(matches));
    }
    default: break;
  }
  return Internal("operator {} is not handled", ToString(predicate.op));
}

}  // namespace datashard::data
