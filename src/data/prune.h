// May a row with these statistics match a filter? Used for files (manifest metrics) and row groups (Parquet footers).
#pragma once

#include <cstdint>
#include <optional>

#include "datashard/filter.h"
#include "datashard/schema.h"

namespace datashard::data {

/// What is known of one column of many rows; absent where unknown. NaN is outside the bounds.
struct ColumnRange {
  std::optional<int64_t> values;  // nulls and NaN included
  std::optional<int64_t> nulls;
  std::optional<int64_t> nans;
  std::optional<Literal> lower;  // of the column's type; maybe below the least value
  std::optional<Literal> upper;
};

/// True when in doubt. `predicate` is bound to a column of type `type`.
bool RangeMayMatch(const Predicate& predicate, const Type& type, const ColumnRange& range);

}  // namespace datashard::data
