// String and bytes literals: prefixes, quotes and escapes.
#include <optional>

#include "base/error.h"
#include "datashard/sharding.h"
#include "routing/cel_lexer.h"
#include "routing/utf8.h"

namespace datashard::routing::cel {
namespace {

constexpr uint32_t kCodePointMax = 0x10FFFF;

/// `count` digits of base 8 or 16 at the front of `text`.
std::optional<uint32_t> Digits(std::string_view text, size_t count, uint32_t base) {
  if (text.size() < count) return std::nullopt;
  uint32_t number = 0;
  for (const char c : text.substr(0, count)) {
    const char lower = static_cast<char>(c | 0x20);
    const uint32_t digit = c >= '0' && c <= '9' ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : base;
    if (digit >= base) return std::nullopt;
    number = number * base + digit;
  }
  return number;
}

std::optional<char> PlainEscape(char c) {
  constexpr std::string_view kLetters = "abfnrtv\\?\"'`";
  constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\?\"'`";
  const size_t index = kLetters.find(c);
  if (index == std::string_view::npos) return std::nullopt;
  return kMeanings[index];
}

/// Escapes that spell a number: their digits, behind the letter where there is one.
struct Numbered {
  size_t letter_size;
  size_t digits;
  uint32_t base;
  bool code_point;
};
std::optional<Numbered> NumberedEscape(char c) {
  switch (c) {
    case 'x':
    case 'X': return Numbered{1, 2, 16, false};
    case 'u': return Numbered{1, 4, 16, true};
    case 'U': return Numbered{1, 8, 16, true};
    case '0': case '1': case '2': case '3': return Numbered{0, 3, 8, false};
    default: return std::nullopt;
  }
}

/// Appends what the escape behind a backslash stands for; returns its size.
Result<size_t> AppendEscape(std::string_view text, bool is_bytes, Bytes& out) {
  if (text.empty()) return InvalidArgument("a backslash at the end");
  if (const auto plain = PlainEscape(text[0])) {
    out += *plain;
    return size_t{1};
  }
  const auto form = NumberedEscape(text[0]);
  const auto number = form ? Digits(text.substr(form->letter_size), form->digits, form->base) : std::nullopt;
  if (!number) return InvalidArgument("the escape \\{} is none of CEL", ToString(KeyView::Text(text.substr(0, 1))));
  if (is_bytes && form->code_point) return InvalidArgument("\\{} in bytes; write \\x and two digits", text[0]);
  if (*number > kCodePointMax || (*number >= 0xD800 && *number < 0xE000)) return InvalidArgument("U+{:X} is not a character", *number);
  if (is_bytes) {
    out += static_cast<char>(*number);
  } else {
    AppendUtf8(*number, out);
  }
  return form->letter_size + form->digits;
}

}  // namespace

Result<Bytes> DecodeQuoted(std::string_view literal) {
  const size_t prefix_size = literal.find_first_of("\"'");
  const std::string_view prefix = literal.substr(0, prefix_size);
  const bool is_bytes = prefix.find_first_of("bB") != std::string_view::npos;
  const bool raw = prefix.find_first_of("rR") != std::string_view::npos;
  literal.remove_prefix(prefix_size);
  const bool triple = literal.size() >= 6 && literal[1] == literal[0] && literal[2] == literal[0];
  const size_t quotes = triple ? 3 : 1;
  std::string_view text = literal.substr(quotes, literal.size() - 2 * quotes);
  if (raw && text.ends_with('\\')) return InvalidArgument("a raw literal does not end in a backslash");
  Bytes out;
  while (!text.empty()) {
    if (text[0] != '\\' || raw) {
      // A line ends in \n whatever the file's line ends are.
      out += text[0] == '\r' ? '\n' : text[0];
      text.remove_prefix(text.starts_with("\r\n") ? 2 : 1);
      continue;
    }
    auto size = AppendEscape(text.substr(1), is_bytes, out);
    if (!size.ok()) return std::move(size).error();
    text.remove_prefix(1 + *size);
  }
  return out;
}

}  // namespace datashard::routing::cel
