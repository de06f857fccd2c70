#include "shardwrite/row_router.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "generation/manifest_rules.h"
#include "routing/cel.h"
#include "routing/router.h"
#include "routing/routing_values.h"

namespace datashard::shardwrite {
namespace {

using Columns = std::vector<std::pair<std::string, CelType>>;

Error Unassigned(std::string_view what) { return InvalidArgument("{}{}", kAssignmentPrefix, what); }

// Hash and range: the shard follows from the key, and partitions are shards.
class KeyRowRouter final : public RowRouter {
 public:
  KeyRowRouter(std::shared_ptr<const routing::Router> router, ShardingSpec spec, std::optional<std::vector<RangeBoundary>> boundaries)
      : router_(std::move(router)), spec_(std::move(spec)), boundaries_(std::move(boundaries)) {}
  const Columns& columns() const override { return columns_; }
  Result<int32_t> Partition(const KeyView& key, std::span<const CelValue>) override {
    DS_ASSIGN_OR_RETURN(const std::optional<int32_t> shard, router_->Route(key));
    if (!shard) return Unassigned(fmt::format("key {} has no shard", ToString(key)));
    return *shard;
  }
  Result<RoutingOutcome> Finish() override { return RoutingOutcome{spec_, router_->num_dbs(), boundaries_, {}}; }

 private:
  const Columns columns_;
  const std::shared_ptr<const routing::Router> router_;
  const ShardingSpec spec_;
  const std::optional<std::vector<RangeBoundary>> boundaries_;
};

// What an expression gives for a row, compiled here or evaluated by the caller.
class Expression {
 public:
  using Hook = std::function<Result<Key>(std::span<const CelValue>)>;
  Expression(std::shared_ptr<const routing::CompiledCel> cel, Hook hook) : cel_(std::move(cel)), hook_(std::move(hook)) {}
  /// Valid until the next call.
  Result<KeyView> Evaluate(std::span<const CelValue> columns) {
    if (cel_ != nullptr) {
      scratch_.Clear();
      return cel_->Evaluate(columns, scratch_);
    }
    DS_ASSIGN_OR_RETURN(last_, hook_(columns));
    return last_.view();
  }

 private:
  const std::shared_ptr<const routing::CompiledCel> cel_;
  const Hook hook_;
  routing::CelScratch scratch_;
  Key last_;
};

class CelRowRouter : public RowRouter {
 public:
  CelRowRouter(const ShardingRule::Cel& rule, std::unique_ptr<Expression> expression)
      : spec_{ShardingStrategy::kCel, std::nullopt, rule.expr, rule.columns}, expression_(std::move(expression)) {}
  const Columns& columns() const override { return *spec_.cel_columns; }
  Result<int32_t> Partition(const KeyView& key, std::span<const CelValue> values) override {
    const CelValue key_value = routing::CelValueOf(key);
    if (values.empty() && columns().size() == 1 && columns()[0].first == "key") values = {&key_value, 1};
    if (values.size() != columns().size()) {
      return InvalidArgument("key {}: {} values for the {} columns of the sharding expression", ToString(key), values.size(), columns().size());
    }
    DS_ASSIGN_OR_RETURN(const KeyView result, expression_->Evaluate(values));
    return PartitionOf(key, result);
  }

 protected:
  virtual Result<int32_t> PartitionOf(const KeyView& key, const KeyView& result) = 0;
  ShardingSpec spec_;

 private:
  const std::unique_ptr<Expression> expression_;
};

// The expression gives the shard id.
class DirectRouter final : public CelRowRouter {
 public:
  using CelRowRouter::CelRowRouter;
  Result<RoutingOutcome> Finish() override {
    const auto count = static_cast<int32_t>(ids_.size());
    for (const int32_t id : ids_) {
      if (id < count) continue;
      int32_t missing = 0;
      while (partitions_.contains(missing)) ++missing;
      return Unassigned(fmt::format("the sharding expression gives {} shard ids, {} among them but not {}; over all rows they have to be 0 .. {}",
                                    count, id, missing, count - 1));
    }
    if (count > generation::kNumDbsMax) return Unassigned(fmt::format("{} shards; there may be {}", count, generation::kNumDbsMax));
    return RoutingOutcome{spec_, std::max(count, 1), std::nullopt, ids_};
  }

 private:
  Result<int32_t> PartitionOf(const KeyView&, const KeyView& result) override {
    DS_ASSIGN_OR_RETURN(const int32_t id, routing::ShardIdOf(result));
    const auto [found, is_new] = partitions_.try_emplace(id, static_cast<int32_t>(ids_.size()));
    if (is_new) ids_.push_back(id);
    return found->second;
  }
  std::unordered_map<int32_t, int32_t> partitions_;
  std::vector<int32_t> ids_;
};

// The expression gives one of the routing values that are known from the start.
class GivenValuesRouter final : public CelRowRouter {
 public:
  GivenValuesRouter(const ShardingRule::Cel& rule, std::unique_ptr<Expression> expression, routing::RoutingValues values)
      : CelRowRouter(rule, std::move(expression)), values_(std::move(values)) {
    spec_.routing_values = values_.values();
  }
  Result<RoutingOutcome> Finish() override {
    return RoutingOutcome{spec_, std::max(static_cast<int32_t>(values_.values().size()), 1), std::nullopt, {}};
  }

