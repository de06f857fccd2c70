// Filter operators and constants as text.
#include "datashard/filter.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace datashard {
namespace {

struct Spelling {
  std::string_view text;
  FilterOp op;
};
// The first spelling of an operator is the one ToString gives. Words are compared in lower case, with '_' for blanks.
constexpr Spelling kSpellings[] = {
    {"==", FilterOp::kEq},           {"=", FilterOp::kEq},           {"eq", FilterOp::kEq},
    {"!=", FilterOp::kNe},           {"<>", FilterOp::kNe},          {"ne", FilterOp::kNe},
    {"<", FilterOp::kLt},            {"lt", FilterOp::kLt},          {"<=", FilterOp::kLe},
    {"le", FilterOp::kLe},           {"lte", FilterOp::kLe},         {">", FilterOp::kGt},
    {"gt", FilterOp::kGt},           {">=", FilterOp::kGe},          {"ge", FilterOp::kGe},
    {"gte", FilterOp::kGe},          {"in", FilterOp::kIn},          {"not_in", FilterOp::kNotIn},
    {"notin", FilterOp::kNotIn},     {"between", FilterOp::kBetween}, {"is_null", FilterOp::kIsNull},
    {"isnull", FilterOp::kIsNull},   {"is_not_null", FilterOp::kIsNotNull},
    {"isnotnull", FilterOp::kIsNotNull}, {"notnull", FilterOp::kIsNotNull}, {"not_null", FilterOp::kIsNotNull},
};

constexpr size_t kShownBytesMax = 64;

// Quoted and short; quotes, backslashes and control characters escaped. Cut between UTF-8 characters.
std::string Quoted(std::string_view text) {
  size_t size = std::min(text.size(), kShownBytesMax);
  while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  std::string quoted = "'";
  for (const char c : text.substr(0, size)) {
    if (c == '\'' || c == '\\') {
      quoted += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + (size < text.size() ? "…'" : "'");
}

std::string Hex(std::string_view bytes) {
  std::string text = "0x";
  for (const char c : bytes.substr(0, kShownBytesMax / 2)) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text + (bytes.size() > kShownBytesMax / 2 ? "…" : "");
}

std::string DateText(int64_t days) {
  using namespace std::chrono;
  // std::chrono's years end at ±32767; what lies beyond is shown as the number it is.
  if (days < -12'000'000 || days > 11'000'000) return fmt::format("{} days since 1970-01-01", days);
  const year_month_day date{sys_days{std::chrono::days{days}}};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

std::string TimeText(int64_t micros) {
  const int64_t seconds = micros / 1'000'000;
  std::string text = fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (micros % 1'000'000 != 0) text += fmt::format(".{:06}", micros % 1'000'000);
  return text;
}

std::string TimestampText(const TimestampValue& value) {
  constexpr int64_t kDay = 86'400'000'000;
  int64_t days = value.micros / kDay;
  int64_t time = value.micros % kDay;
  if (time < 0) {
    --days;
    time += kDay;
  }
  return DateText(days) + "T" + TimeText(time) + (value.has_zone ? "Z" : "");
}

struct Show {
  std::string operator()(std::monostate) const { return "null"; }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return fmt::format("{}", value); }
  std::string operator()(const std::string& value) const { return Quoted(value); }
  std::string operator()(DateValue value) const { return DateText(value.days); }
  std::string operator()(TimeValue value) const { return TimeText(value.micros); }
  std::string operator()(const TimestampValue& value) const { return TimestampText(value); }
  std::string operator()(const DecimalValue& value) const { return value.text.substr(0, kShownBytesMax); }
  std::string operator()(const BinaryValue& value) const { return Hex(value.bytes); }
  std::string operator()(const UuidValue& value) const {
    std::string text;
    for (size_t i = 0; i < value.bytes.size(); ++i) {
      if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
      text += fmt::format("{:02x}", value.bytes[i]);
    }
    return text;
  }
};

}  // namespace

std::string ToString(const Literal& value) { return std::visit(Show{}, value); }

std::string_view ToString(FilterOp op) {
  for (const Spelling& spelling : kSpellings)
    if (spelling.op == op) return spelling.text;
  return "unknown";
}

Result<FilterOp> ParseFilterOp(std::string_view text) {
  std::string word;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\t' || c == '_';
    if (!blank) {
      word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    } else if (!word.empty() && word.back() != '_') {
      word += '_';
    }
  }
  while (word.ends_with('_')) word.pop_back();
  for (const Spelling& spelling : kSpellings)
    if (spelling.text == word) return spelling.op;
  return InvalidArgument("unknown filter operator {}; known are ==, !=, <, <=, >, >=, in, not_in, between, is_null and "
                         "is_not_null", Quoted(text));
}

}  // namespace datashard
