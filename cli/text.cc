// The helpers of text.h. UTF-8 is decoded here once, strictly: overlong forms, surrogates and stray bytes are bad.
#include "cli/text.h"

#include <fmt/format.h>
#include <locale.h>
#include <wchar.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace datashard::cli {
namespace {

struct CodePoint {
  char32_t value = 0;
  size_t size_bytes = 1;
  bool valid = false;
};

CodePoint Decode(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : 0u; };
  const uint32_t first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return {first, 1, false};
  char32_t value = first & (0xFFu >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return {first, 1, false};
    value = (value << 6) | (byte(i) & 0x3Fu);
  }
  constexpr std::array<char32_t, 5> kSmallestOfSize = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallestOfSize[size] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
    return {first, 1, false};
  return {value, size, true};
}

bool IsControl(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

// Marks that reorder what is shown around them, line separators, and the tag characters nobody can see.
bool IsDeceptive(char32_t c) {
  return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E || c == 0x200F || c == 0x061C ||
         c == 0x2028 || c == 0x2029 || c == 0xFEFF || (c >= 0xE0000 && c <= 0xE007F);
}

// glibc's table of widths, without changing the locale of the process. Made at the first use: 0.1 ms that `--help`
// does not need.
int32_t WidthOf(char32_t c) {
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", static_cast<locale_t>(nullptr));
  if (c < 0x300 || utf8 == static_cast<locale_t>(nullptr)) return 1;
  const locale_t before = uselocale(utf8);
  const int width = wcwidth(static_cast<wchar_t>(c));
  uselocale(before);
  return width < 0 ? 1 : width;
}

std::string JsonEscape(char32_t c) {
  if (c < 0x10000) return fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  const uint32_t rest = static_cast<uint32_t>(c) - 0x10000;
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
}

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

std::string Printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint c = Decode(text);
    if (!c.valid) {
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c.value));
    } else if (c.value == '\n') {
      out += "\\n";
    } else if (c.value == '\t') {
      out += "\\t";
    } else if (c.value == '\r') {
      out += "\\r";
    } else if (IsControl(c.value)) {
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c.value));
    } else if (IsDeceptive(c.value)) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c.value));
    } else {
      out += text.substr(0, c.size_bytes);
    }
    text.remove_prefix(c.size_bytes);
  }
  return out;
}

int32_t DisplayWidth(std::string_view text) {
  int32_t width = 0;
  while (!text.empty()) {
    const CodePoint c = Decode(text);
    width += WidthOf(c.value);
    text.remove_prefix(c.size_bytes);
  }
  return width;
}

std::string Shorten(std::string_view text, int32_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  int32_t used = 0;
  size_t size_bytes = 0;
  while (size_bytes < text.size()) {
    const CodePoint c = Decode(text.substr(size_bytes));
    const int32_t next = used + WidthOf(c.value);
    if (next > width - 1) break;
    used = next;
    size_bytes += c.size_bytes;
  }
  return std::string(text.substr(0, size_bytes)) + "…";
}

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const CodePoint c = Decode(text);
    if (!c.valid) {
      out += "\uFFFD";
    } else if (c.value == '"' || c.value == '\\') {
      out += '\\';
      out += static_cast<char>(c.value);
    } else if (c.value == '\n') {
      out += "\\n";
    } else if (c.value == '\t') {
      out += "\\t";
    } else if (IsControl(c.value) || IsDeceptive(c.value)) {
      out += JsonEscape(c.value);
    } else {
      out += text.substr(0, c.size_bytes);
    }
    text.remove_prefix(c.size_bytes);
  }
  return out + "\"";
}

std::string TerminalSafeJson(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  while (!json.empty()) {
    const CodePoint c = Decode(json);
    // Line ends and indentation stand between texts only; inside, their library has escaped them.
    const bool is_layout = c.value == '\n' || c.value == '\t' || c.value == '\r';
    if (c.valid && !is_layout && (IsControl(c.value) || IsDeceptive(c.value))) {
      out += JsonEscape(c.value);
    } else {
      out += json.substr(0, c.size_bytes);
    }
    json.remove_prefix(c.size_bytes);
  }
  return out;
}

std::string WithThousands(int64_t number) {
  std::string digits = fmt::format("{}", number);
  const size_t sign = number < 0 ? 1 : 0;
  for (size_t i = digits.size(); i > sign + 3;) {
    i -= 3;
    digits.insert(i, ",");
  }
  return digits;
}

std::string HumanBytes(double bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"B", "kB", "MB", "GB", "TB", "PB"};
  size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit > 0 && bytes < 99.95 ? 1 : 0, kUnits[unit]);
}

std::string HumanDuration(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::clamp(seconds, 0.0, 359'999.0)));
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::optional<std::string> NearestName(std::string_view name, std::span<const std::string> names) {
  constexpr size_t kLongestCompared = 128;  // the work grows with the square
  if (name.size() > kLongestCompared) return std::nullopt;
  size_t best = std::max<size_t>(1, name.size() / 3) + 1;
  std::optional<std::string> nearest;
  for (const std::string& candidate : names) {
    if (candidate.size() > kLongestCompared) continue;
    const size_t columns = candidate.size() + 1;
    std::vector<size_t> table((name.size() + 1) * columns);
    const auto at = [&](size_t i, size_t j) -> size_t& { return table[i * columns + j]; };
    for (size_t i = 0; i <= name.size(); ++i) at(i, 0) = i;
    for (size_t j = 0; j < columns; ++j) at(0, j) = j;
    for (size_t i = 1; i <= name.size(); ++i) {
      for (size_t j = 1; j < columns; ++j) {
        const bool same = Lower(name[i - 1]) == Lower(candidate[j - 1]);
        at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (same ? 0 : 1)});
        if (i > 1 && j > 1 && Lower(name[i - 1]) == Lower(candidate[j - 2]) &&
            Lower(name[i - 2]) == Lower(candidate[j - 1]))
          at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
      }
    }
    if (at(name.size(), candidate.size()) < best) {
      best = at(name.size(), candidate.size());
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace datashard::cli
