// One shard database as its readers see it, whatever its format.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "datashard/result.h"

namespace datashard::kv {

/// Bytes that stay where they are as long as `owner` lives, or, where there is none, as long as the database does.
struct PinnedBytes {
  ByteView bytes;
  std::shared_ptr<const void> owner;
};

/// May a call wait for storage?
enum class Residency {
  kResidentOnly,  ///< no: only what is mapped or cached is looked at
  kAnywhere,      ///< yes
};

struct Lookup {
  enum class Outcome {
    kAbsent,
    kFound,
    kNotResident,  ///< only with Residency::kResidentOnly: a request would be needed to tell
  };
  Outcome outcome = Outcome::kAbsent;
  PinnedBytes value;  ///< of kFound

  static Lookup Absent() { return {}; }
  static Lookup NotResident() { return {Outcome::kNotResident, {}}; }
  static Lookup Found(ByteView bytes, std::shared_ptr<const void> owner = nullptr) { return {Outcome::kFound, {bytes, std::move(owner)}}; }
};

/// Keys from `start` on, up to but without `end` (none: to the last key).
struct KeyRange {
  Bytes start;
  std::optional<Bytes> end;
};

/// The pairs of a range in ascending order of keys. One thread at a time; must not outlive its database.
class Cursor {
 public:
  virtual ~Cursor() = default;
  /// Moves to the first or the next pair; false behind the last. Errors: as Database::Find; the cursor is useless then.
  virtual Result<bool> Next() = 0;
  /// Valid until the next Next().
  virtual ByteView key() const = 0;
  virtual ByteView value() const = 0;
};

/// Callable from several threads; no call takes a lock of the database's own for what is mapped.
/// Errors of all calls: kCorruption, kUnsupported (a feature of the format we do not read), and what the store answers.
class Database {
 public:
  virtual ~Database() = default;
  /// The value of `key` (any bytes, also none).
  virtual Result<Lookup> Find(ByteView key, Residency residency) const = 0;
  /// Find for many, with Residency::kAnywhere; `keys` ascend and may repeat. `found` has as many entries. What must be fetched
  /// is fetched side by side.
  virtual Status FindMany(std::span<const ByteView> keys, std::span<Lookup> found) const = 0;
  virtual Result<std::unique_ptr<Cursor>> Scan(KeyRange range) const = 0;
  /// Bytes of memory of its own (indexes, filters), without what is mapped or in a shared cache.
  virtual int64_t memory_bytes() const = 0;
};

}  // namespace datashard::kv
