// Which snapshots stay: the rules of age and number, of branches and tags. Pure. Source: Iceberg spec, "Snapshot Retention
// Policy"; as Iceberg's Java library has it where the spec is silent.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "datashard/maintenance.h"
#include "datashard/result.h"
#include "iceberg/metadata.h"

namespace datashard::commit {

/// What retention asks about a snapshot.
struct SnapshotBrief {
  int64_t snapshot_id = 0;
  int64_t parent_id = -1;  // -1: none
  int64_t sequence_number = 0;
  int64_t timestamp_ms = 0;
  bool archived = false;
};

struct Retention {
  std::vector<bool> retained;  // by position in the snapshots asked about
  std::set<std::string> old_refs;  // older than their max-ref-age-ms: they go, and hold nothing
};

/// \param all  every snapshot that is not expired yet, in commit order.
/// Errors: kInvalidArgument: options that contradict each other or are out of range, properties that are no numbers, ids
/// (kSnapshot) that are not in `all`, or that a branch or tag names.
Result<Retention> Retain(const iceberg::TableMetadata& metadata, const std::vector<SnapshotBrief>& all,
                         const ExpireOptions& options, int64_t now_ms);

}  // namespace datashard::commit
