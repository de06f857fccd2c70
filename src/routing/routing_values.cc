#include "routing/routing_values.h"

#include <algorithm>

#include "base/error.h"
#include "routing/hash.h"

namespace datashard::routing {

size_t RoutingValues::Hash::operator()(const KeyView& key) const {
  const uint64_t digest = key.is_number() ? DigestOfNumber(key.as_unsigned()) : DigestOf(key.bytes());
  return digest ^ static_cast<uint64_t>(key.kind());
}

Result<RoutingValues> RoutingValues::Make(std::vector<Key> values) {
  RoutingValues made(std::move(values));
  made.index_.reserve(made.values_.size());
  for (size_t i = 0; i < made.values_.size(); ++i) {
    const auto [before, added] = made.index_.emplace(made.values_[i].view(), static_cast<int32_t>(i));
    if (!added) return InvalidArgument("routing_values {} and {} are both {}", before->second, i, ToString(before->first));
  }
  return made;
}

std::optional<int32_t> RoutingValues::Find(const KeyView& result) const {
  const auto found = index_.find(result);
  if (found == index_.end()) return std::nullopt;
  return found->second;
}

std::vector<Key> SortedDistinct(std::vector<Key> results) {
  const auto less = [](const Key& left, const Key& right) {
    if (left.kind != right.kind) return left.kind < right.kind;
    if (left.kind == KeyView::Kind::kInt) return static_cast<int64_t>(left.number) < static_cast<int64_t>(right.number);
    return left.number != right.number ? left.number < right.number : left.bytes < right.bytes;
  };
  std::ranges::sort(results, less);
  const auto repeated = std::ranges::unique(results);
  results.erase(repeated.begin(), repeated.end());
  return results;
}

}  // namespace datashard::routing
