// The rows a filter keeps: comparisons by SQL's rules for null, and NaN equal to nothing and different from nothing.
#pragma once

#include <arrow/type_fwd.h>

#include <memory>

#include "datashard/filter.h"
#include "datashard/result.h"
#include "datashard/schema.h"

namespace datashard::data {

/// For each row of `column`, of ArrowTypeOf(type): does it satisfy `predicate`, which is bound? Null means no.
Result<std::shared_ptr<arrow::Array>> Matches(const Predicate& predicate, const Type& type,
                                              const std::shared_ptr<arrow::Array>& column);

/// `a` and `b`, row by row. Null means no.
Result<std::shared_ptr<arrow::Array>> BothMatch(const std::shared_ptr<arrow::Array>& a,
                                                const std::shared_ptr<arrow::Array>& b);

}  // namespace datashard::data
