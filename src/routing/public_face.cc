// include/datashard/sharding_functions.h: what this room does, for faces in other languages.
#include "datashard/sharding_functions.h"

#include "routing/cel.h"
#include "routing/router.h"

namespace datashard {
namespace {

class PublicRule final : public ShardRule {
 public:
  explicit PublicRule(std::shared_ptr<const routing::Router> router) : router_(std::move(router)) {}
  bool needs_context() const override { return router_->needs_context(); }
  Result<std::optional<int32_t>> Route(const KeyView& key) const override { return router_->Route(key); }
  Result<std::optional<int32_t>> RouteContext(std::span<const CelValue> columns) const override { return router_->RouteContext(columns); }

 private:
  std::shared_ptr<const routing::Router> router_;
};

class PublicExpression final : public CelExpression {
 public:
  explicit PublicExpression(std::shared_ptr<const routing::CompiledCel> cel) : cel_(std::move(cel)) {}
  Result<Key> Evaluate(std::span<const CelValue> columns) const override {
    routing::CelScratch scratch;
    DS_ASSIGN_OR_RETURN(const KeyView value, cel_->Evaluate(columns, scratch));
    return Key(value);
  }

 private:
  std::shared_ptr<const routing::CompiledCel> cel_;
};

}  // namespace

Result<uint64_t> RoutingHash(const KeyView& key) { return routing::HashOf(key); }

Result<std::string> StoredKey(const KeyView& key, KeyEncoding encoding) {
  DS_ASSIGN_OR_RETURN(const routing::EncodedKey encoded, routing::EncodeKey(key, encoding));
  return std::string(encoded.bytes());
}

Result<std::string> StoredLookupKey(const KeyView& key, KeyEncoding encoding) {
  KeyView seen = key;
  DS_ASSIGN_OR_RETURN(const routing::EncodedKey encoded, routing::EncodeLookupKey(seen, encoding));
  return std::string(encoded.bytes());
}

Result<std::shared_ptr<const ShardRule>> ShardRule::Make(const ShardingSpec& spec, int32_t num_dbs,
                                                         const std::optional<std::vector<RangeBoundary>>& boundaries) {
  DS_ASSIGN_OR_RETURN(std::shared_ptr<const routing::Router> router, routing::MakeRouter(spec, num_dbs, boundaries));
  return std::shared_ptr<const ShardRule>(std::make_shared<PublicRule>(std::move(router)));
}

Result<std::shared_ptr<const CelExpression>> CelExpression::Compile(const std::string& expr,
                                                                    const std::vector<std::pair<std::string, CelType>>& columns) {
  DS_ASSIGN_OR_RETURN(std::shared_ptr<const routing::CompiledCel> cel, routing::CompiledCel::Compile(expr, columns));
  return std::shared_ptr<const CelExpression>(std::make_shared<PublicExpression>(std::move(cel)));
}

}  // namespace datashard