 private:
  Result<int32_t> PartitionOf(const KeyView& key, const KeyView& result) override {
    if (const std::optional<int32_t> shard = values_.Find(result)) return *shard;
    return Unassigned(fmt::format("key {}: the sharding expression gives {}, which is not among the {} routing values", ToString(key),
                                  ToString(result), values_.values().size()));
  }
  const routing::RoutingValues values_;
};

// The routing values are what the expression gives over all rows, sorted.
class InferredValuesRouter final : public CelRowRouter {
 public:
  using CelRowRouter::CelRowRouter;
  Result<RoutingOutcome> Finish() override {
    spec_.routing_values = routing::SortedDistinct(seen_);
    DS_ASSIGN_OR_RETURN(const routing::RoutingValues sorted, routing::RoutingValues::Make(*spec_.routing_values));
    std::vector<int32_t> shards;
    for (const Key& value : seen_) shards.push_back(*sorted.Find(value.view()));
    return RoutingOutcome{spec_, std::max(static_cast<int32_t>(seen_.size()), 1), std::nullopt, std::move(shards)};
  }

 private:
  Result<int32_t> PartitionOf(const KeyView&, const KeyView& result) override {
    const auto number = result.as_unsigned();
    std::string name(1, static_cast<char>(result.kind()));  // values of different kinds are different
    name.append(result.is_number() ? std::string_view(reinterpret_cast<const char*>(&number), sizeof number) : result.bytes());
    const auto [found, is_new] = partitions_.try_emplace(std::move(name), static_cast<int32_t>(seen_.size()));
    if (!is_new) return found->second;
    if (seen_.size() == static_cast<size_t>(generation::kNumDbsMax)) {
      return Unassigned(fmt::format("the sharding expression gives more than {} different values, and each is a shard", generation::kNumDbsMax));
    }
    if (!seen_.empty() && KindOf(seen_[0].view()) != KindOf(result)) {
      return Unassigned(fmt::format("the sharding expression gives {} and {}; routing values have one type", ToString(seen_[0].view()), ToString(result)));
    }
    seen_.emplace_back(result);
    return found->second;
  }
  static int KindOf(const KeyView& key) { return key.is_number() ? 0 : key.kind() == KeyView::Kind::kText ? 1 : 2; }

  std::unordered_map<std::string, int32_t> partitions_;
  std::vector<Key> seen_;  // of each partition
};

Result<std::unique_ptr<RowRouter>> MakeCelRowRouter(const ShardingRule::Cel& rule, Expression::Hook hook) {
  if (rule.routing_values && rule.infer_routing_values) {
    return InvalidArgument("routing_values and infer_routing_values exclude one another");
  }
  std::shared_ptr<const routing::CompiledCel> cel;
  if (!hook) {
    DS_ASSIGN_OR_RETURN(cel, routing::CompiledCel::Compile(rule.expr, rule.columns));
    const CelType type = cel->result_type();
    if (!rule.routing_values && !rule.infer_routing_values && type != CelType::kInt && type != CelType::kUint) {
      return InvalidArgument("the sharding expression gives {}; a shard id is an int. Routing values, given or inferred, may be of other types", ToString(type));
    }
  }
  auto expression = std::make_unique<Expression>(std::move(cel), std::move(hook));
  if (rule.infer_routing_values) return std::unique_ptr<RowRouter>(std::make_unique<InferredValuesRouter>(rule, std::move(expression)));
  if (!rule.routing_values) return std::unique_ptr<RowRouter>(std::make_unique<DirectRouter>(rule, std::move(expression)));
  DS_ASSIGN_OR_RETURN(routing::RoutingValues values, routing::RoutingValues::Make(*rule.routing_values));
  return std::unique_ptr<RowRouter>(std::make_unique<GivenValuesRouter>(rule, std::move(expression), std::move(values)));
}

}  // namespace

Result<std::unique_ptr<RowRouter>> MakeRowRouter(const ShardingRule& rule, std::function<Result<Key>(std::span<const CelValue>)> evaluate_cel) {
  if (int{rule.num_dbs.has_value()} + int{rule.boundaries.has_value()} + int{rule.cel.has_value()} != 1) {
    return InvalidArgument("a sharding rule is one of num_dbs, boundaries and cel");
  }
  if (rule.cel) return MakeCelRowRouter(*rule.cel, std::move(evaluate_cel));
  ShardingSpec spec;
  if (rule.boundaries) {
    DS_ASSIGN_OR_RETURN(spec, routing::RangeSpec(*rule.boundaries));
  } else if (*rule.num_dbs < 1 || *rule.num_dbs > generation::kNumDbsMax) {
    return InvalidArgument("num_dbs is {}; 1 to {} shards are possible", *rule.num_dbs, generation::kNumDbsMax);
  }
  const int32_t num_dbs = rule.num_dbs ? *rule.num_dbs : static_cast<int32_t>(rule.boundaries->size()) + 1;
  DS_ASSIGN_OR_RETURN(std::shared_ptr<const routing::Router> router, routing::MakeRouter(spec, num_dbs, rule.boundaries));
  return std::unique_ptr<RowRouter>(std::make_unique<KeyRowRouter>(std::move(router), std::move(spec), rule.boundaries));
}

}  // namespace datashard::shardwrite
