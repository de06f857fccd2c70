// Manifests and the pointer to the current one as objects below a prefix. Why it is safe: docs/design/0011-sharded-publication.md.
#pragma once

#include <memory>
#include <string>

#include "base/outside.h"
#include "datashard/sharded_manifest.h"
#include "generation/snapshot_place.h"

namespace datashard::generation {

struct ManifestNames {
  std::string manifest = "manifest";
  std::string current = "_CURRENT";
};

/// Costs in requests: Store: one, SetCurrent: three (and one more for each publisher that was faster), LoadCurrent, LoadManifest: one,
/// ListManifests: one for each 1,000. The first write of a store may also probe (see s3/s3_store.h). A store that cannot compare
/// (kUnsupported of ObjectStore::ReplaceIf) is written to without; then a warning says that publishers must take turns.
/// `outside` is borrowed. Errors: kInvalidArgument: a name that is none.
Result<std::unique_ptr<ManifestStore>> NewObjectManifestStore(std::shared_ptr<SnapshotPlace> place, ManifestNames names, const Outside& outside);

}  // namespace datashard::generation
