#include "data/iso_time.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <iterator>
#include <limits>

namespace datashard::data {
namespace {

constexpr int64_t kMicrosPerSecond = 1'000'000;
constexpr int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;
// The Gregorian calendar repeats after 400 years; chrono's years reach only to 32767.
constexpr int64_t kDaysPerEra = 146'097;
constexpr int64_t kYearsPerEra = 400;

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// Takes exactly `digits` digits off the front of `text`.
std::optional<int> TakeDigits(std::string_view& text, size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool TakeChar(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<int64_t> TakeYear(std::string_view& text) {
  if (text.empty() || (text.front() != '+' && text.front() != '-')) return TakeDigits(text, 4);
  const bool negative = text.front() == '-';
  text.remove_prefix(1);
  int64_t year = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + std::min<size_t>(text.size(), 7), year);
  if (error != std::errc() || end - text.data() < 4 || year < 0) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return negative ? -year : year;
}

std::optional<int64_t> TakeDate(std::string_view& text) {
  const auto year = TakeYear(text);
  if (!year.has_value() || !TakeChar(text, '-')) return std::nullopt;
  const auto month = TakeDigits(text, 2);
  if (!month.has_value() || !TakeChar(text, '-')) return std::nullopt;
  const auto day = TakeDigits(text, 2);
  if (!day.has_value()) return std::nullopt;
  const int64_t era = FloorDiv(*year, kYearsPerEra);
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(*year - era * kYearsPerEra)},
                                         std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days{date}.time_since_epoch().count() + era * kDaysPerEra;
}

std::optional<int64_t> TakeTimeOfDay(std::string_view& text) {
  const auto hour = TakeDigits(text, 2);
  if (!hour.has_value() || *hour > 23 || !TakeChar(text, ':')) return std::nullopt;
  const auto minute = TakeDigits(text, 2);
  if (!minute.has_value() || *minute > 59) return std::nullopt;
  int64_t micros = (*hour * 60 + *minute) * 60 * kMicrosPerSecond;
  if (!TakeChar(text, ':')) return micros;
  const auto second = TakeDigits(text, 2);
  if (!second.has_value() || *second > 59) return std::nullopt;
  micros += *second * kMicrosPerSecond;
  if (!TakeChar(text, '.')) return micros;
  int64_t unit = kMicrosPerSecond;
  size_t digits = 0;
  for (; digits < 6; ++digits) {
    const auto digit = TakeDigits(text, 1);
    if (!digit.has_value()) break;
    unit /= 10;
    micros += *digit * unit;
  }
  if (digits == 0) return std::nullopt;
  return micros;
}

// Minutes east of UTC.
std::optional<int> TakeZone(std::string_view& text) {
  if (TakeChar(text, 'Z') || TakeChar(text, 'z')) return 0;
  const bool west = !text.empty() && text.front() == '-';
  if (!west && (text.empty() || text.front() != '+')) return std::nullopt;
  text.remove_prefix(1);
  const auto hours = TakeDigits(text, 2);
  if (!hours.has_value() || *hours > 23) return std::nullopt;
  int minutes = *hours * 60;
  const bool colon = TakeChar(text, ':');
  if (colon || !text.empty()) {
    const auto part = TakeDigits(text, 2);
    if (!part.has_value() || *part > 59) return std::nullopt;
    minutes += *part;
  }
  return west ? -minutes : minutes;
}

}  // namespace

void AppendDate(std::string& out, int64_t days) {
  const int64_t era = FloorDiv(days, kDaysPerEra);
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{days - era * kDaysPerEra}}};
  const int64_t year = static_cast<int>(date.year()) + era * kYearsPerEra;
  const auto month = static_cast<unsigned>(date.month());
  const auto day = static_cast<unsigned>(date.day());
  if (year >= 0 && year <= 9999) {
    fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}", year, month, day);
  } else {
    fmt::format_to(std::back_inserter(out), "{}{:04}-{:02}-{:02}", year < 0 ? '-' : '+', year < 0 ? -year : year, month, day);
  }
}

void AppendTimeOfDay(std::string& out, int64_t micros) {
  const int64_t seconds = micros / kMicrosPerSecond;
  fmt::format_to(std::back_inserter(out), "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (micros % kMicrosPerSecond != 0) fmt::format_to(std::back_inserter(out), ".{:06}", micros % kMicrosPerSecond);
}

void AppendTimestamp(std::string& out, int64_t micros, bool utc) {
  const int64_t days = FloorDiv(micros, kMicrosPerDay);
  AppendDate(out, days);
  out += 'T';
  AppendTimeOfDay(out, micros - days * kMicrosPerDay);
  if (utc) out += 'Z';
}

std::optional<int32_t> ParseDate(std::string_view text) {
  const auto days = TakeDate(text);
  if (!days.has_value() || !text.empty() || *days != static_cast<int32_t>(*days)) return std::nullopt;
  return static_cast<int32_t>(*days);
}

std::optional<int64_t> ParseTimeOfDay(std::string_view text) {
  const auto micros = TakeTimeOfDay(text);
  return text.empty() ? micros : std::nullopt;
}

std::optional<ParsedTimestamp> ParseTimestamp(std::string_view text) {
  const auto days = TakeDate(text);
  if (!days.has_value()) return std::nullopt;
  int64_t in_day = 0;
  ParsedTimestamp parsed;
  if (!text.empty()) {
    if (!TakeChar(text, 'T') && !TakeChar(text, ' ')) return std::nullopt;
    const auto time = TakeTimeOfDay(text);
    if (!time.has_value()) return std::nullopt;
    in_day = *time;
    if (!text.empty()) {
      const auto minutes = TakeZone(text);
      if (!minutes.has_value() || !text.empty()) return std::nullopt;
      in_day -= int64_t{*minutes} * 60 * kMicrosPerSecond;
      parsed.has_zone = true;
    }
  }
  int64_t micros = 0;
  if (__builtin_mul_overflow(*days, kMicrosPerDay, &micros) || __builtin_add_overflow(micros, in_day, &parsed.micros))
    return std::nullopt;
  return parsed;
}

}  // namespace datashard::data
