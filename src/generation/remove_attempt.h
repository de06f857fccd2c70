// Removing the objects of one attempt that lost.
#pragma once

#include <cstdint>
#include <string>

#include "generation/snapshot_place.h"

namespace datashard::generation {

/// Removes all objects at `db_url`, the directory of an attempt ("…/attempt=00") below the place; how many. Nothing there is no error.
/// Errors: kInvalidArgument: another kind of directory, or elsewhere: nothing was removed; kUnavailable, kDenied: some may be left.
Result<int64_t> RemoveAttempt(SnapshotPlace& place, const std::string& db_url);

}  // namespace datashard::generation
