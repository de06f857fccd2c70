// Answers on the screen: JSON, JSON Lines, tables and short text.
#pragma once

#include <string>

#include "cli/shardy/operations.h"

namespace datashard::cli::shardy {

/// One answer with its line end. Texts from a snapshot are escaped where they are not JSON.
std::string Render(const Json& answer, Format format, const std::string& null_repr);

}  // namespace datashard::cli::shardy
