#include "generation/yaml_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <regex>

namespace datashard::generation {
namespace {

constexpr size_t kWidth = 80;
constexpr size_t kIndent = 2;
constexpr size_t kResolvedMax = 256;  // longer texts are not matched: std::regex recurses

std::u32string CodePoints(std::string_view text) {
  std::u32string points;
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i++]);
    int more = first < 0x80 ? 0 : first < 0xC0 ? -1 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : first < 0xF8 ? 3 : -1;
    char32_t point = more == 0 ? first : more < 0 ? U'\uFFFD' : first & (0x3F >> more);
    for (; more > 0 && i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80; --more)
      point = point << 6 | (static_cast<unsigned char>(text[i++]) & 0x3F);
    points += more > 0 ? U'\uFFFD' : point;
  }
  return points;
}

bool IsPrintable(char32_t c) { return c >= 0x20 && c <= 0x7E; }

/// Would a reader take the plain text for a number, a time, a truth value or null?
bool LooksLikeAnotherType(const std::string& text) {
  static const auto& other = *new std::regex(
      R"((?:~|null|Null|NULL|<<|=)"
      R"(|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)"
      R"(|[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?)"
      R"(|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
      R"(|[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)"
      R"(|[0-9]{4}-[0-9]{2}-[0-9]{2})"
      R"(|[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?(?:[Tt]|[ \t]+)[0-9][0-9]?:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?)"
      R"((?:[ \t]*(?:Z|[-+][0-9][0-9]?(?::[0-9]{2})?))?))");
  if (text.empty()) return true;
  if (text.size() > kResolvedMax) return text.find_first_not_of("0123456789_.:+-eExXabcdefABCDEF") == std::string::npos;
  return std::regex_match(text, other);
}

struct Styles {
  bool plain = true;
  bool single_quoted = true;
};

Styles StylesFor(const std::u32string& text) {
  Styles styles;
  bool after_space = true, previous_space = false, previous_break = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    const bool before_space = i + 1 == text.size() || text[i + 1] == ' ' || text[i + 1] == '\n' || text[i + 1] == '\t' || text[i + 1] == '\r';
    const bool indicator = i == 0 ? std::u32string_view(U"#,[]{}&*!|>'\"%@`").find(c) != std::u32string_view::npos ||
                                        ((c == '?' || c == ':' || c == '-') && before_space)
                                  : (c == ':' && before_space) || (c == '#' && after_space);
    const bool at_an_end = (c == ' ' || c == '\n') && (i == 0 || i + 1 == text.size());
    if (indicator || at_an_end || c == '\n') styles.plain = false;
    if (c != '\n' && !IsPrintable(c)) styles = {.plain = false, .single_quoted = false};
    if ((c == ' ' && previous_break) || (c == '\n' && previous_space)) styles = {.plain = false, .single_quoted = false};
    previous_space = c == ' ';
    previous_break = c == '\n';
    after_space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
  }
  if (text.starts_with(U"---") || text.starts_with(U"...")) styles.plain = false;
  return styles;
}

/// What has been written, and in which column the line is.
class Lines {
 public:
  explicit Lines(std::string_view start) { Add(start); }
  void Add(std::string_view ascii) {
    out_ += ascii;
    column_ += ascii.size();
  }
  void Add(const std::u32string& text, size_t start, size_t end) {
    for (size_t i = start; i < end; ++i) Add(std::string(1, static_cast<char>(text[i])));
  }
  void Break() {
    out_ += '\n';
    column_ = 0;
  }
  void Indent() {
    if (column_ > kIndent) Break();
    Add(std::string(kIndent - std::min(column_, kIndent), ' '));
  }
  size_t column() const { return column_; }
  std::string Done() && { return std::move(out_) + "\n"; }

 private:
  std::string out_;
  size_t column_ = 0;
};

/// One space beyond the last column becomes the end of a line.
void AddSpaces(Lines& lines, size_t count, bool may_fold) {
  if (count == 1 && lines.column() > kWidth && may_fold) {
    lines.Indent();
  } else {
    lines.Add(std::string(count, ' '));
  }
}

void AddPlain(Lines& lines, const std::u32string& text) {
  for (size_t i = 0; i < text.size();) {
    const bool spaces = text[i] == ' ';
    size_t end = i;
    while (end < text.size() && (text[end] == ' ') == spaces) ++end;
    if (spaces) {
      AddSpaces(lines, end - i, /*may_fold=*/true);
    } else {
      lines.Add(text, i, end);
    }
    i = end;
  }
}

void AddSingleQuoted(Lines& lines, const std::u32string& text) {
  lines.Add("'");
  for (size_t i = 0; i < text.size();) {
    const char32_t c = text[i];
    size_t end = i;
    if (c == ' ') {
      while (end < text.size() && text[end] == ' ') ++end;
      AddSpaces(lines, end - i, i != 0 && end != text.size());
    } else if (c == '\n') {
      lines.Break();  // of one line's end a reader makes a space
      for (; end < text.size() && text[end] == '\n'; ++end) lines.Break();
      lines.Indent();
    } else if (c == '\'') {
      lines.Add("''");
      ++end;
    } else {
      while (end < text.size() && text[end] != ' ' && text[end] != '\n' && text[end] != '\'') ++end;
      lines.Add(text, i, end);
    }
    i = end;
  }
  lines.Add("'");
}

std::string Escaped(char32_t c) {
  static constexpr std::pair<char32_t, const char*> kShort[] = {
      {0, "\\0"}, {7, "\\a"}, {8, "\\b"}, {9, "\\t"}, {10, "\\n"}, {11, "\\v"}, {12, "\\f"}, {13, "\\r"}, {27, "\\e"},
      {'"', "\\\""}, {'\\', "\\\\"}, {0x85, "\\N"}, {0xA0, "\\_"}, {0x2028, "\\L"}, {0x2029, "\\P"}};
  for (const auto& [point, text] : kShort)
    if (point == c) return text;
  const auto number = static_cast<uint32_t>(c);
  return number <= 0xFF ? fmt::format("\\x{:02X}", number) : number <= 0xFFFF ? fmt::format("\\u{:04X}", number) : fmt::format("\\U{:08X}", number);
}

void AddDoubleQuoted(Lines& lines, const std::u32string& text) {
  lines.Add("\"");
  size_t start = 0;
  for (size_t end = 0; end <= text.size(); ++end) {
    const bool at_end = end == text.size();
    if (at_end || text[end] == '"' || text[end] == '\\' || !IsPrintable(text[end])) {
      lines.Add(text, start, end);
      start = end;
      if (!at_end) {
        lines.Add(Escaped(text[end]));
        start = end + 1;
      }
    }
    const bool inside = end > 0 && end + 1 < text.size();
    if (!inside || !(text[end] == ' ' || start >= end) || lines.column() + end - std::min(start, end) <= kWidth) continue;
    if (start < end) {
      lines.Add(text, start, end);
      start = end;
    }
    lines.Add("\\");
    lines.Indent();
    if (text[start] == ' ') lines.Add("\\");
  }
  lines.Add("\"");
}

}  // namespace

std::string YamlLine(std::string_view key, std::string_view text) {
  const std::u32string points = CodePoints(text);
  const Styles styles = StylesFor(points);
  Lines lines(fmt::format("{}: ", key));
  if (styles.plain && !LooksLikeAnotherType(std::string(text))) {
    AddPlain(lines, points);
  } else if (styles.single_quoted) {
    AddSingleQuoted(lines, points);
  } else {
    AddDoubleQuoted(lines, points);
  }
  return std::move(lines).Done();
}

}  // namespace datashard::generation
