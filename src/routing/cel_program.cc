#include "routing/cel_program.h"

#include <fmt/format.h>

#include <array>

#include "routing/utf8.h"

namespace datashard::routing::cel {

std::string_view ToString(ValueType type) {
  constexpr std::array<std::string_view, 8> kNames = {"int", "uint", "double", "bool", "string", "bytes", "null", "fault"};
  return kNames[static_cast<size_t>(type)];
}

std::string PlaceOf(const Program& program, uint32_t offset) {
  const std::string_view before = std::string_view(program.source).substr(0, offset);
  size_t line = 1;
  for (const char c : before) line += c == '\n' ? 1 : 0;
  const size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return fmt::format("line {}, column {}", line, CodePointCount(before.substr(line_start)) + 1);
}

std::string Shown(const Program& program, uint32_t begin, uint32_t end) {
  constexpr size_t kBytesMax = 80;
  std::string_view part = std::string_view(program.source).substr(begin, end - begin);
  const bool cut = part.size() > kBytesMax;
  if (cut) {
    size_t size = kBytesMax;
    while (size > 0 && (static_cast<uint8_t>(part[size]) & 0xC0) == 0x80) --size;
    part = part.substr(0, size);
  }
  return fmt::format("`{}{}` ({})", part, cut ? "…" : "", PlaceOf(program, begin));
}

}  // namespace datashard::routing::cel
