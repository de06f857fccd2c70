// YAML as PyYAML's safe_dump writes a mapping of texts, so that records look the same whoever wrote them.
#pragma once

#include <string>
#include <string_view>

namespace datashard::generation {

/// "key: value\n", where the value is a text: plain, in single or in double quotes, folded beyond 80 columns. `text` is UTF-8 (what is not
/// becomes U+FFFD).
std::string YamlLine(std::string_view key, std::string_view text);

}  // namespace datashard::generation
