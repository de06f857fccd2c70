// The values that a sharding expression may give, each with a shard of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "datashard/result.h"
#include "datashard/sharding.h"

namespace datashard::routing {

/// Integers, text and bytes are never equal to one another. Callable from several threads.
class RoutingValues {
 public:
  /// Errors: kInvalidArgument: a value that occurs twice.
  static Result<RoutingValues> Make(std::vector<Key> values);
  RoutingValues(RoutingValues&&) = default;
  RoutingValues(const RoutingValues&) = delete;

  /// The shard of `result`: its index among the values. None where it is not among them.
  std::optional<int32_t> Find(const KeyView& result) const;
  const std::vector<Key>& values() const { return values_; }

 private:
  struct Hash {
    size_t operator()(const KeyView& key) const;
  };
  explicit RoutingValues(std::vector<Key> values) : values_(std::move(values)) {}

  std::vector<Key> values_;
  std::unordered_map<KeyView, int32_t, Hash> index_;  // borrows from values_, whose keys stay in place
};

/// Results of one expression as routing values: each once, ascending; text in the order of its code points.
std::vector<Key> SortedDistinct(std::vector<Key> results);

}  // namespace datashard::routing
