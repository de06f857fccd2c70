// Many keys of one generation: grouped by shard, in order within each, shards side by side.
#pragma once

#include <functional>
#include <span>

#include "kv/database.h"
#include "shardread/generation.h"
#include "shardread/workers.h"

namespace datashard::shardread {

/// Calls `sink` with the index of each key and what was found, at least once; the last call counts. Calls for different keys may come from different
/// threads at the same time. Errors: of Generation::Find, of opening shards, of kv::Database::FindMany.
Status FindAll(const Generation& generation, std::span<const KeyView> keys, const RoutingContext* context, Workers& workers,
               const std::function<void(size_t at, kv::Lookup found)>& sink);

}  // namespace datashard::shardread
