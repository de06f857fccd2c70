#include "cli/shardy/value_text.h"

#include <fmt/format.h>

#include <cstdint>

namespace datashard::cli::shardy {
namespace {

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < count ? static_cast<uint8_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) text += k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

// How many bytes of `bytes` are one character of UTF-8; 0: none.
size_t CharacterSize(std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const uint8_t lead = at(0);
  if (lead < 0x80) return 1;
  const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || size > bytes.size()) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && at(1) < 0xA0) || (lead == 0xF0 && at(1) < 0x90);
  const bool surrogate = lead == 0xED && at(1) > 0x9F;
  const bool too_high = lead == 0xF4 && at(1) > 0x8F;
  return overlong || surrogate || too_high ? 0 : size;
}

}  // namespace

std::string ValidUtf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const size_t size = CharacterSize(bytes);
    if (size == 0) {
      text += "\xEF\xBF\xBD";
    } else {
      text += bytes.substr(0, size);
    }
    bytes.remove_prefix(std::max<size_t>(size, 1));
  }
  return text;
}

std::string ValueText(std::string_view bytes, ValueEncoding encoding) {
  switch (encoding) {
    case ValueEncoding::kBase64: return Base64(bytes);
    case ValueEncoding::kUtf8: return ValidUtf8(bytes);
    case ValueEncoding::kHex: {
      std::string text;
      for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<uint8_t>(byte));
      return text;
    }
  }
  return {};
}

}  // namespace datashard::cli::shardy
