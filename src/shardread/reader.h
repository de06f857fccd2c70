// ShardedReader with what it touches outside given to it.
#pragma once

#include <memory>

#include "base/outside.h"
#include "datashard/sharded_reader.h"
#include "shardread/shard_source.h"

namespace datashard::shardread {

/// As ShardedReader::Open.
Result<std::unique_ptr<ShardedReader>> OpenReader(ShardedReaderSettings settings, std::shared_ptr<ManifestStore> manifests,
                                                  std::shared_ptr<generation::SnapshotPlace> place, Clock& clock);

}  // namespace datashard::shardread
