// From rows to the partitions of a sorter, and, once all rows are known, from partitions to shards.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "datashard/result.h"
#include "datashard/sharded_writer.h"
#include "datashard/sharding.h"

namespace datashard::shardwrite {

/// In messages about rows that have no shard, perhaps behind the row: faces have an error class of their own for them.
inline constexpr std::string_view kAssignmentPrefix = "shard assignment: ";

/// What the rows turned out to need.
struct RoutingOutcome {
  ShardingSpec spec;
  int32_t num_dbs = 1;
  std::optional<std::vector<RangeBoundary>> boundaries;
  std::vector<int32_t> shards;  ///< of each partition; empty: they are the same
};

/// One thread at a time.
class RowRouter {
 public:
  virtual ~RowRouter() = default;
  /// Columns that Partition wants, in this order; none where it only wants the key.
  virtual const std::vector<std::pair<std::string, CelType>>& columns() const = 0;
  /// A number from 0 on: rows of one number belong to one shard, and those of different ones to different shards.
  /// Errors: kInvalidArgument: a key or a value the rule cannot take; with kAssignmentPrefix: no shard is right.
  virtual Result<int32_t> Partition(const KeyView& key, std::span<const CelValue> columns) = 0;
  /// After the last row. Errors: kInvalidArgument with kAssignmentPrefix: shard ids other than 0 .. n-1.
  virtual Result<RoutingOutcome> Finish() = 0;
};

/// Checks `rule`. Errors: kInvalidArgument; kUnsupported: an expression that is not compiled here, without `evaluate_cel`.
Result<std::unique_ptr<RowRouter>> MakeRowRouter(const ShardingRule& rule,
                                                 std::function<Result<Key>(std::span<const CelValue>)> evaluate_cel);

}  // namespace datashard::shardwrite
