// All shards of a run, side by side on this machine's threads, each tried again where that may help.
#pragma once

#include <optional>
#include <vector>

#include "datashard/sharded_writer.h"
#include "shardwrite/pair_sorter.h"
#include "shardwrite/shard_build.h"

namespace datashard::shardwrite {

struct ShardTask {
  int32_t partition = 0;  ///< of the sorter
  int32_t db_id = 0;
};

/// `common`: its db_id and attempt are not looked at. \return results of the attempts that succeeded, one for each task with pairs.
/// Errors: of the shard that failed first, when all have ended; what the others uploaded is removed.
Result<std::vector<ShardMeta>> BuildShards(PairSorter& sorter, const std::vector<ShardTask>& tasks, const ShardBuildSettings& common,
                                           const std::optional<ShardRetry>& retry, int threads, const ShardBuildParts& parts);

}  // namespace datashard::shardwrite
