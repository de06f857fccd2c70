#include "iceberg/decimal.h"

#include <algorithm>

namespace datashard::iceberg {
namespace {

constexpr int kDigitsMax = 38;

Int128 PowerOfTen(int exponent) {
  Int128 power = 1;
  while (exponent-- > 0) power *= 10;
  return power;
}

bool AllDigits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The digits before and behind the point, without zeros that do not count; zero is never negative.
struct Digits {
  bool negative = false;
  std::string_view whole;
  std::string_view fraction;
};

Digits DigitsOf(std::string_view text) {
  Digits digits;
  digits.negative = text.starts_with('-');
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const size_t point = text.find('.');
  digits.whole = text.substr(0, point);
  if (point != std::string_view::npos) digits.fraction = text.substr(point + 1);
  while (digits.whole.starts_with('0')) digits.whole.remove_prefix(1);
  while (digits.fraction.ends_with('0')) digits.fraction.remove_suffix(1);
  if (digits.whole.empty() && digits.fraction.empty()) digits.negative = false;
  return digits;
}

}  // namespace

bool IsDecimalText(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction = point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  return !(whole.empty() && fraction.empty()) && AllDigits(whole) && AllDigits(fraction);
}

std::strong_ordering CompareDecimalTexts(std::string_view a, std::string_view b) {
  const Digits x = DigitsOf(a);
  const Digits y = DigitsOf(b);
  if (x.negative != y.negative) return x.negative ? std::strong_ordering::less : std::strong_ordering::greater;
  auto order = x.whole.size() <=> y.whole.size();
  if (order == 0) order = x.whole <=> y.whole;
  if (order == 0) order = x.fraction <=> y.fraction;  // without trailing zeros, the order of texts is that of numbers
  return x.negative ? 0 <=> order : order;
}

std::optional<Int128> UnscaledOf(std::string_view text, int32_t precision, int32_t scale) {
  if (!IsDecimalText(text)) return std::nullopt;
  const Digits digits = DigitsOf(text);
  if (static_cast<int64_t>(digits.fraction.size()) > scale) return std::nullopt;
  if (static_cast<int64_t>(digits.whole.size()) > precision - scale) return std::nullopt;
  Int128 value = 0;
  for (const char c : digits.whole) value = value * 10 + (c - '0');
  for (const char c : digits.fraction) value = value * 10 + (c - '0');
  value *= PowerOfTen(scale - static_cast<int>(digits.fraction.size()));
  return digits.negative ? -value : value;
}

std::string DecimalText(Int128 unscaled, int32_t scale) {
  const bool negative = unscaled < 0;
  std::string digits;  // least digit first
  for (Int128 rest = unscaled; rest != 0; rest /= 10) {
    const int digit = static_cast<int>(rest % 10);
    digits += static_cast<char>('0' + (digit < 0 ? -digit : digit));
  }
  while (static_cast<int64_t>(digits.size()) <= scale) digits += '0';
  std::string text(negative ? "-" : "");
  text.append(digits.rbegin(), digits.rend() - scale);
  if (scale > 0) {
    text += '.';
    text.append(digits.rend() - scale, digits.rend());
  }
  return text;
}

Bytes FixedBigEndian(Int128 value, int32_t length) {
  Bytes bytes(static_cast<size_t>(length), '\0');
  for (size_t i = bytes.size(); i-- > 0; value >>= 8) bytes[i] = static_cast<char>(value & 0xFF);
  return bytes;
}

Bytes MinimalBigEndian(Int128 value) {
  int32_t length = 1;
  while (length < 16 && (value >> (8 * length - 1)) != 0 && (value >> (8 * length - 1)) != -1) ++length;
  return FixedBigEndian(value, length);
}

std::optional<Int128> FromBigEndian(ByteView bytes) {
  if (bytes.empty() || bytes.size() > 16) return std::nullopt;
  __extension__ unsigned __int128 bits = static_cast<signed char>(bytes[0]) < 0 ? ~static_cast<unsigned __int128>(0) : 0;
  for (const char c : bytes) bits = bits << 8 | static_cast<unsigned char>(c);
  const Int128 value = static_cast<Int128>(bits);
  const Int128 limit = PowerOfTen(kDigitsMax);
  if (value >= limit || value <= -limit) return std::nullopt;
  return value;
}

int32_t DecimalBytes(int32_t precision) {
  return static_cast<int32_t>(MinimalBigEndian(PowerOfTen(std::min(precision, kDigitsMax)) - 1).size());
}

}  // namespace datashard::iceberg
