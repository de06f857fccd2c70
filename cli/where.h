// The language of --where: predicates joined by AND, written as in SQL. Parsing knows no table; binding types the
// constants by their columns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "datashard/filter.h"
#include "datashard/result.h"
#include "datashard/schema.h"

namespace datashard::cli {

/// A constant as it was typed. Unquoted `null` is null; in quotes it is a string of four letters.
struct WhereValue {
  std::string text;
  bool quoted = false;
  bool operator==(const WhereValue&) const = default;
};

struct WherePredicate {
  std::string column;
  FilterOp op = FilterOp::kEq;
  std::vector<WhereValue> values;
  bool operator==(const WherePredicate&) const = default;
};

/// Reads `column op value`, `column [not] in (v, …)`, `column between v and v`, `column is [not] null`, joined by
/// `and`. Operators: = == != <> < <= > >= and eq ne lt le gt ge; words in any case. A column or value with spaces,
/// commas, parentheses or operator characters stands in quotes: 'it''s' or "…" for values, "…" or `…` for columns; a
/// doubled quote is one. Errors: kInvalidArgument that shows the place and what was expected there.
Result<std::vector<WherePredicate>> ParseWhere(std::string_view text);

/// The filter of all `texts` (each through ParseWhere) against the columns of `schema`.
/// Errors: kInvalidArgument (kColumn with the nearest name, kOperand with the type).
Result<Filter> BindWhere(const std::vector<std::string>& texts, const Schema& schema);

}  // namespace datashard::cli
