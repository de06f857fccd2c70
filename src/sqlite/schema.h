// Finding the table kv in the schema, a tree of its own that begins on page 1.
#pragma once

#include <cstdint>

#include "datashard/result.h"
#include "sqlite/pages.h"

namespace datashard::sqlite {

/// The page of the root of kv's tree. Errors: kUnsupported where there is no table kv, or one of another shape; kCorruption.
Result<uint32_t> FindRootOfKv(const Pages& pages);

}  // namespace datashard::sqlite
