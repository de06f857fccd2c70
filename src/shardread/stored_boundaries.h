// Boundaries between range shards as stored keys, so that a scan knows which shards its range lies in.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "datashard/sharding.h"

namespace datashard::shardread {

/// Shard i has the stored keys from boundary i-1 on up to but without boundary i. None where stored keys do not ascend as the keys
/// themselves do: numbers kept as text, say.
std::optional<std::vector<std::string>> StoredBoundaries(const std::vector<RangeBoundary>& boundaries, KeyEncoding encoding);

}  // namespace datashard::shardread
