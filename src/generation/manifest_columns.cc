#include "generation/manifest_columns.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "generation/manifest_json.h"
#include "generation/manifest_rules.h"
#include "generation/utc_text.h"

namespace datashard::generation {
namespace {

constexpr std::string_view kOwnName = "datashard";

Result<std::string> CustomText(const ShardedManifest& manifest, NulCharacters nul) {
  Result<Json> custom = ParseObject(manifest.custom, "custom");
  if (!custom.ok()) return InvalidArgument("{}", custom.error().message());
  custom->erase(kOwnName);
  if (Json own = OwnFields(manifest, nul); !own.is_null()) (*custom)[kOwnName] = std::move(own);
  return JsonText(*custom);
}

std::optional<std::string> KeyColumn(const std::optional<Key>& key, NulCharacters nul) {
  if (!key || (nul == NulCharacters::kCannot && key->bytes.find('\0') != std::string::npos)) return std::nullopt;
  return KeyText(*key);
}

ShardRow RowOf(const ShardMeta& shard, NulCharacters nul) {
  return {.db_id = shard.db_id,
          .db_url = shard.db_url,
          .attempt = shard.attempt,
          .row_count = shard.row_count,
          .db_bytes = shard.db_bytes,
          .min_key = KeyColumn(shard.min_key, nul),
          .max_key = KeyColumn(shard.max_key, nul),
          .checkpoint_id = shard.checkpoint_id,
          .writer_info = WriterInfoText(shard.writer_info)};
}

Result<int32_t> SmallOf(int64_t number, std::string_view what) {
  if (number >= 0 && number <= kNumDbsMax) return static_cast<int32_t>(number);
  return Corruption("{} is {}; expected 0 to {}", what, number, kNumDbsMax);
}

Result<ShardMeta> ShardOf(const ShardRow& row) {
  ShardMeta shard{.db_url = row.db_url,
                  .attempt = row.attempt,
                  .row_count = row.row_count,
                  .db_bytes = row.db_bytes,
                  .checkpoint_id = row.checkpoint_id};
  DS_ASSIGN_OR_RETURN(shard.db_id, SmallOf(row.db_id, "db_id"));
  if (row.min_key) {
    DS_ASSIGN_OR_RETURN(shard.min_key, ReadKey(*row.min_key, "min_key"));
  }
  if (row.max_key) {
    DS_ASSIGN_OR_RETURN(shard.max_key, ReadKey(*row.max_key, "max_key"));
  }
  DS_ASSIGN_OR_RETURN(shard.writer_info, ReadWriterInfo(row.writer_info));
  return shard;
}

Result<BuildMeta> BuildOf(const BuildRow& row) {
  if (row.format_version != kFormatVersion)
    return Unsupported("format_version is {}; this release reads version {}", row.format_version, kFormatVersion);
  BuildMeta build{.run_id = row.run_id,
                  .s3_prefix = row.s3_prefix,
                  .key_col = row.key_col,
                  .db_path_template = row.db_path_template,
                  .shard_prefix = row.shard_prefix};
  const std::optional<UtcTime> created = ReadUtcText(row.created_at);
  if (!created) return Corruption("created_at is '{}'; expected a time like 2026-11-21T07:38:13.884350Z", row.created_at);
  build.created_at = *created;
  DS_ASSIGN_OR_RETURN(build.num_dbs, SmallOf(row.num_dbs, "num_dbs"));
  const Result<KeyEncoding> encoding = KeyEncodingOf(row.key_encoding);
  if (!encoding.ok()) return Corruption("key_encoding: {}", encoding.error().message());
  build.key_encoding = *encoding;
  DS_ASSIGN_OR_RETURN(build.sharding, ReadSharding(row.sharding));
  return build;
}

Status ReadCustom(const std::string& text, ShardedManifest& manifest) {
  DS_ASSIGN_OR_RETURN(Json custom, ParseObject(text, "custom"));
  if (const Json* const own = Member(custom, kOwnName)) DS_RETURN_IF_ERROR(ReadOwnFields(*own, manifest));
  custom.erase(kOwnName);
  manifest.custom = JsonText(custom);
  return {};
}

}  // namespace

Result<ManifestRows> RowsOf(const ShardedManifest& manifest, NulCharacters nul) {
  DS_RETURN_IF_ERROR(CheckManifest(manifest));
  const BuildMeta& build = manifest.build;
  ManifestRows rows{.build = {.run_id = build.run_id,
                              .created_at = UtcText(build.created_at),
                              .num_dbs = build.num_dbs,
                              .s3_prefix = build.s3_prefix,
                              .key_col = build.key_col,
                              .sharding = ShardingText(build.sharding),
                              .db_path_template = build.db_path_template,
                              .shard_prefix = build.shard_prefix,
                              .key_encoding = std::string(ToString(build.key_encoding))}};
  DS_ASSIGN_OR_RETURN(rows.build.custom, CustomText(manifest, nul));
  for (const ShardMeta& shard : manifest.shards) rows.shards.push_back(RowOf(shard, nul));
  return rows;
}

Result<ShardedManifest> ManifestOf(const ManifestRows& rows) {
  ShardedManifest manifest;
  DS_ASSIGN_OR_RETURN(manifest.build, BuildOf(rows.build));
  for (const ShardRow& row : rows.shards) {
    DS_ASSIGN_OR_RETURN(ShardMeta shard, ShardOf(row));
    manifest.shards.push_back(std::move(shard));
  }
  std::ranges::sort(manifest.shards, {}, &ShardMeta::db_id);
  DS_RETURN_IF_ERROR(ReadCustom(rows.build.custom, manifest));
  if (const Status rules = CheckManifest(manifest); !rules.ok()) return Corruption("{}", rules.error().message());
  return manifest;
}

}  // namespace datashard::generation
