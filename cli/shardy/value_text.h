// Bytes of values as text: base64, hex, or UTF-8 with replacements.
#pragma once

#include <string>
#include <string_view>

#include "cli/shardy/config.h"

namespace datashard::cli::shardy {

std::string ValueText(std::string_view bytes, ValueEncoding encoding);
/// Bytes that are not UTF-8 become U+FFFD.
std::string ValidUtf8(std::string_view bytes);

}  // namespace datashard::cli::shardy
