// Instants as manifests, pointers and run records write them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "datashard/sharded_manifest.h"

namespace datashard::generation {

/// "2026-11-21T07:38:13.884350Z"; years 0000 to 9999.
std::string UtcText(UtcTime time);
/// ISO 8601 with any number of digits of a second (what is finer than a microsecond is cut off), and 'Z' or an offset.
std::optional<UtcTime> ReadUtcText(std::string_view text);

}  // namespace datashard::generation
