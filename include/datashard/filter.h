// Row filters: a conjunction of simple predicates with SQL's rules for null.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "datashard/result.h"

namespace datashard {

/// Values whose C++ type alone would not say what they mean.
struct DateValue { int32_t days; bool operator==(const DateValue&) const = default; };              ///< since 1970-01-01
struct TimeValue { int64_t micros; bool operator==(const TimeValue&) const = default; };            ///< since midnight
struct TimestampValue { int64_t micros; bool has_zone; bool operator==(const TimestampValue&) const = default; };
struct DecimalValue { std::string text; bool operator==(const DecimalValue&) const = default; };    ///< plain decimal digits
struct BinaryValue { std::string bytes; bool operator==(const BinaryValue&) const = default; };
struct UuidValue { std::array<uint8_t, 16> bytes; bool operator==(const UuidValue&) const = default; };

/// A constant in a filter. monostate is null. Strings are UTF-8.
using Literal = std::variant<std::monostate, bool, int64_t, double, std::string, DateValue, TimeValue, TimestampValue,
                             DecimalValue, BinaryValue, UuidValue>;

/// A short text of `value` for messages and logs, strings quoted.
std::string ToString(const Literal& value);

enum class FilterOp { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn, kBetween, kIsNull, kIsNotNull };

/// "==", "!=", "<", … "in", "not_in", "between", "is_null", "is_not_null".
std::string_view ToString(FilterOp op);
/// Reads an operator in any of its spellings ("==", "=", "eq", "not in", "notnull" …), case-insensitive.
/// Errors: kInvalidArgument that lists the known operators.
Result<FilterOp> ParseFilterOp(std::string_view text);

/// `column op values`. Comparisons take one value, kBetween two (inclusive), kIn and kNotIn any number, the rest none.
/// Nulls and NaN in a column match no comparison, kIn, kNotIn or kBetween. Nulls inside the values of kIn and kNotIn are
/// dropped: an empty kIn matches nothing, an empty kNotIn every non-null.
struct Predicate {
  std::string column;
  FilterOp op = FilterOp::kEq;
  std::vector<Literal> values;
  bool operator==(const Predicate&) const = default;
};

/// All predicates must hold; an empty filter keeps every row.
struct Filter {
  std::vector<Predicate> all_of;
  bool empty() const { return all_of.empty(); }
  bool operator==(const Filter&) const = default;
};

}  // namespace datashard
