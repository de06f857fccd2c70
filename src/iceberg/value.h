// Values of Iceberg's primitive types in single-value binary form, and their order.
// Source: Iceberg spec, appendix D, "Binary single-value serialization".
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "datashard/filter.h"
#include "datashard/result.h"
#include "datashard/schema.h"

namespace datashard::iceberg {

/// `value` as a constant that can be compared with a column of type `type`, without loss: integers fit int and long and
/// become double for float and double columns; text becomes uuid, and nothing else; DecimalValue fits decimals (integers
/// too). A null stays null. Errors: kInvalidArgument (kOperand) that names type and value.
Result<Literal> CoerceLiteral(const Literal& value, const Type& type);

/// `value` (already coerced to `type`, not null) as bytes, and back.
Result<Bytes> EncodeValue(const Literal& value, const Type& type);
/// Bounds written under an older type of the column are widened (int to long, float to double, decimal).
/// Errors: kCorruption for a length the type does not have.
Result<Literal> DecodeValue(ByteView bytes, const Type& type);

/// Order of two values coerced to `type`; unordered if one is NaN. Strings by their UTF-8 bytes, uuids and binary unsigned.
std::partial_ordering Compare(const Literal& a, const Literal& b, const Type& type);

}  // namespace datashard::iceberg
