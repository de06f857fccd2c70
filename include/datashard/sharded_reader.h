// Point lookups, batches and scans over the current generation of a sharded snapshot, from any number of threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datashard/result.h"
#include "datashard/sharded_manifest.h"
#include "datashard/sharding.h"

namespace datashard {

enum class SqliteMode {
  kAuto,      ///< by the sizes in the manifest
  kDownload,  ///< whole files into local_root, mapped
  kRange,     ///< pages by ranged requests
};

struct ShardedReaderSettings {
  std::string prefix;      ///< s3://bucket/path, file:///directory, or a plain path
  SnapshotS3Options s3;
  std::string local_root;  ///< where downloaded shards are kept; needed for SQLite shards in a bucket only
  std::string current_key = "_CURRENT";
  std::optional<std::string> pinned_ref;  ///< read this manifest and never another
  std::optional<std::string> shard_format;  ///< "sqlite" or "slatedb"; none: what the manifest says, or what is found
  int max_fallback_attempts = 3;  ///< older manifests to try at opening when the current one is damaged or missing
  SqliteMode sqlite_mode = SqliteMode::kAuto;
  int64_t sqlite_auto_per_shard_bytes = int64_t{16} << 20;  ///< kAuto: kRange from one shard of this size on
  int64_t sqlite_auto_total_bytes = int64_t{2} << 30;       ///< or from this sum on
  int64_t block_cache_bytes = int64_t{256} << 20;
  int64_t local_bytes_max = 0;  ///< of downloaded shards: the least recently used go; 0: no bound
  bool verify_checksums = true;  ///< of what the manifest has checksums of, at opening a shard
  int max_workers = 0;  ///< threads of MultiGet over several shards; 0: as many as cores, and 16 where shards lie in a bucket
};

enum class LookupReach {
  kResidentOnly,  ///< what is mapped or cached
  kAnywhere,
};
enum class LookupOutcome {
  kAbsent,
  kFound,
  kNotResident,  ///< only with kResidentOnly: a request is needed to tell
};

/// A value in memory; holds on to the generation it lies in, so it should not live long.
class PinnedValue {
 public:
  PinnedValue(std::string_view bytes, std::shared_ptr<const void> owner) : bytes_(bytes), owner_(std::move(owner)) {}
  std::string_view bytes() const { return bytes_; }

 private:
  std::string_view bytes_;
  std::shared_ptr<const void> owner_;
};

struct ShardDetail {
  int32_t db_id = 0;
  int64_t row_count = 0;
  std::optional<Key> min_key, max_key;
  std::optional<std::string> db_url;
};

struct ReaderHealth {
  enum class Status { kHealthy, kDegraded, kUnhealthy } status = Status::kHealthy;
  std::string manifest_ref;
  std::chrono::microseconds manifest_age{0};  ///< since the manifest was published
  int32_t num_shards = 0;
  bool is_closed = false;
};

/// A manifest that could not be read when a reader was opened.
struct SkippedManifest {
  std::string ref;
  std::string problem;
};

/// Columns of a routing context, by name.
using RoutingContext = std::vector<std::pair<std::string, CelValue>>;

/// Pairs in ascending order of stored keys. One thread at a time. Holds on to its generation.
class ShardedScan {
 public:
  virtual ~ShardedScan() = default;
  virtual Result<bool> Next() = 0;
  virtual std::string_view key() const = 0;  ///< as stored
  virtual std::string_view value() const = 0;
};

/// Callable from several threads; a lookup of what is mapped takes no lock. Refresh swaps the generation under running calls, which
/// finish on the old one. Errors of lookups: kInvalidArgument: the key; kFenced: closed; kNotFound: a shard is gone, also after a
/// refresh; kCorruption; kUnavailable, kDenied.
class ShardedReader {
 public:
  /// Reads pointer and manifest; shards are opened when first needed. `manifests`: borrowed; null: those of the prefix. Errors: kNotFound: nothing was
  /// published; kCorruption: no manifest that can be read among max_fallback_attempts older ones; kUnsupported: its expression or its vectors.
  static Result<std::unique_ptr<ShardedReader>> Open(ShardedReaderSettings settings, ManifestStore* manifests = nullptr);
  virtual ~ShardedReader() = default;

  /// The value of `key`; none where it is absent. `context`: needed where the rule reads columns other than the key.
  virtual Result<std::optional<PinnedValue>> Get(KeyView key, const RoutingContext* context = nullptr) = 0;
  /// Get that hands the value to `sink` while its generation is held: no copy, nothing counted that threads share. With
  /// kResidentOnly it never waits for storage.
  virtual Result<LookupOutcome> Visit(KeyView key, LookupReach reach, const std::function<void(std::string_view value)>& sink,
                                      const RoutingContext* context = nullptr) = 0;
  /// In the order of `keys`, which may repeat; grouped by shard, shards side by side.
  virtual Result<std::vector<std::optional<PinnedValue>>> MultiGet(std::span<const KeyView> keys, const RoutingContext* context = nullptr) = 0;
  /// Pairs with stored keys from `start` on, up to but without `end` (none: to the last). Of all shards, merged.
  virtual Result<std::unique_ptr<ShardedScan>> Scan(std::string_view start, std::optional<std::string_view> end) = 0;
  /// Pairs whose stored keys start with `prefix`.
  virtual Result<std::unique_ptr<ShardedScan>> ScanPrefix(std::string_view prefix) = 0;

  /// The shard of `key`; none where the rule does not know it. No I/O.
  virtual Result<std::optional<int32_t>> Route(KeyView key, const RoutingContext* context = nullptr) = 0;
  /// The generation that is read now.
  virtual std::shared_ptr<const ShardedManifest> manifest() const = 0;
  virtual std::string manifest_ref() const = 0;
  /// What the opening passed over: the manifest that was current first. None: nothing, that one is read.
  virtual const std::vector<SkippedManifest>& skipped_manifests() const = 0;
  /// One for each of num_dbs, also for empty ones.
  virtual std::vector<ShardDetail> shard_details() const = 0;
  virtual ReaderHealth health(std::optional<std::chrono::microseconds> staleness_threshold = std::nullopt) const = 0;
  /// Looks at the pointer; true where another generation is read from now on. Shards that did not change stay open. A manifest that cannot be
  /// read leaves the old generation in use: false, with the reason in *problem where given. Errors: kNotFound: no pointer.
  virtual Result<bool> Refresh(std::optional<Error>* problem = nullptr) = 0;
  /// Idempotent; running calls finish.
  virtual void Close() = 0;
};

/// Tokens that come at `rate` a second, up to one second's worth; a request of more is served at once from a full bucket and paid off by
/// those after it. Callable from several threads.
class TokenBucket {
 public:
  /// \param rate_per_second  above 0.
  explicit TokenBucket(double rate_per_second);
  ~TokenBucket();
  /// Waits until `tokens` may be taken; how long it did.
  std::chrono::duration<double> Acquire(double tokens);
  /// Seconds that Acquire would wait; 0 where the tokens were taken.
  double TryAcquire(double tokens);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace datashard
