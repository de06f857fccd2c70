// The last step of every change that makes a snapshot: its manifest list, and the snapshot as the table's current one.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "commit/change.h"
#include "datashard/snapshot.h"

namespace datashard::commit {

/// Fixed for a change, whatever the attempt.
struct ChangeIds {
  int64_t snapshot_id = 0;
  std::string commit_uuid;
};
ChangeIds NewChangeIds(Random& random);

/// Makes draft.manifests the content of a new current snapshot, whose sequence number is the next one. `summary` starts with
/// the operation; the totals of the list are added here.
Status AddSnapshot(Draft& draft, const ChangeIds& ids, std::vector<std::pair<std::string, std::string>> summary);

/// Was the snapshot made here, rather than by another engine? Known by where its manifest list lies, which no other puts there.
bool IsOurs(const Snapshot& snapshot);

}  // namespace datashard::commit
