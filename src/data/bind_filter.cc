// BindFilter: the constants of a filter as values of the columns they are compared with, exactly.
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/error.h"
#include "data/arrow_types.h"
#include "data/data_file.h"
#include "iceberg/decimal.h"
#include "iceberg/value.h"

namespace datashard::data {
namespace {

constexpr int64_t kMicrosPerDay = 86'400'000'000;
constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
constexpr int64_t kGreatest = std::numeric_limits<int64_t>::max();

// Where a constant lies among the values of a column of whole numbers or days: the next at or below it and the next at or
// above it. One is missing where the constant is beyond all of them, both for NaN.
struct Place {
  std::optional<int64_t> below;
  std::optional<int64_t> above;

  bool is_value() const { return below.has_value() && below == above; }
  bool is_nan() const { return !below.has_value() && !above.has_value(); }
};

Place PlaceOf(double number) {
  constexpr double kBeyond = 0x1p63;
  if (std::isnan(number)) return {};
  if (number < -kBeyond) return {.below = std::nullopt, .above = kLeast};
  if (number >= kBeyond) return {.below = kGreatest, .above = std::nullopt};
  return {.below = static_cast<int64_t>(std::floor(number)), .above = static_cast<int64_t>(std::ceil(number))};
}

// `text` is decimal digits.
Place PlaceOf(const std::string& text) {
  const bool is_negative = text.starts_with('-');
  std::string whole = text.substr(0, text.find('.'));
  if (whole.empty() || whole == "-" || whole == "+") whole += '0';
  const auto towards_zero = iceberg::UnscaledOf(whole, 38, 0);
  if (!towards_zero.has_value())
    return is_negative ? Place{.below = std::nullopt, .above = kLeast} : Place{.below = kGreatest, .above = std::nullopt};
  const auto order = iceberg::CompareDecimalTexts(text, whole);
  const iceberg::Int128 below = order < 0 ? *towards_zero - 1 : *towards_zero;
  const iceberg::Int128 above = order > 0 ? *towards_zero + 1 : *towards_zero;
  if (above < kLeast) return {.below = std::nullopt, .above = kLeast};
  if (below > kGreatest) return {.below = kGreatest, .above = std::nullopt};
  Place place;
  if (below >= kLeast) place.below = static_cast<int64_t>(below);
  if (above <= kGreatest) place.above = static_cast<int64_t>(above);
  return place;
}

Place DayOf(int64_t micros) {
  const int64_t day = micros / kMicrosPerDay - (micros % kMicrosPerDay < 0 ? 1 : 0);
  return {.below = day, .above = micros % kMicrosPerDay == 0 ? day : day + 1};
}

// Nothing for a constant that is no number (or, for dates, no moment), which CoerceLiteral refuses.
std::optional<Place> PlaceAmong(const Literal& value, TypeKind kind) {
  if (kind == TypeKind::kDate) {
    if (const auto* date = std::get_if<DateValue>(&value)) return Place{.below = date->days, .above = date->days};
    const auto* moment = std::get_if<TimestampValue>(&value);
    if (moment != nullptr && !moment->has_zone) return DayOf(moment->micros);
    return std::nullopt;
  }
  if (const auto* number = std::get_if<int64_t>(&value)) return Place{.below = *number, .above = *number};
  if (const auto* number = std::get_if<double>(&value)) return PlaceOf(*number);
  const auto* decimal = std::get_if<DecimalValue>(&value);
  if (decimal != nullptr && iceberg::IsDecimalText(decimal->text)) return PlaceOf(decimal->text);
  return std::nullopt;
}

// `op` against constants that may lie between the column's values or beyond them: x > 1.5 is x > 1, and x == 1.5 nothing.
Predicate BindPlaces(const Predicate& predicate, const std::vector<Place>& places, TypeKind kind) {
  using enum FilterOp;
  const auto with = [&](FilterOp op, const std::vector<int64_t>& numbers) {
    Predicate bound{.column = predicate.column, .op = op, .values = {}};
    for (const int64_t number : numbers)
      bound.values.push_back(kind == TypeKind::kDate ? Literal(DateValue{static_cast<int32_t>(number)}) : Literal(number));
    return bound;
  };
  const Predicate nothing = with(kIn, {});
  const Predicate everything = with(kNotIn, {});  // but null
  const auto if_any = [&](FilterOp op, std::optional<int64_t> number, const Predicate& otherwise) {
    return number.has_value() ? with(op, {*number}) : otherwise;
  };
  if (predicate.op == kIn || predicate.op == kNotIn) {
    std::vector<int64_t> values;
    for (const Place& place : places)
      if (place.is_value()) values.push_back(*place.below);
    return with(predicate.op, values);
  }
  const Place& place = places[0];
  if (place.is_nan()) return predicate.op == kNe ? everything : nothing;
  switch (predicate.op) {
    case kEq: return place.is_value() ? with(kEq, {*place.below}) : nothing;
    case kNe: return place.is_value() ? with(kNe, {*place.below}) : everything;
    case kLt: return if_any(kLt, place.above, everything);
    case kLe: return if_any(kLe, place.below, nothing);
    case kGt: return if_any(kGt, place.below, everything);
    case kGe: return if_any(kGe, place.above, nothing);
    default:  // between
      if (!place.above.has_value() || !places[1].below.has_value()) return nothing;
      return with(kBetween, {*place.above, *places[1].below});
  }
}

// How many operands an operator takes; -1: any number.
int OperandCount(FilterOp op) {
  switch (op) {
    case FilterOp::kIsNull:
    case FilterOp::kIsNotNull: return 0;
    case FilterOp::kBetween: return 2;
    case FilterOp::kIn:
    case FilterOp::kNotIn: return -1;
    default: return 1;
  }
}

// A date stands for its first moment, in UTC where the column has a zone.
Literal AsMoment(const Literal& value, const Type& type) {
  const auto* date = std::get_if<DateValue>(&value);
  if (date == nullptr) return value;
  return TimestampValue{date->days * kMicrosPerDay, type.kind() == TypeKind::kTimestampTz};
}

Result<Predicate> BindPredicate(const Predicate& predicate, const Type& type) {
  const int wanted = OperandCount(predicate.op);
  if (wanted >= 0 && static_cast<int>(predicate.values.size()) != wanted)
    return InvalidArgument("operator {} takes {} value{}, not {}", ToString(predicate.op), wanted, wanted == 1 ? "" : "s",
                           predicate.values.size())
        .About(ErrorSubject::kOperand);
  const bool has_places = wanted != 0 && (type.kind() == TypeKind::kInt || type.kind() == TypeKind::kLong ||
                                          type.kind() == TypeKind::kDate);
  const bool is_moment = type.kind() == TypeKind::kTimestamp || type.kind() == TypeKind::kTimestampTz;
  Predicate bound{.column = predicate.column, .op = predicate.op, .values = {}};
  std::vector<Place> places;
  for (const Literal& value : predicate.values) {
    if (std::holds_alternative<std::monostate>(value)) {
      if (wanted == -1) continue;
      return InvalidArgument("operator {} cannot compare with null; use is_null or is_not_null", ToString(predicate.op))
          .About(ErrorSubject::kValue);
    }
    if (const auto place = has_places ? PlaceAmong(value, type.kind()) : std::nullopt) {
      places.push_back(*place);
      continue;
    }
    DS_ASSIGN_OR_RETURN(Literal coerced, iceberg::CoerceLiteral(is_moment ? AsMoment(value, type) : value, type));
    bound.values.push_back(std::move(coerced));
  }
  return has_places ? BindPlaces(predicate, places, type.kind()) : bound;
}

}  // namespace

Result<Filter> BindFilter(const Filter& filter, const Schema& schema) {
  Filter bound;
  for (const Predicate& predicate : filter.all_of) {
    const Field* field = schema.Find(predicate.column);
    if (field == nullptr)
      return InvalidArgument("the filter names column '{}', which the table does not have", predicate.column)
          .About(ErrorSubject::kColumn);
    const auto arrow_type = ArrowTypeOf(field->type);
    if (!arrow_type.ok()) return Error(arrow_type.error()).In(fmt::format("filter on column '{}'", field->name));
    auto coerced = BindPredicate(predicate, field->type);
    if (!coerced.ok()) return std::move(coerced).error().In(fmt::format("filter on column '{}'", field->name));
    bound.all_of.push_back(*std::move(coerced));
  }
  return bound;
}

}  // namespace datashard::data
