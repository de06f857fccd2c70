// Where a shard's bytes come from: files of this machine where they lie, a copy of a file in a bucket, or ranged requests.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "datashard/sharded_manifest.h"
#include "generation/snapshot_place.h"
#include "kv/block_cache.h"
#include "kv/database.h"
#include "kv/shard_directory.h"
#include "shardread/local_copies.h"

namespace datashard::shardread {

enum class ShardFormat { kSqlite, kSlateDb };

/// How the shards of one generation are read.
struct ShardRules {
  std::optional<ShardFormat> format;  ///< none: what is found
  bool by_ranges = false;             ///< SQLite in a bucket
  bool operator==(const ShardRules&) const = default;
};

/// One shard, open. Not to be moved: its parts borrow from each other.
struct OpenedShard {
  std::shared_ptr<ObjectStore> store;  ///< null where files are mapped
  std::optional<LocalCopy> copy;
  std::unique_ptr<kv::ShardDirectory> directory;
  std::unique_ptr<kv::Database> database;
  bool is_mapped = false;  ///< no call waits for a request
};

/// Callable from several threads. Outlives what it opened.
class ShardSource {
 public:
  struct Settings {
    std::string local_root;
    int64_t local_bytes_max = 0;
    int64_t block_cache_bytes = 0;
    bool verify_checksums = true;
  };
  ShardSource(Settings settings, std::shared_ptr<generation::SnapshotPlace> place, Clock& clock);

  /// Opens the shard, which has an URL. Errors: kNotFound: an object of it is not there; kCorruption; kUnsupported; kInvalidArgument: a
  /// copy is needed and there is no local_root; those of the store.
  Result<std::unique_ptr<const OpenedShard>> Open(const ShardMeta& shard, const ShardRules& rules);

 private:
  Result<std::unique_ptr<const OpenedShard>> OpenMapped(const ShardMeta& shard, const ShardRules& rules, const std::string& path);
  Result<std::unique_ptr<const OpenedShard>> OpenCopy(const ShardMeta& shard, const generation::Located& at, LocalCopies::Reuse reuse);

  const Settings settings_;
  const std::shared_ptr<generation::SnapshotPlace> place_;
  const LocalCopies copies_;
  kv::BlockCache cache_;
};

}  // namespace datashard::shardread
