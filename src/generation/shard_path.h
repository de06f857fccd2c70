// Where the attempts of a run's shards lie below a snapshot's prefix.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "datashard/result.h"

namespace datashard::generation {

/// "db={db_id:05d}" with the number in it: as Python's str.format for {db_id}, {db_id:d}, {db_id:5}, {db_id:05d}, {{ and }}.
/// Errors: kInvalidArgument: another field or format, no field, or what is no name below a prefix.
Result<std::string> FormatDbPath(std::string_view db_path_template, int32_t db_id);
/// "shards/run_id=0f3c/".
std::string RunKeyPrefix(std::string_view shard_prefix, std::string_view run_id);
/// The object by which clean-up says that it removes a run; among the shards, and before them in a list: "shards/run_id=0f3c/_removed".
std::string RemovalMarkKey(std::string_view shard_prefix, std::string_view run_id);
/// "attempt=00".
std::string AttemptName(int64_t attempt);

/// The directory of the attempt that `key` lies in, up to and without the slash behind "attempt=NN"; none elsewhere.
std::optional<std::string_view> AttemptOf(std::string_view key);

}  // namespace datashard::generation
