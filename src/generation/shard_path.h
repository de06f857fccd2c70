// Where the attempts of a run's shards lie below a snapshot's prefix, and removing one of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/outside.h"
#include "datashard/sharded_manifest.h"
#include "generation/snapshot_place.h"

namespace datashard::generation {

/// "db={db_id:05d}" with the number in it: as Python's str.format for {db_id}, {db_id:d}, {db_id:5}, {db_id:05d}, {{ and }}.
/// Errors: kInvalidArgument: another field or format, no field, or what is no name below a prefix.
Result<std::string> FormatDbPath(std::string_view db_path_template, int32_t db_id);
/// "shards/run_id=0f3c/".
std::string RunKeyPrefix(std::string_view shard_prefix, std::string_view run_id);
/// "attempt=00".
std::string AttemptName(int64_t attempt);

/// The directory of the attempt that `key` lies in, up to and without the slash behind "attempt=NN"; none elsewhere.
std::optional<std::string_view> AttemptOf(std::string_view key);

/// Removes all objects of an attempt that lost, at `db_url` below the place; how many. Nothing there is no error.
/// Errors: kInvalidArgument: no directory of an attempt below the place; kUnavailable after `max_retries` tries again; kDenied.
Result<int64_t> RemoveAttempt(SnapshotPlace& place, const std::string& db_url, int max_retries, const Outside& outside);
/// Deletes, with pauses between tries where the store does not answer. Errors: as RemoveAttempt.
Status DeleteKeys(ObjectStore& store, const std::vector<std::string>& keys, int max_retries, const Outside& outside);

}  // namespace datashard::generation
