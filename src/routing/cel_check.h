// Types of a CEL expression: every node gets its type and its operation.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "datashard/result.h"
#include "datashard/sharding.h"
#include "routing/cel_program.h"

namespace datashard::routing::cel {

/// Errors: kInvalidArgument: an unknown name, operands without such an operation, a result that is no shard;
/// kUnsupported: CEL that is not compiled here.
Status Check(Program& program, const std::vector<std::pair<std::string, CelType>>& columns);

}  // namespace datashard::routing::cel
