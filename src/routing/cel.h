// A sharding expression, compiled once and evaluated for row after row.
// The part of CEL that is compiled: docs/sharding.md.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"
#include "datashard/sharding.h"

namespace datashard::routing {

namespace cel {
struct Program;
}

/// Memory for text and bytes that an evaluation makes. Reused from row to row it rarely allocates. Not thread safe.
class CelScratch {
 public:
  CelScratch() = default;
  CelScratch(const CelScratch&) = delete;
  CelScratch& operator=(const CelScratch&) = delete;

  /// Forgets all that was made.
  void Clear();
  /// `size_bytes` to write to; null above 16 MiB in all.
  char* Take(size_t size_bytes);

 private:
  char inline_[256];
  size_t inline_used_ = 0;
  size_t taken_bytes_ = 0;
  std::vector<std::unique_ptr<char[]>> blocks_;
};

/// The value of the column "key" where the row has no other. Borrows.
CelValue CelValueOf(const KeyView& key);

/// Callable from several threads, each with a scratch of its own.
class CompiledCel {
 public:
  using Columns = std::vector<std::pair<std::string, CelType>>;

  /// Errors: kInvalidArgument: no CEL, types that do not fit, a result other than int, uint, string or bytes; kUnsupported: CEL that is not
  /// compiled here. Both say where. \param columns  names and types the expression may read.
  static Result<std::shared_ptr<const CompiledCel>> Compile(std::string expression, Columns columns);
  ~CompiledCel();
  CompiledCel(const CompiledCel&) = delete;
  CompiledCel& operator=(const CompiledCel&) = delete;

  const Columns& columns() const { return columns_; }
  /// kInt, kUint, kString or kBytes.
  CelType result_type() const;
  /// The value for one row: an integer where result_type() is int or uint, else text or bytes, which borrow from `values`, from this object
  /// or from `scratch`, until its next use.
  /// \param values  one for each of columns(), in that order. A whole number is taken for double, and one that fits for int and uint; UTF-8
  ///                bytes are taken for string. Others fail only where the expression reads them.
  /// Errors: kInvalidArgument: a value that does not fit its column, overflow, division by zero, a failed conversion; says where.
  Result<KeyView> Evaluate(std::span<const CelValue> values, CelScratch& scratch) const;

 private:
  CompiledCel(std::unique_ptr<const cel::Program> program, Columns columns);

  std::unique_ptr<const cel::Program> program_;
  Columns columns_;
};

/// The shard id that the result of an expression without routing values is. Errors: kInvalidArgument: below 0, or above INT32_MAX - 1.
Result<int32_t> ShardIdOf(const KeyView& result);

}  // namespace datashard::routing
