// A manifest as the columns of its two tables: what its SQLite file and a database's tables have in common.
// Source: docs/formats/sharded_manifest.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "datashard/sharded_manifest.h"
#include "generation/own_fields.h"

namespace datashard::generation {

inline constexpr int64_t kFormatVersion = 4;

struct BuildRow {
  std::string run_id, created_at;
  int64_t num_dbs = 0;
  std::string s3_prefix, key_col, sharding, db_path_template, shard_prefix;
  int64_t format_version = kFormatVersion;
  std::string key_encoding, custom;
};
struct ShardRow {
  int64_t db_id = 0;
  std::optional<std::string> db_url;
  int64_t attempt = 0, row_count = 0, db_bytes = 0;
  std::optional<std::string> min_key, max_key, checkpoint_id;
  std::string writer_info;
};
struct ManifestRows {
  BuildRow build;
  std::vector<ShardRow> shards;  ///< in any order, where they were read
};

/// Errors: kInvalidArgument: which rule is broken.
Result<ManifestRows> RowsOf(const ShardedManifest& manifest, NulCharacters nul = NulCharacters::kKept);
/// Errors: kCorruption: which rule is broken; kUnsupported: another format version.
Result<ShardedManifest> ManifestOf(const ManifestRows& rows);

}  // namespace datashard::generation
