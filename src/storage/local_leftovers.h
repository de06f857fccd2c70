// Finding the temporary files of killed processes in a directory tree.
#pragma once

#include <vector>

#include "storage/beneath.h"
#include "storage/object_store.h"

namespace datashard {

/// ObjectStore::RemoveLeftovers. A file's age counts from its last change of any kind: a link to an old file, or one that
/// changed places, is young.
Result<std::vector<ObjectInfo>> RemoveLocalLeftovers(const Beneath& beneath, const LeftoverOptions& options);

}  // namespace datashard
