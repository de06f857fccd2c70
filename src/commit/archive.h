// Keeps a table's metadata short: snapshots beyond a window move into files of archived history that later metadata names
// by one property. Nothing is forgotten, and a commit costs the same whatever came before it.
// Source: docs/design/0004-flat-history.md.
#pragma once

#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "commit/change.h"
#include "datashard/result.h"
#include "iceberg/metadata.h"
#include "storage/object_store.h"

namespace datashard::commit {

/// The newest of them always stay in the metadata; so do the current one and all that a branch or tag names.
inline constexpr size_t kWindowSnapshotsMin = 100;
/// Says "ours" where it was this code that set gc.enabled to false, and not the table's owner.
inline constexpr std::string_view kGcProperty = "datashard.history.gc";
/// They leave the window this many at a time.
inline constexpr size_t kArchivedAtOnce = 32;

struct ArchiveContext {
  Instant now;
  Random& random;  // names of files; fresh for every attempt
  Log& log;
};

/// Called on the metadata a commit is about to publish. Where its window overflows (at least kArchivedAtOnce snapshots may
/// leave: they are older than 10 minutes, or the window is above table property `datashard.history.window-bytes`), moves
/// the oldest into a segment, updates property `datashard.history`, cuts the snapshot-log, forbids other engines' expiry
/// (`gc.enabled`), and merges files of the archive where enough have gathered.
/// \return the files that must be durable before `next` is published. They are bound to its base: names are new in every
///         attempt. Files that were merged stay where they are; collection removes them.
/// Errors: kInvalidArgument (window-bytes is no number), kCorruption (the root of the archive is unreadable), of storage;
///         `next` is useless then. An archived file that is damaged does not stop the commit: it is left unmerged, with a warning.
/// Cost: where nothing is due, one pass over the window; a merge reads and writes 2,048 snapshots at most.
Result<std::vector<NewFile>> ArchiveOverflow(ObjectStore& store, iceberg::TableMetadata& next,
                                             const ArchiveContext& context);

}  // namespace datashard::commit
