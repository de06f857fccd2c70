// A change is a recipe: planned from the newest base on every attempt, by its owner. Planning is pure; the committer does
// the I/O. Nothing is remembered between attempts but the ids.
#pragma once

#include <cstdint>
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

/// Fixed for a commit, except for the attempt: files whose content does not depend on the base keep their names.
struct PlanIds {
  int64_t snapshot_id = 0;
  std::string commit_uuid;
  int64_t attempt = 1;
  Instant now;
  std::string root_uri;  // where new files lie
};

struct NewFile {
  std::string key;
  Bytes body;
  bool bound_to_base = false;  // useless once this attempt has lost
};

struct CommitPlan {
  iceberg::TableMetadata next;
  std::vector<NewFile> files;
  std::vector<ManifestFile> manifests;  // of the new snapshot
};

class Change {
 public:
  virtual ~Change() = default;
  /// Pure: same base and ids, same plan. Errors end the commit with nothing published.
  virtual Result<CommitPlan> Plan(const Base& base, const PlanIds& ids) const = 0;
};

}  // namespace datashard::commit
