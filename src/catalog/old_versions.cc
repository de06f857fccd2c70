#include "catalog/old_versions.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "catalog/version_names.h"

namespace datashard::catalog {
namespace {

/// The first of `first`..`last` for which `is` holds, given that it holds for all after one for which it holds; `last` + 1
/// where it holds for none.
template <typename Predicate>
Result<int64_t> FirstWhere(int64_t first, int64_t last, Predicate is) {
  int64_t end = last + 1;
  while (first < end) {
    const int64_t middle = first + (end - first) / 2;
    DS_ASSIGN_OR_RETURN(const bool holds, is(middle));
    (holds ? end : first) = holds ? middle : middle + 1;
  }
  return first;
}

}  // namespace

Status OldVersions::Drop(int64_t head) {
  if (head % limits_.every != 0) return {};
  const auto oldest = oldest_.TryLock();
  if (!oldest) return {};
  if (store_.is_remote()) return RemoveRemote(head, **oldest);
  DS_RETURN_IF_ERROR(DropBodies(head, **oldest));
  return RemoveNames(head, **oldest);
}

Status OldVersions::DropBodies(int64_t head, Oldest& oldest) {
  const int64_t last = head - limits_.bodies_min;
  if (last < 1) return {};
  if (oldest.body == 0) {
    DS_ASSIGN_OR_RETURN(oldest.body, FirstWhere(1, last, [&](int64_t number) -> Result<bool> {
                          DS_ASSIGN_OR_RETURN(const std::optional<ObjectInfo> info, FindVersion(store_, number));
                          return info && !IsTombstone(*info);
                        }));
  }
  DS_ASSIGN_OR_RETURN(const Instant now, store_.ServerTime());
  for (int64_t done = 0; oldest.body <= last && done < limits_.batch; ++done) {
    DS_ASSIGN_OR_RETURN(const std::optional<ObjectInfo> info, FindVersion(store_, oldest.body));
    if (info && !IsTombstone(*info)) {
      if (oldest.body > head - limits_.bodies_max && now - info->modified < limits_.body_age) return {};
      DS_RETURN_IF_ERROR(store_.DropBody(info->key, kTombstone));
    }
    ++oldest.body;
  }
  return {};
}

Status OldVersions::RemoveNames(int64_t head, Oldest& oldest) {
  // Never a name that still has a body: where dropping lags behind, removing does too.
  const int64_t last = std::min(head - limits_.names, oldest.body - 1);
  if (last < 1) return {};
  DS_RETURN_IF_ERROR(FindOldestName(last, oldest));
  for (int64_t done = 0; oldest.name <= last && done < limits_.batch; ++done) {
    for (const std::string& key : {VersionKey(oldest.name), GzipVersionKey(oldest.name)}) {
      DS_RETURN_IF_ERROR(store_.Delete(key));
      DS_RETURN_IF_ERROR(store_.Delete(ChecksumKey(key)));
    }
    ++oldest.name;
  }
  return {};
}

// Whoever has not seen his base for longer than a part of the age looks whether it is still there, so no name is needed that is
// older; and a body that goes before its name would be a request more, not less.
Status OldVersions::RemoveRemote(int64_t head, Oldest& oldest) {
  const int64_t last = head - limits_.remote_min;
  if (last < limits_.batch) return {};
  const bool again = oldest.name == 0;
  if (again) {
    DS_RETURN_IF_ERROR(FindOldestName(last, oldest));
    // Whoever died in the middle of a batch has left holes, between which the search may have gone astray.
    oldest.name = FirstOfBatch(std::max<int64_t>(1, FirstOfBatch(oldest.name) - 1));
  }
  DS_ASSIGN_OR_RETURN(const bool removed, RemoveBatch(last, oldest));
  if (again && removed) {
    DS_RETURN_IF_ERROR(RemoveBatch(last, oldest));
  }
  return {};
}

/// Removes the batch that begins with `oldest`, if all of it is due.
Result<bool> OldVersions::RemoveBatch(int64_t last, Oldest& oldest) {
  const int64_t end = oldest.name + limits_.batch - 1;
  if (end > last) return false;
  // Versions age in ascending order: where the last of them is old enough, all are.
  DS_ASSIGN_OR_RETURN(const std::optional<ObjectInfo> newest, FindVersion(store_, end));
  DS_ASSIGN_OR_RETURN(const Instant now, store_.ServerTime());
  if (newest && now - newest->modified < limits_.remote_age) return false;
  // A bulk request removes in any order, and writers look at this one name only.
  DS_RETURN_IF_ERROR(store_.Delete(VersionKey(oldest.name)));
  std::vector<std::string> keys;
  for (int64_t number = oldest.name + 1; number <= end; ++number) keys.push_back(VersionKey(number));
  DS_RETURN_IF_ERROR(store_.DeleteMany(keys));
  oldest.name = end + 1;
  return true;
}

Status OldVersions::FindOldestName(int64_t last, Oldest& oldest) {
  if (oldest.name != 0) return {};
  DS_ASSIGN_OR_RETURN(oldest.name, FirstWhere(1, last, [&](int64_t number) -> Result<bool> {
                        DS_ASSIGN_OR_RETURN(const std::optional<ObjectInfo> info, FindVersion(store_, number));
                        return info.has_value();
                      }));
  return {};
}

const Snapshot* AddedSnapshot(const iceberg::TableMetadata& ours, const iceberg::TableMetadata* base) {
  const Snapshot* const current = ours.current_snapshot();
  const bool is_old = current != nullptr && base != nullptr && base->FindSnapshot(current->snapshot_id) != nullptr;
  return is_old ? nullptr : current;
}

Standing StandingOf(const iceberg::TableMetadata& ours, const iceberg::TableMetadata* base,
                    const iceberg::TableMetadata& head) {
  if (ours.table_uuid != head.table_uuid) return Standing::kExcluded;
  const Snapshot* const wanted = AddedSnapshot(ours, base);
  if (wanted == nullptr) return Standing::kUnsaid;
  std::map<int64_t, const Snapshot*> by_id;
  for (const auto& snapshot : head.snapshots) by_id.emplace(snapshot->snapshot_id, snapshot.get());
  if (by_id.contains(wanted->snapshot_id)) return Standing::kIncluded;
  // Sequence numbers rise along the line of parents: once it is at ours or below, ours is not on it.
  const Snapshot* step = head.current_snapshot();
  for (size_t steps = 0; step != nullptr && steps <= by_id.size(); ++steps) {
    if (wanted->sequence_number > 0 && step->sequence_number <= wanted->sequence_number) return Standing::kExcluded;
    if (!step->parent_snapshot_id) break;
    const auto parent = by_id.find(*step->parent_snapshot_id);
    step = parent == by_id.end() ? nullptr : parent->second;
  }
  return Standing::kUnsaid;
}

}  // namespace datashard::catalog
