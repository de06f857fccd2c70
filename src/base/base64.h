// Base64 with padding, as text stands for bytes in JSON, JSON Lines and CSV. Source: RFC 4648, section 4.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace datashard {

void AppendBase64(std::string& out, std::string_view bytes);
std::optional<std::string> ParseBase64(std::string_view text);

}  // namespace datashard
