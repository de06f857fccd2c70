// One published state as a reader holds it: manifest, routing rule, shards. Does not change, but for shards being opened.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datashard/sharded_reader.h"
#include "routing/router.h"
#include "shardread/generation_guard.h"
#include "shardread/shard_slot.h"

namespace datashard::shardread {

/// Settings that decide how a generation is read.
struct GenerationSettings {
  std::optional<ShardFormat> format;
  SqliteMode sqlite_mode = SqliteMode::kAuto;
  int64_t sqlite_auto_per_shard_bytes = 0;
  int64_t sqlite_auto_total_bytes = 0;
  bool has_local_root = false;
};

/// Callable from several threads.
class Generation {
 public:
  /// Checks the manifest and compiles its rule; opens nothing. Shards that `before` (or none) has open and that are the same stay open.
  /// Errors: kCorruption: a manifest that breaks a rule; kUnsupported: its expression, its vectors, more than 1,048,576 shards.
  static Result<std::shared_ptr<const Generation>> Make(ManifestRef ref, std::shared_ptr<const ShardedManifest> manifest,
                                                        const GenerationSettings& settings, const std::shared_ptr<ShardSource>& source,
                                                        const Generation* before);

  /// The same without its shards: what a closed reader still tells of.
  std::shared_ptr<const Generation> WithoutShards() const;

  const std::string& ref() const { return ref_.ref; }
  UtcTime published_at() const { return ref_.published_at; }
  const std::shared_ptr<const ShardedManifest>& manifest() const { return manifest_; }
  /// One for each of num_dbs; null: an empty shard.
  const std::vector<std::shared_ptr<ShardSlot>>& slots() const { return slots_; }

  struct Target {
    ShardSlot* slot = nullptr;  ///< null: the key is in no shard
    int32_t db_id = -1;         ///< -1: the rule does not know the key
    routing::EncodedKey key;    ///< borrows from the key that was given
  };
  /// Where `key` is, and its stored bytes. Errors: kInvalidArgument: the key, or a column that `context` does not name.
  Result<Target> Find(KeyView key, const RoutingContext* context) const;
  /// Shards that can have a stored key of `start` .. `end`, in stages: all keys of a stage are below those of the next.
  std::vector<std::vector<std::shared_ptr<ShardSlot>>> Covering(std::string_view start, std::optional<std::string_view> end) const;

 private:
  Generation() = default;
  Generation(const Generation&) = default;
  Status FillSlots(const ShardRules& rules, const std::shared_ptr<ShardSource>& source, const Generation* before);
  Result<std::optional<int32_t>> Route(const KeyView& key, const RoutingContext* context) const;

  ManifestRef ref_;
  std::shared_ptr<const ShardedManifest> manifest_;
  std::shared_ptr<const routing::Router> router_;
  std::vector<std::shared_ptr<ShardSlot>> slots_;
  std::optional<std::vector<std::string>> stored_boundaries_;  // where shards are ranges of stored keys
};

/// What the guard of a reader holds.
struct CurrentGeneration {
  CurrentGeneration(std::shared_ptr<const Generation> now, bool closed);
  std::shared_ptr<const Generation> generation;
  bool is_closed = false;
  /// Keeps the generation: one count for each stripe of threads, so that threads which pin values do not share one.
  const std::shared_ptr<const void>& Owner() const { return owners[StripeOfThread()]; }
  std::array<std::shared_ptr<const void>, kThreadStripes> owners;
};

}  // namespace datashard::shardread
