// The router of snapshots whose rule is an expression.
#include <algorithm>

#include "base/error.h"
#include "routing/cel.h"
#include "routing/router_kinds.h"
#include "routing/routing_values.h"

namespace datashard::routing {
namespace {

class CelRouter final : public Router {
 public:
  CelRouter(std::shared_ptr<const CompiledCel> cel, std::optional<RoutingValues> values, int32_t num_dbs)
      : cel_(std::move(cel)), values_(std::move(values)), num_dbs_(num_dbs),
        needs_context_(cel_->columns().size() != 1 || cel_->columns()[0].first != "key") {}

  int32_t num_dbs() const override { return num_dbs_; }
  bool needs_context() const override { return needs_context_; }

  Result<std::optional<int32_t>> Route(const KeyView& key) const override {
    if (needs_context_) return NeedsContext();
    const CelValue value = CelValueOf(key);
    return RouteContext({&value, 1});
  }

  Result<std::optional<int32_t>> RouteContext(std::span<const CelValue> columns) const override {
    CelScratch scratch;
    DS_ASSIGN_OR_RETURN(const KeyView result, cel_->Evaluate(columns, scratch));
    if (values_) return values_->Find(result);
    DS_ASSIGN_OR_RETURN(const int32_t shard, ShardIdOf(result));
    if (shard < num_dbs_) return std::optional(shard);
    return InvalidArgument("the sharding expression gives {}; the snapshot has the shards 0 .. {}", shard, num_dbs_ - 1);
  }

 private:
  Error NeedsContext() const {
    std::string columns;
    for (const auto& [name, type] : cel_->columns()) columns += fmt::format("{}{} ({})", columns.empty() ? "" : ", ", name, ToString(type));
    return InvalidArgument("this snapshot is sharded by the columns {}; pass their values as routing context", columns);
  }

  std::shared_ptr<const CompiledCel> cel_;
  std::optional<RoutingValues> values_;
  int32_t num_dbs_;
  bool needs_context_;
};

}  // namespace

Result<RouterPtr> MakeCelRouter(const ShardingSpec& spec, int32_t num_dbs) {
  if (!spec.cel_expr || !spec.cel_columns) return InvalidArgument("sharding \"cel\" needs cel_expr and cel_columns");
  DS_ASSIGN_OR_RETURN(std::shared_ptr<const CompiledCel> cel, CompiledCel::Compile(*spec.cel_expr, *spec.cel_columns));
  if (!spec.routing_values) {
    const CelType type = cel->result_type();
    if (type == CelType::kInt || type == CelType::kUint) return RouterPtr(std::make_shared<CelRouter>(std::move(cel), std::nullopt, num_dbs));
    return InvalidArgument("cel_expr gives {}, and there are no routing values; without them it gives the shard id as an int", ToString(type));
  }
  if (std::max<size_t>(1, spec.routing_values->size()) != static_cast<size_t>(num_dbs)) {
    return InvalidArgument("{} routing values for {} shards; each shard has one", spec.routing_values->size(), num_dbs);
  }
  DS_ASSIGN_OR_RETURN(RoutingValues values, RoutingValues::Make(*spec.routing_values));
  return RouterPtr(std::make_shared<CelRouter>(std::move(cel), std::move(values), num_dbs));
}

}  // namespace datashard::routing
