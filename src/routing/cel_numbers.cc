#include "routing/cel_numbers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace datashard::routing::cel {
namespace {

constexpr std::string_view kBlanks = " \t\n\v\f\r";

/// Without blanks around it and without a '+'; empty where that leaves no number.
std::string_view Stripped(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  text = text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
  if (!text.starts_with('+')) return text;
  text.remove_prefix(1);
  return text.starts_with('-') ? std::string_view() : text;
}

template <typename Number>
std::optional<Number> ParseInteger(std::string_view text) {
  text = Stripped(text);
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Of a number beyond the range of double: is it too large (or too small)?
bool IsLarge(std::string_view digits, bool hex) {
  const size_t exponent_at = std::min(digits.find_first_of(hex ? "pP" : "eE"), digits.size());
  const std::string_view mantissa = digits.substr(0, exponent_at);
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  const size_t leading = std::min(mantissa.find_first_not_of("0."), mantissa.size());
  const int64_t places = static_cast<int64_t>(point) - static_cast<int64_t>(leading);
  int64_t exponent = 0;
  if (exponent_at < digits.size()) {
    std::string_view text = digits.substr(exponent_at + 1);
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), exponent);
    if (error == std::errc::result_out_of_range) return !text.starts_with('-');
  }
  return (hex ? 4 * places : places) > -exponent;
}

}  // namespace

std::optional<int64_t> ParseInt(std::string_view text) { return ParseInteger<int64_t>(text); }

std::optional<uint64_t> ParseUint(std::string_view text) { return ParseInteger<uint64_t>(text); }

std::optional<double> ParseDouble(std::string_view text) {
  text = Stripped(text);
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.starts_with('-')) return std::nullopt;
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  if (hex) text.remove_prefix(2);
  if (hex && text.find_first_of("nN") != std::string_view::npos) return std::nullopt;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, hex ? std::chars_format::hex : std::chars_format::general);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) number = IsLarge(text, hex) ? std::numeric_limits<double>::infinity() : 0.0;
  return negative ? -number : number;
}

std::optional<bool> ParseBool(std::string_view text) {
  constexpr std::array<std::string_view, 5> kTrue = {"true", "True", "TRUE", "t", "1"};
  constexpr std::array<std::string_view, 5> kFalse = {"false", "False", "FALSE", "f", "0"};
  if (std::ranges::find(kTrue, text) != kTrue.end()) return true;
  if (std::ranges::find(kFalse, text) != kFalse.end()) return false;
  return std::nullopt;
}

size_t FormatDouble(double number, char* out) {
  return static_cast<size_t>(std::to_chars(out, out + 32, number, std::chars_format::general).ptr - out);
}

}  // namespace datashard::routing::cel
