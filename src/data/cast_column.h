// Values of one Arrow type as values of an Iceberg type: without loss, or not at all.
#pragma once

#include <arrow/type_fwd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "datashard/result.h"
#include "datashard/schema.h"

namespace datashard::data {

/// May values of `from` go into a column of type `to` at all? What each single value must fulfil beyond that is
/// CastColumn's to check. Errors: kInvalidArgument (kValue) that names both types.
Status CheckCastable(const std::shared_ptr<arrow::DataType>& from, const Type& to);

/// `column` as an array of ArrowTypeOf(to), plain: no dictionary, run ends, views or 64-bit offsets. The one rounding
/// allowed is double to float. Errors: kInvalidArgument (kValue) for a value that does not fit, with its row, counted
/// from 0 at the array's start plus `first_row`; kUnsupported for a column of over 2 GiB of text in one batch.
Result<std::shared_ptr<arrow::Array>> CastColumn(const std::shared_ptr<arrow::Array>& column, const Type& to,
                                                 int64_t first_row);

/// `column` without extension type, dictionary and run ends, values unchanged.
Result<std::shared_ptr<arrow::Array>> PlainColumn(std::shared_ptr<arrow::Array> column);

/// 32 hexadecimal digits, with dashes at the usual places or none, in either case.
std::optional<std::array<uint8_t, 16>> ParseUuid(std::string_view text);

}  // namespace datashard::data
