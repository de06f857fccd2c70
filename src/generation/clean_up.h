// Removing what no generation needs. What it may rely on: docs/design/0011-sharded-publication.md.
#pragma once

#include <vector>

#include "base/outside.h"
#include "datashard/sharded_manifest.h"
#include "generation/snapshot_place.h"

namespace datashard::generation {

/// CleanUpSnapshot on a place. The manifest of a run that goes is removed where it is an object below the place; a database keeps its rows.
/// Costs one request for each 1,000 objects of the snapshot (with old runs) or of the current run, one for each manifest that is kept, one
/// for each 1,000 objects that go, and a handful for each run that does. Error also: kConflict: the pointer moved meanwhile; run it again.
Result<std::vector<CleanupAction>> CleanUp(SnapshotPlace& place, ManifestStore& manifests, const CleanupOptions& options, const Outside& outside);

}  // namespace datashard::generation
