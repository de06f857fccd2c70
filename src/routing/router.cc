// MakeRouter, and the router of hash-sharded snapshots.
#include "routing/router.h"

#include "base/error.h"
#include "routing/router_kinds.h"

namespace datashard::routing {
namespace {

class HashRouter final : public Router {
 public:
  explicit HashRouter(int32_t num_dbs) : num_dbs_(num_dbs) {}
  int32_t num_dbs() const override { return num_dbs_; }
  bool needs_context() const override { return false; }

  Result<std::optional<int32_t>> Route(const KeyView& key) const override {
    auto digest = HashOf(key);
    if (!digest.ok()) return std::move(digest).error();
    return std::optional(static_cast<int32_t>(*digest % static_cast<uint64_t>(num_dbs_)));
  }

  Result<std::optional<int32_t>> RouteContext(std::span<const CelValue>) const override {
    return InvalidArgument("this snapshot is sharded by the hash of the key; route by the key, without a routing context");
  }

 private:
  int32_t num_dbs_;
};

Status CheckHashSpec(const ShardingSpec& spec) {
  if (spec.cel_expr || spec.cel_columns || spec.routing_values) {
    return InvalidArgument("sharding \"hash\" has an expression, columns or routing values; these belong to \"cel\"");
  }
  return {};
}

}  // namespace

RouterPtr MakeHashRouter(int32_t num_dbs) { return std::make_shared<HashRouter>(num_dbs); }

Result<RouterPtr> MakeRouter(const ShardingSpec& spec, int32_t num_dbs, const std::optional<std::vector<RangeBoundary>>& boundaries) {
  if (num_dbs < 1) return InvalidArgument("a snapshot of {} shards; there is at least one", num_dbs);
  if (spec.strategy == ShardingStrategy::kHash) {
    DS_RETURN_IF_ERROR(CheckHashSpec(spec));
    if (boundaries) return InvalidArgument("sharding \"hash\" has range boundaries");
    return MakeHashRouter(num_dbs);
  }
  if (!boundaries) return MakeCelRouter(spec, num_dbs);
  if (boundaries->size() + 1 != static_cast<size_t>(num_dbs)) {
    return InvalidArgument("{} range boundaries make {} shards; the snapshot has {}", boundaries->size(), boundaries->size() + 1, num_dbs);
  }
  DS_ASSIGN_OR_RETURN(const ShardingSpec range, RangeSpec(*boundaries));
  // Where boundaries and expression disagree, the expression is what other readers follow. Without boundaries any key has its shard.
  if (boundaries->empty() || range != spec) return MakeCelRouter(spec, num_dbs);
  return MakeRangeRouter(*boundaries);
}

}  // namespace datashard::routing
