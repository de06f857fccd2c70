// Keys of sharded snapshots, how they are stored, and the rule that gives each of them its shard.
// Source: docs/formats/sharded_manifest.md ("sharding"), docs/formats/sharded_keys.md.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "datashard/result.h"

namespace datashard {

/// How keys are stored in a shard: integers as 8 or 4 big-endian bytes, text as UTF-8, bytes as they are.
enum class KeyEncoding { kU64Be, kU32Be, kUtf8, kRaw };

/// "u64be", "u32be", "utf8", "raw".
std::string_view ToString(KeyEncoding encoding);
/// Errors: kInvalidArgument that names the four.
Result<KeyEncoding> KeyEncodingOf(std::string_view name);

/// A key as its user has it: an integer of -2^63 .. 2^64-1, text (UTF-8) or bytes. Borrows text and bytes.
class KeyView {
 public:
  enum class Kind : uint8_t {
    kInt,       ///< fits int64
    kUnsigned,  ///< 2^63 .. 2^64-1
    kText,
    kBytes,
  };
  static KeyView Int(int64_t number) { return {Kind::kInt, static_cast<uint64_t>(number), {}}; }
  static KeyView Unsigned(uint64_t number) {
    return {number > uint64_t{INT64_MAX} ? Kind::kUnsigned : Kind::kInt, number, {}};
  }
  static KeyView Text(std::string_view text) { return {Kind::kText, 0, text}; }
  static KeyView Bytes(std::string_view bytes) { return {Kind::kBytes, 0, bytes}; }

  Kind kind() const { return kind_; }
  bool is_number() const { return kind_ <= Kind::kUnsigned; }
  int64_t as_int() const { return static_cast<int64_t>(number_); }
  uint64_t as_unsigned() const { return number_; }
  /// Of text and bytes.
  std::string_view bytes() const { return bytes_; }
  bool operator==(const KeyView&) const = default;

 private:
  KeyView(Kind kind, uint64_t number, std::string_view bytes) : kind_(kind), number_(number), bytes_(bytes) {}
  Kind kind_;
  uint64_t number_;
  std::string_view bytes_;
};

/// A key that owns its text or bytes.
struct Key {
  KeyView::Kind kind = KeyView::Kind::kInt;
  uint64_t number = 0;
  std::string bytes;

  Key() = default;
  explicit Key(const KeyView& view) : kind(view.kind()), number(view.as_unsigned()), bytes(view.bytes()) {}
  /// Borrows from this key.
  KeyView view() const;
  bool operator==(const Key&) const = default;
};

/// For messages: 42, "text", b"\x00\xff".
std::string ToString(const KeyView& key);

enum class ShardingStrategy { kHash, kCel };
enum class CelType { kInt, kString, kBytes, kDouble, kBool, kUint };

/// "int", "string", "bytes", "double", "bool", "uint".
std::string_view ToString(CelType type);
Result<CelType> CelTypeOf(std::string_view name);

/// The rule as a manifest holds it. Values compare and copy.
struct ShardingSpec {
  ShardingStrategy strategy = ShardingStrategy::kHash;  ///< kHash: xxh3_64 of the key, modulo the number of shards
  std::optional<std::vector<Key>> routing_values;       ///< the expression gives one of these, and its index is the shard
  std::optional<std::string> cel_expr;                  ///< with kCel only
  std::optional<std::vector<std::pair<std::string, CelType>>> cel_columns;  ///< with kCel only; in the order given
  bool operator==(const ShardingSpec&) const = default;
};

/// A boundary between two shards of a range-sharded snapshot: integer, double or text.
using RangeBoundary = std::variant<int64_t, double, std::string>;

/// A value an expression reads: one column of a row, or what a reader was given as routing context.
struct CelText {
  std::string_view text;
  bool operator==(const CelText&) const = default;
};
struct CelBytes {
  std::string_view bytes;
  bool operator==(const CelBytes&) const = default;
};
/// Null is std::monostate. Borrows.
using CelValue = std::variant<std::monostate, int64_t, uint64_t, double, bool, CelText, CelBytes>;

}  // namespace datashard
