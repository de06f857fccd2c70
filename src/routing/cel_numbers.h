// Numbers as text, by the rules of CEL's conversions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace datashard::routing::cel {

/// Blanks around the number and one '+' are fine; none where it is no number or does not fit.
std::optional<int64_t> ParseInt(std::string_view text);
std::optional<uint64_t> ParseUint(std::string_view text);
/// Also hexadecimal, inf and nan in any case. What is too large is infinite, what is too small is 0.
std::optional<double> ParseDouble(std::string_view text);
/// true, True, TRUE, t, 1, and the same of false.
std::optional<bool> ParseBool(std::string_view text);

/// The shortest text that reads back as `number`: 2, 0.1, 1e+06, -inf. Writes at most 32 bytes and returns their count.
size_t FormatDouble(double number, char* out);

}  // namespace datashard::routing::cel
