// Dates, times and instants as ISO 8601 text, both ways, for the whole range of Iceberg's types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace datashard::data {

/// "2013-01-31"; years outside 0000..9999 have a sign and as many digits as they need.
void AppendDate(std::string& out, int64_t days);
/// "05:00:00", with six digits of fraction where there is one.
void AppendTimeOfDay(std::string& out, int64_t micros);
/// Date and time with 'T' between, and 'Z' behind where `utc`.
void AppendTimestamp(std::string& out, int64_t micros, bool utc);

std::optional<int32_t> ParseDate(std::string_view text);
/// "05:00", "05:00:00" or with 1 to 6 digits of fraction.
std::optional<int64_t> ParseTimeOfDay(std::string_view text);

struct ParsedTimestamp {
  int64_t micros = 0;  // in UTC where has_zone
  bool has_zone = false;
};
/// A date, or a date and a time with 'T' or a space between and maybe a zone behind: "Z", "+02:00", "-0530", "+02".
std::optional<ParsedTimestamp> ParseTimestamp(std::string_view text);

}  // namespace datashard::data
