// The pairs of several shards in one ascending order.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shardread/generation.h"
#include "shardread/workers.h"

namespace datashard::shardread {

/// Opens the shards of the first stage, and those of the next ones when the scan comes to them. `workers` is shared because scans
/// may outlive their reader. Errors: of opening the shards and of finding their first pairs.
Result<std::unique_ptr<ShardedScan>> OpenMergedScan(std::shared_ptr<const Generation> generation, std::string_view start,
                                                    std::optional<std::string_view> end, std::shared_ptr<Workers> workers);

}  // namespace datashard::shardread
