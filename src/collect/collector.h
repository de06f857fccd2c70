// Removes files that no snapshot needs. Everything that the newest version needs is read and verified first; then a version is
// published that makes stopped writers of ours plan again, on a base that was checked once more; then files go.
// Source: docs/design/0007-collection.md.
#pragma once

#include <functional>

#include "base/outside.h"
#include "catalog/directory_catalog.h"
#include "commit/committer.h"
#include "datashard/maintenance.h"
#include "storage/object_store.h"

namespace datashard::collect {

/// Publishes a change on top of a version or what came after it; a commit like any other.
using Publish = std::function<Result<commit::Committed>(commit::Change& change, const catalog::VersionPtr& known)>;

/// What Table::CollectGarbage says.
Result<CollectReport> CollectGarbage(ObjectStore& store, const catalog::DirectoryCatalog& catalog, const Outside& outside,
                                     const catalog::VersionPtr& known, const CollectOptions& options, const Publish& publish);

}  // namespace datashard::collect
