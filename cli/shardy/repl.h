// The prompt: commands one after another on one snapshot.
#pragma once

#include <string>
#include <vector>

#include "cli/output.h"
#include "cli/shardy/session.h"

namespace datashard::cli::shardy {

/// Words of a line as a shell would cut it: quotes and backslashes hold together. Errors: kInvalidArgument: a quote without its end.
Result<std::vector<std::string>> Words(const std::string& line);

/// Reads commands from standard input until `quit`, `exit` or its end. Mistakes are told and do not end it.
Status RunRepl(Session& session, Output& out);

}  // namespace datashard::cli::shardy
