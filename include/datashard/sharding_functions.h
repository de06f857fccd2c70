// The functions behind sharding, for faces in other languages: the routing hash, stored keys, the rule of a snapshot, CEL expressions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "datashard/result.h"
#include "datashard/sharding.h"

namespace datashard {

/// xxh3_64, seed 0, of an integer's 8 little-endian bytes, of text's UTF-8, of bytes. Errors: kInvalidArgument: an integer above int64.
Result<uint64_t> RoutingHash(const KeyView& key);
/// A key's bytes in a shard. Errors: kInvalidArgument: the encoding does not take it.
Result<std::string> StoredKey(const KeyView& key, KeyEncoding encoding);
/// The same for a reader: numbers' encodings also take the bytes that they would give.
Result<std::string> StoredLookupKey(const KeyView& key, KeyEncoding encoding);

/// The rule of a snapshot. Callable from several threads.
class ShardRule {
 public:
  /// `boundaries`: of a range-sharded snapshot. Errors: kInvalidArgument; kUnsupported: an expression that is not compiled here (says which
  /// part of it).
  static Result<std::shared_ptr<const ShardRule>> Make(const ShardingSpec& spec, int32_t num_dbs,
                                                       const std::optional<std::vector<RangeBoundary>>& boundaries = std::nullopt);
  virtual ~ShardRule() = default;
  /// Does it read columns beside the key?
  virtual bool needs_context() const = 0;
  /// The shard; none where the value is not among the routing values. Errors: kInvalidArgument.
  virtual Result<std::optional<int32_t>> Route(const KeyView& key) const = 0;
  virtual Result<std::optional<int32_t>> RouteContext(std::span<const CelValue> columns) const = 0;
};

/// A compiled CEL expression. Callable from several threads.
class CelExpression {
 public:
  /// Errors: kInvalidArgument: no expression over these columns; kUnsupported: one that is not compiled here.
  static Result<std::shared_ptr<const CelExpression>> Compile(const std::string& expr,
                                                              const std::vector<std::pair<std::string, CelType>>& columns);
  virtual ~CelExpression() = default;
  /// `columns`: one value each, in order. Errors: kInvalidArgument: of another type, a division by zero, a value that cannot route.
  virtual Result<Key> Evaluate(std::span<const CelValue> columns) const = 0;
};

}  // namespace datashard
