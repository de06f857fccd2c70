// Answers on the screen: JSON, JSON Lines, tables and short text.
#pragma once

#include <string>

#include "cli/shardy/operations.h"

namespace datashard::cli::shardy {

/// `json` as text, indented by `indent` columns; -1: in one line. Bytes that are not UTF-8 become U+FFFD, and what a terminal would obey is
/// escaped.
std::string JsonText(const Json& json, int indent = -1);

/// One answer with its line end. Texts from a snapshot are escaped where they are not JSON.
std::string Render(const Json& answer, Format format, const std::string& null_repr);

}  // namespace datashard::cli::shardy
