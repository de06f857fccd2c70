// ShardedReader with what it touches outside given to it.
#pragma once

#include <memory>

#include "base/outside.h"
#include "datashard/sharded_reader.h"
#include "shardread/shard_source.h"

namespace datashard::shardread {

/// As ShardedReader::Open. `manifests` is borrowed.
Result<std::unique_ptr<ShardedReader>> OpenReader(ShardedReaderSettings settings, ManifestStore& manifests, std::unique_ptr<ShardPlaces> places,
                                                  Clock& clock);

}  // namespace datashard::shardread
