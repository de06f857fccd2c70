// What a writer's settings may be.
#pragma once

#include <string>

#include "datashard/sharded_writer.h"

namespace datashard::shardwrite {

/// Errors: kInvalidArgument that names the setting, what it is and what it may be. The sharding rule is left to MakeRowRouter, the prefix to SnapshotPlace.
Status CheckSettings(const ShardedWriteSettings& settings);

/// The user's fields, and what the format of the shards adds. `settings` passed the check.
std::string CustomFields(const ShardedWriteSettings& settings);

/// Where the run of this id may keep what it needs on this machine, and `default_root`: the directory above it, if that is ours.
struct LocalDirectory {
  std::string path;
  std::string default_root;  ///< empty: the user's own directory
};
LocalDirectory LocalDirectoryOf(const ShardedWriteSettings& settings, const std::string& run_id);
/// With all that is in it; failures are ignored.
void RemoveLocalDirectory(const LocalDirectory& directory);

}  // namespace datashard::shardwrite
