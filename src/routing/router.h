// Which shard a key belongs to: one piece of code for writers and readers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "datashard/sharding.h"

namespace datashard::routing {

/// The routing hash: xxh3_64, seed 0, of an integer's 8 little-endian bytes (two's complement), of text's UTF-8, of bytes.
/// Errors: kInvalidArgument for integers above int64.
Result<uint64_t> HashOf(const KeyView& key);

/// A key's bytes in a shard: of an integer in here, of others where they were.
class EncodedKey {
 public:
  EncodedKey() = default;
  explicit EncodedKey(std::string_view borrowed) : borrowed_(borrowed) {}
  static EncodedKey BigEndian(uint64_t number, int size_bytes);
  ByteView bytes() const { return size_ == 0 ? borrowed_ : ByteView(number_, size_); }

 private:
  std::string_view borrowed_;
  char number_[8] = {};
  uint8_t size_ = 0;
};

/// Errors: kInvalidArgument: a number out of the encoding's range, text for a number's encoding, and so on; says key, encoding, range.
Result<EncodedKey> EncodeKey(const KeyView& key, KeyEncoding encoding);
/// As EncodeKey, for a reader: u64be and u32be also take the 8 or 4 bytes that the encoding gives, and `key` then becomes the
/// number, so that it is routed like it. Text and bytes are one and the same for utf8 and raw.
Result<EncodedKey> EncodeLookupKey(KeyView& key, KeyEncoding encoding);

/// Callable from several threads; no lock, no allocation for hash and range.
class Router {
 public:
  virtual ~Router() = default;
  virtual int32_t num_dbs() const = 0;
  /// Does routing need columns beside the key? Then Route answers kInvalidArgument, and RouteContext is the way.
  virtual bool needs_context() const = 0;
  /// The shard, 0 .. num_dbs() - 1; none where the expression gave a value that is not among the routing values.
  /// Errors: kInvalidArgument: a key of a kind the rule cannot take, a shard id out of range (says which).
  virtual Result<std::optional<int32_t>> Route(const KeyView& key) const = 0;
  /// The same for the columns of the rule, one value each in the rule's order.
  virtual Result<std::optional<int32_t>> RouteContext(std::span<const CelValue> columns) const = 0;
};

/// Checks `spec` and compiles its expression. With `boundaries` (num_dbs - 1 of them) whose RangeSpec is `spec`, the shard is found among
/// them; where they say something else, the expression decides. Errors: kInvalidArgument; kUnsupported: an expression that is not
/// compiled here; the message names the part of it. Never kCorruption.
Result<std::shared_ptr<const Router>> MakeRouter(const ShardingSpec& spec, int32_t num_dbs,
                                                 const std::optional<std::vector<RangeBoundary>>& boundaries = std::nullopt);

/// The rule of a range-sharded snapshot of boundaries.size() + 1 shards: shard = number of boundaries <= key. A balanced tree of comparisons
/// over the column "key", an int or a string: keys are integers or text, so a boundary of 2.5 is written as 3, and none is rounded.
/// Other readers take 100,000 characters of it at most. Errors: kInvalidArgument: boundaries of mixed types, not ascending, not finite, text
/// that is not UTF-8, more than 4,095.
Result<ShardingSpec> RangeSpec(const std::vector<RangeBoundary>& boundaries);

}  // namespace datashard::routing
