// The routers behind MakeRouter, one maker per rule.
#pragma once

#include <memory>
#include <vector>

#include "routing/router.h"

namespace datashard::routing {

using RouterPtr = std::shared_ptr<const Router>;

RouterPtr MakeHashRouter(int32_t num_dbs);
/// `boundaries` passed RangeSpec and are not empty.
RouterPtr MakeRangeRouter(const std::vector<RangeBoundary>& boundaries);
/// Keys are integers, so a boundary of numbers stands for the smallest integer that is not below it. None where that is above int64.
std::optional<int64_t> SmallestIntFrom(const RangeBoundary& boundary);
/// Errors: those of CompiledCel::Compile and RoutingValues::Make; kInvalidArgument where `num_dbs` does not fit the routing values.
Result<RouterPtr> MakeCelRouter(const ShardingSpec& spec, int32_t num_dbs);

}  // namespace datashard::routing
