// Manifests for tests.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "base/random.h"
#include "datashard/sharded_manifest.h"

namespace datashard::generation {

/// Three shards by hash, one of them empty.
inline ShardedManifest SmallManifest(std::string run_id = "0f3c") {
  ShardedManifest manifest;
  manifest.build.run_id = std::move(run_id);
  manifest.build.created_at = UtcTime(std::chrono::microseconds(1'795'592'293'884'350));
  manifest.build.num_dbs = 3;
  manifest.build.s3_prefix = "s3://b/p";
  for (const int32_t db_id : {0, 2}) {
    const std::string url = "s3://b/p/shards/run_id=" + manifest.build.run_id + "/db=0000" + std::to_string(db_id) + "/attempt=00";
    manifest.shards.push_back({.db_id = db_id, .db_url = url, .row_count = 10, .db_bytes = 8192, .min_key = Key(KeyView::Int(1)),
                               .max_key = Key(KeyView::Int(4)), .checkpoint_id = std::string(32, 'a')});
  }
  return manifest;
}

inline int64_t Below(Random& random, int64_t bound) { return static_cast<int64_t>(random.Next() % static_cast<uint64_t>(bound)); }

inline std::string AnyText(Random& random) {
  static constexpr const char* kPieces[] = {"a", "\"", "\\", "'", "\n", "ü", "€", "😀", " ", "x/y", "{", "%"};
  std::string text;
  for (int64_t left = Below(random, 8); left > 0; --left) text += kPieces[Below(random, 12)];
  if (Below(random, 8) == 0) text += '\0';
  return text;
}

inline Key AnyKey(Random& random, KeyView::Kind kind) {
  std::string bytes;
  for (int64_t left = Below(random, 6); left > 0; --left) bytes += static_cast<char>(random.Next());
  switch (kind) {
    case KeyView::Kind::kInt: return Key(KeyView::Int(static_cast<int64_t>(random.Next() >> Below(random, 63) >> 1) * (Below(random, 2) == 0 ? 1 : -1)));
    case KeyView::Kind::kUnsigned: return Key(KeyView::Unsigned(random.Next() | uint64_t{1} << 63));
    case KeyView::Kind::kText: return Key(KeyView::Text(AnyText(random)));
    case KeyView::Kind::kBytes: return Key(KeyView::Bytes(bytes));
  }
  return Key();
}

inline ShardMeta AnyShard(Random& random, int32_t db_id, KeyView::Kind kind) {
  ShardMeta shard{.db_id = db_id, .attempt = Below(random, 5), .row_count = RandomId63(random), .db_bytes = RandomId63(random)};
  if (Below(random, 4) > 0) shard.db_url = "s3://b/" + AnyText(random);
  if (Below(random, 4) > 0) shard.min_key = AnyKey(random, kind);
  if (Below(random, 4) > 0) shard.max_key = AnyKey(random, kind);
  if (Below(random, 4) > 0) shard.checkpoint_id = RandomHex(random, 32);
  if (Below(random, 2) > 0) shard.writer_info = {.stage_id = Below(random, 9), .task_attempt_id = RandomId63(random), .attempt = Below(random, 9), .duration_ms = Below(random, 99)};
  if (Below(random, 2) > 0) shard.objects = {{"compacted/01J.sst", RandomId63(random), random.Next()}, {"shard.db", Below(random, 99), random.Next()}};
  return shard;
}

/// Keeps the rules of a manifest; every field varies.
inline ShardedManifest AnyManifest(Random& random) {
  ShardedManifest manifest;
  BuildMeta& build = manifest.build;
  build = {.run_id = RandomHex(random, 32), .created_at = UtcTime(std::chrono::microseconds(Below(random, int64_t{2} << 50))),
           .num_dbs = static_cast<int32_t>(1 + Below(random, 20)), .s3_prefix = "s3://b/" + AnyText(random), .key_col = AnyText(random),
           .db_path_template = AnyText(random), .shard_prefix = AnyText(random), .key_encoding = static_cast<KeyEncoding>(Below(random, 4))};
  const auto kind = static_cast<KeyView::Kind>(Below(random, 4));
  if (Below(random, 2) == 0) {
    build.sharding = {.strategy = ShardingStrategy::kCel, .cel_expr = "shard(" + AnyText(random) + ")", .cel_columns = {{{"a", CelType::kUint}, {"key", CelType::kString}}}};
    if (Below(random, 2) == 0) {
      std::vector<Key>& values = build.sharding.routing_values.emplace();
      for (int64_t left = Below(random, 5); left > 0; --left)
        if (const Key value = AnyKey(random, kind); std::ranges::count(values, value) == 0) values.push_back(value);
      build.num_dbs = std::max(1, static_cast<int32_t>(values.size()));
    }
  } else if (Below(random, 2) == 0) {
    build.sharding = {.strategy = ShardingStrategy::kCel, .cel_expr = "key < 1.5 ? 0 : 1", .cel_columns = {{{"key", CelType::kDouble}}}};
    manifest.range_boundaries.emplace();
    for (int i = 1; i < build.num_dbs; ++i) manifest.range_boundaries->push_back(i * 0.1);
  }
  for (int32_t db_id = 0; db_id < build.num_dbs; ++db_id)
    if (Below(random, 4) > 0) manifest.shards.push_back(AnyShard(random, db_id, kind));
  if (Below(random, 2) == 0) manifest.custom = R"({"a":[1,-2.5,null,"\u00fc"],"sqlite_sidecar":{"page_size":"auto"}})";
  if (Below(random, 2) == 0) manifest.shard_format = "sqlite";
  return manifest;
}

}  // namespace datashard::generation
