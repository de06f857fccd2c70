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

/// `value` as a constant that can be compared with a column of type `type`, without loss. A null stays null.
/// - int, long: integers, and doubles that are whole (2.0). An integer beyond int stays as it is, and compares.
/// - float, double: doubles, and integers that a double can hold exactly.
/// - decimal: DecimalValue and integers. What the column can hold gets its scale ("12.50"); the rest keeps its own digits,
///   and compares.
/// - uuid: UuidValue, its text, 16 bytes. fixed[L]: exactly L bytes. timestamp: without zone; timestamptz: with one.
/// - Every other type takes its own kind of value only; a bool is no integer, text is no date.
/// Errors: kInvalidArgument (kOperand) that names type and value and says what to give.
Result<Literal> CoerceLiteral(const Literal& value, const Type& type);

/// `value` (already coerced to `type`, not null) as bytes, and back.
Result<Bytes> EncodeValue(const Literal& value, const Type& type);
/// Bounds written under an older type of the column are widened (int to long, float to double, decimal).
/// Errors: kCorruption for a length the type does not have.
Result<Literal> DecodeValue(ByteView bytes, const Type& type);

/// Order of two values coerced to `type`; unordered if one is NaN. Strings by their UTF-8 bytes, uuids and binary unsigned.
std::partial_ordering Compare(const Literal& a, const Literal& b, const Type& type);

}  // namespace datashard::iceberg
