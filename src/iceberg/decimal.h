// Decimals as text, as 128-bit unscaled numbers and as big-endian bytes; up to 38 digits exactly.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace datashard::iceberg {

__extension__ using Int128 = __int128;

/// Is `text` [+-]digits[.digits], with a digit on at least one side of the point?
bool IsDecimalText(std::string_view text);
/// Order of two such texts, of any length.
std::strong_ordering CompareDecimalTexts(std::string_view a, std::string_view b);
/// `text` times 10^scale where that is a whole number of at most `precision` digits.
std::optional<Int128> UnscaledOf(std::string_view text, int32_t precision, int32_t scale);
/// With exactly `scale` digits behind the point.
std::string DecimalText(Int128 unscaled, int32_t scale);

/// Two's complement, big-endian, as few bytes as hold the number (at least one).
Bytes MinimalBigEndian(Int128 value);
/// The same in exactly `length` bytes (1..16), which must be enough.
Bytes FixedBigEndian(Int128 value, int32_t length);
/// None for no bytes, for more than 16, and for more than 38 digits.
std::optional<Int128> FromBigEndian(ByteView bytes);
/// Bytes that hold every decimal of `precision` digits.
int32_t DecimalBytes(int32_t precision);

}  // namespace datashard::iceberg
