// Names, spellings and parsers of include/datashard/sharding.h.
#include "datashard/sharding.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace datashard {
namespace {

constexpr std::array<std::string_view, 4> kEncodings = {"u64be", "u32be", "utf8", "raw"};
constexpr std::array<std::string_view, 6> kCelTypes = {"int", "string", "bytes", "double", "bool", "uint"};
constexpr size_t kBytesShownMax = 64;

template <size_t kCount>
std::optional<size_t> IndexOf(const std::array<std::string_view, kCount>& names, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<size_t>(found - names.begin());
}

/// In double quotes; what would not print is escaped, and of text nothing above ASCII is.
std::string Quoted(std::string_view bytes, bool is_text) {
  std::string quoted = "\"";
  size_t shown = std::min(bytes.size(), kBytesShownMax);
  while (is_text && shown < bytes.size() && shown > 0 && (static_cast<uint8_t>(bytes[shown]) & 0xC0) == 0x80) --shown;
  for (const char c : bytes.substr(0, shown)) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7F || (byte > 0x7F && !is_text)) {
      quoted += fmt::format("\\x{:02x}", byte);
    } else {
      quoted += c;
    }
  }
  quoted += '"';
  if (shown < bytes.size()) quoted += fmt::format("… of {} bytes", bytes.size());
  return quoted;
}

}  // namespace

std::string_view ToString(KeyEncoding encoding) { return kEncodings[static_cast<size_t>(encoding)]; }

Result<KeyEncoding> KeyEncodingOf(std::string_view name) {
  if (const auto index = IndexOf(kEncodings, name)) return static_cast<KeyEncoding>(*index);
  return InvalidArgument("key encoding {}: expected u64be, u32be, utf8 or raw", Quoted(name, true));
}

std::string_view ToString(CelType type) { return kCelTypes[static_cast<size_t>(type)]; }

Result<CelType> CelTypeOf(std::string_view name) {
  if (const auto index = IndexOf(kCelTypes, name)) return static_cast<CelType>(*index);
  return InvalidArgument("column type {}: expected int, string, bytes, double, bool or uint", Quoted(name, true));
}

KeyView Key::view() const {
  switch (kind) {
    case KeyView::Kind::kInt: return KeyView::Int(static_cast<int64_t>(number));
    case KeyView::Kind::kUnsigned: return KeyView::Unsigned(number);
    case KeyView::Kind::kText: return KeyView::Text(bytes);
    case KeyView::Kind::kBytes: break;
  }
  return KeyView::Bytes(bytes);
}

std::string ToString(const KeyView& key) {
  switch (key.kind()) {
    case KeyView::Kind::kInt: return fmt::format("{}", key.as_int());
    case KeyView::Kind::kUnsigned: return fmt::format("{}", key.as_unsigned());
    case KeyView::Kind::kText: return Quoted(key.bytes(), true);
    case KeyView::Kind::kBytes: break;
  }
  return fmt::format("b{}", Quoted(key.bytes(), false));
}

}  // namespace datashard
