#include "data/prune.h"

#include <algorithm>

#include "data/data_file.h"
#include "iceberg/value.h"

namespace datashard::data {
namespace {

// Could `a` be at or below `b`? Unknown bounds and unordered values leave it open.
bool MayBeAtMost(const std::optional<Literal>& a, const std::optional<Literal>& b, const Type& type) {
  if (!a.has_value() || !b.has_value()) return true;
  const auto order = iceberg::Compare(*a, *b, type);
  return order != std::partial_ordering::greater;
}
bool MayBeBelow(const std::optional<Literal>& a, const std::optional<Literal>& b, const Type& type) {
  if (!a.has_value() || !b.has_value()) return true;
  const auto order = iceberg::Compare(*a, *b, type);
  return order == std::partial_ordering::less || order == std::partial_ordering::unordered;
}

// Is every non-null value certainly `value`? Bounds that meet leave room for nothing else but NaN, which never matches.
bool HoldsOnly(const ColumnRange& range, const Literal& value, const Type& type) {
  return range.lower.has_value() && range.upper.has_value() &&
         iceberg::Compare(*range.lower, value, type) == std::partial_ordering::equivalent &&
         iceberg::Compare(*range.upper, value, type) == std::partial_ordering::equivalent;
}

}  // namespace

bool RangeMayMatch(const Predicate& predicate, const Type& type, const ColumnRange& range) {
  if (predicate.op == FilterOp::kIsNull) return range.nulls != 0;
  const bool all_null = range.values.has_value() && range.nulls.has_value() && *range.nulls >= *range.values;
  if (predicate.op == FilterOp::kIsNotNull) return !all_null;
  // Every other operator wants a value that is neither null nor NaN.
  if (all_null) return false;
  if (range.values.has_value() && range.nulls.has_value() && range.nans.has_value() &&
      *range.nulls + *range.nans >= *range.values)
    return false;
  const auto contains = [&](const Literal& value) {
    return MayBeAtMost(range.lower, value, type) && MayBeAtMost(value, range.upper, type);
  };
  const std::vector<Literal>& values = predicate.values;
  switch (predicate.op) {
    case FilterOp::kEq: return contains(values[0]);
    case FilterOp::kNe: return !HoldsOnly(range, values[0], type);
    case FilterOp::kLt: return MayBeBelow(range.lower, values[0], type);
    case FilterOp::kLe: return MayBeAtMost(range.lower, values[0], type);
    case FilterOp::kGt: return MayBeBelow(values[0], range.upper, type);
    case FilterOp::kGe: return MayBeAtMost(values[0], range.upper, type);
    case FilterOp::kIn: return std::any_of(values.begin(), values.end(), contains);
    case FilterOp::kNotIn:
      return std::none_of(values.begin(), values.end(), [&](const Literal& v) { return HoldsOnly(range, v, type); });
    case FilterOp::kBetween:
      return MayBeAtMost(range.lower, values[1], type) && MayBeAtMost(values[0], range.upper, type);
    default: return true;
  }
}

namespace {

template <typename Value>
std::optional<Value> Find(const std::map<int32_t, Value>& map, int32_t id) {
  const auto found = map.find(id);
  return found == map.end() ? std::nullopt : std::optional<Value>(found->second);
}

std::optional<Literal> Bound(const std::map<int32_t, std::string>& bounds, const Field& field) {
  const auto found = bounds.find(field.id);
  if (found == bounds.end()) return std::nullopt;
  // Bytes that are no value of the type prune nothing.
  auto value = iceberg::DecodeValue(found->second, field.type);
  return value.ok() ? std::optional<Literal>(*std::move(value)) : std::nullopt;
}

}  // namespace

bool MayMatch(const Filter& filter, const Schema& schema, const DataFile& file) {
  return std::all_of(filter.all_of.begin(), filter.all_of.end(), [&](const Predicate& predicate) {
    const Field* field = schema.Find(predicate.column);
    if (field == nullptr) return true;
    ColumnRange range{.values = Find(file.value_counts, field->id),
                      .nulls = Find(file.null_value_counts, field->id),
                      .nans = Find(file.nan_value_counts, field->id),
                      .lower = Bound(file.lower_bounds, *field),
                      .upper = Bound(file.upper_bounds, *field)};
    return RangeMayMatch(predicate, field->type, range);
  });
}

}  // namespace datashard::data
