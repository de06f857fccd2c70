// A snapshot in memory or behind a faulty store, written with a simulated clock and read back pair by pair. Only tests include this.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "datashard/sharded_writer.h"
#include "generation/object_manifest_store.h"
#include "generation/snapshot_place.h"
#include "kv/object_digest.h"
#include "kv/shard_directory.h"
#include "routing/router.h"
#include "shardwrite/writer.h"
#include "sim/sim_clock.h"
#include "slatedb/slatedb_shard.h"
#include "sqlite/sqlite_shard.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard::shardwrite {

using Pairs = std::map<Bytes, Bytes>;

/// What one process has of the outside world.
struct SimProcess {
  explicit SimProcess(uint64_t seed, Log& log = SilentLog()) : random(SeededRandom(seed)), outside{clock, *random, metrics, log} {}
  sim::SimClock clock;
  std::unique_ptr<Random> random;
  MetricSums metrics;
  Outside outside;
};

struct SimSnapshot {
  static constexpr const char* kUrl = "s3://bucket/snapshot";
  explicit SimSnapshot(std::shared_ptr<ObjectStore> store, uint64_t seed = 1)
      : process(seed), place(std::make_shared<generation::SnapshotPlace>(kUrl, std::move(store))) {}

  ShardedWriteSettings Settings(int32_t num_dbs = 3) const {
    ShardedWriteSettings settings;
    settings.sharding.num_dbs = num_dbs;
    settings.local_root = local.path();
    settings.threads = 1;
    return settings;
  }
  Result<std::unique_ptr<ShardedWriter>> Start(ShardedWriteSettings settings, ShardedWriteParts parts = {}) {
    return StartWriter(std::move(settings), std::move(parts), {place, process.outside});
  }
  std::unique_ptr<ManifestStore> Manifests() { return *generation::NewObjectManifestStore(place, {}, process.outside); }

  SimProcess process;
  TemporaryDirectory local;
  std::shared_ptr<generation::SnapshotPlace> place;
};

/// Every pair of one shard; checks that its objects are what the manifest says.
inline Result<Pairs> PairsOf(ObjectStore& store, generation::SnapshotPlace& place, const ShardMeta& shard, const std::string& format) {
  const std::string key = *place.KeyOf(*shard.db_url);
  for (const ShardObject& object : shard.objects) {
    DS_ASSIGN_OR_RETURN(const Bytes body, store.Get(key + "/" + object.name));
    kv::ObjectDigest digest;
    digest.Append(body);
    EXPECT_EQ(static_cast<int64_t>(body.size()), object.size_bytes) << object.name;
    EXPECT_EQ(digest.xxh3_64(), object.xxh3_64) << object.name;
  }
  kv::BlockCache cache(1 << 20);
  const auto directory = kv::OpenStoredDirectory(store, key, cache);
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<kv::Database> database,
                      format == "sqlite" ? sqlite::OpenSqliteShard(*directory) : slatedb::OpenSlateDbShard(*directory));
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<kv::Cursor> cursor, database->Scan({}));
  Pairs pairs;
  for (;;) {
    DS_ASSIGN_OR_RETURN(const bool more, cursor->Next());
    if (!more) return pairs;
    pairs.emplace(cursor->key(), cursor->value());
  }
}

/// A generation: every pair by stored key, with the shard it lies in.
struct ReadGeneration {
  ShardedManifest manifest;
  Pairs pairs;
  std::map<Bytes, int32_t> shard_of;
};

inline Result<ReadGeneration> ReadManifestAndShards(SimSnapshot& snapshot, const std::string& ref) {
  ReadGeneration read;
  DS_ASSIGN_OR_RETURN(read.manifest, snapshot.Manifests()->LoadManifest(ref));
  DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, snapshot.place->ToRead());
  for (const ShardMeta& shard : read.manifest.shards) {
    DS_ASSIGN_OR_RETURN(const Pairs pairs, PairsOf(*store, *snapshot.place, shard, read.manifest.shard_format.value_or("")));
    EXPECT_EQ(static_cast<int64_t>(pairs.size()), shard.row_count);
    for (const auto& [key, value] : pairs) read.shard_of[key] = shard.db_id;
    read.pairs.insert(pairs.begin(), pairs.end());
  }
  return read;
}

/// None where nothing was published.
inline Result<std::optional<ReadGeneration>> ReadCurrent(SimSnapshot& snapshot) {
  DS_ASSIGN_OR_RETURN(const std::optional<ManifestRef> current, snapshot.Manifests()->LoadCurrent());
  if (!current) return std::optional<ReadGeneration>();
  DS_ASSIGN_OR_RETURN(ReadGeneration read, ReadManifestAndShards(snapshot, current->ref));
  return std::optional<ReadGeneration>(std::move(read));
}

inline Bytes Stored(uint64_t key) { return Bytes(routing::EncodedKey::BigEndian(key, 8).bytes()); }

inline std::vector<std::string> KeysBelow(ObjectStore& store, const std::string& prefix) {
  std::vector<std::string> keys;
  const auto listed = store.List(prefix);
  EXPECT_THAT(listed, IsOk());
  for (const ObjectInfo& object : *listed) keys.push_back(object.key);
  return keys;
}

}  // namespace datashard::shardwrite
