// Text of a CEL expression to its tree.
#pragma once

#include <memory>
#include <string>

#include "datashard/result.h"
#include "routing/cel_program.h"

namespace datashard::routing::cel {

/// The whole grammar is read, also what the check then refuses. Errors: kInvalidArgument with the place: not UTF-8, above 1 MiB, nested
/// deeper than 250 levels, not CEL.
Result<std::unique_ptr<Program>> Parse(std::string source);

}  // namespace datashard::routing::cel
