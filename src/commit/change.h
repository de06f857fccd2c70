// A change is a recipe: applied anew to the newest base on every attempt, by its owner. The committer does the I/O. Several
// changes, each with a snapshot of its own, may follow one another in one version.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "catalog/directory_catalog.h"
#include "datashard/manifest.h"
#include "iceberg/metadata.h"

namespace datashard::commit {

/// What a change is planned on.
struct Base {
  catalog::VersionPtr version;
  std::vector<ManifestFile> manifests;  // of the current snapshot
  const iceberg::TableMetadata& metadata() const { return version->metadata; }
};

struct NewFile {
  std::string key;
  Bytes body;
  bool bound_to_base = false;  // useless once this attempt has lost
};

/// The live entries of a manifest, inherited values filled in, in order.
using ReadEntries = std::function<Result<std::vector<ManifestEntry>>(const ManifestFile&)>;

/// The next version in the making.
struct Draft {
  int64_t version = 0;       // the number it gets
  int64_t attempt = 1;       // part of the names of files that are bound to the base
  std::string root_uri;      // where new files lie
  Instant now;
  iceberg::TableMetadata metadata;
  std::vector<ManifestFile> manifests;  // of its current snapshot
  std::vector<NewFile> files;
  int64_t added_bytes = 0;   // of the data files that this version is the first to name
  bool changed = false;      // else there is nothing to publish
  bool settled = false;      // unchanged because the base has it, and so has every later version
  /// Entries of a manifest of the base, so that small ones can be merged; none: they stay as they are.
  ReadEntries read_manifest;

  /// Time for this version: the clock, but never before the base's.
  int64_t now_ms() const { return std::max(ToMillis(now), metadata.last_updated_ms); }
};

class Change {
 public:
  virtual ~Change() = default;
  /// Adds itself to `draft`. Equal drafts give equal results; names of files that do not depend on the base stay the same,
  /// so that an attempt after a lost race finds them written. Errors end the commit with nothing published.
  virtual Status Apply(Draft& draft) = 0;
};

}  // namespace datashard::commit
