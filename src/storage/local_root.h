// The directory a local store works in: resolved, and where wanted made with its parents.
#pragma once

#include <string>
#include <string_view>

#include "storage/beneath.h"

namespace datashard {

/// As OpenLocalStore (object_store.h) says. What was made is not durable before SyncAncestors.
Result<Beneath> OpenLocalRoot(std::string_view path, bool create);

/// Syncs every directory on the way to `path` (absolute, without links) that holds the young name of the next one, whoever
/// made it: another process may be about to.
Status SyncAncestors(const std::string& path);

}  // namespace datashard
