#include "generation/postgres_tables.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "generation/manifest_json.h"

namespace datashard::generation {
namespace {

constexpr size_t kNameMax = 48;  // with what is put behind it, PostgreSQL's 63
constexpr const char* kUtc = R"('YYYY-MM-DD"T"HH24:MI:SS.US"Z"')";

Status CheckName(std::string_view name, std::string_view what) {
  const auto is_plain = [](std::string_view part) {
    const bool starts_well = !part.empty() && !(part.front() >= '0' && part.front() <= '9') && part.size() <= kNameMax;
    return starts_well && part.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string_view::npos;
  };
  const size_t dot = name.find('.');
  const bool plain = dot == std::string_view::npos ? is_plain(name) : is_plain(name.substr(0, dot)) && is_plain(name.substr(dot + 1));
  if (plain) return {};
  return InvalidArgument("{} is '{}'; expected letters, digits and '_', at most {} of them, with or without a schema before a '.'", what,
                         name, kNameMax);
}

Json Nullable(const std::optional<std::string>& json_text) {
  return json_text ? Json::parse(*json_text, /*cb=*/nullptr, /*allow_exceptions=*/false) : Json(nullptr);
}

/// All rows in one parameter: one round trip for any number of shards.
std::string ShardsAsJson(const std::vector<ShardRow>& shards) {
  Json rows = Json::array();
  for (const ShardRow& shard : shards) {
    Json row = {{"db_id", shard.db_id}, {"attempt", shard.attempt}, {"row_count", shard.row_count}, {"db_bytes", shard.db_bytes},
                {"writer_info", Nullable(shard.writer_info)}};
    if (shard.db_url) row["db_url"] = *shard.db_url;
    if (shard.checkpoint_id) row["checkpoint_id"] = *shard.checkpoint_id;
    if (shard.min_key) row["min_key"] = Nullable(shard.min_key);
    if (shard.max_key) row["max_key"] = Nullable(shard.max_key);
    rows.push_back(std::move(row));
  }
  return JsonText(rows);
}

Result<BuildRow> BuildAt(const SqlRows& rows) {
  BuildRow build;
  DS_ASSIGN_OR_RETURN(build.run_id, rows.TextAt(0, 0));
  DS_ASSIGN_OR_RETURN(build.created_at, rows.TextAt(0, 1));
  DS_ASSIGN_OR_RETURN(build.num_dbs, rows.IntegerAt(0, 2));
  DS_ASSIGN_OR_RETURN(build.s3_prefix, rows.TextAt(0, 3));
  DS_ASSIGN_OR_RETURN(build.key_col, rows.TextAt(0, 4));
  DS_ASSIGN_OR_RETURN(build.sharding, rows.TextAt(0, 5));
  DS_ASSIGN_OR_RETURN(build.db_path_template, rows.TextAt(0, 6));
  DS_ASSIGN_OR_RETURN(build.shard_prefix, rows.TextAt(0, 7));
  DS_ASSIGN_OR_RETURN(build.key_encoding, rows.TextAt(0, 8));
  build.custom = rows.At(0, 9).value_or("{}");
  DS_ASSIGN_OR_RETURN(build.format_version, rows.IntegerAt(0, 10));
  return build;
}

Result<ShardRow> ShardAt(const SqlRows& rows, int i) {
  ShardRow shard;
  DS_ASSIGN_OR_RETURN(shard.db_id, rows.IntegerAt(i, 0));
  shard.db_url = rows.At(i, 1);
  DS_ASSIGN_OR_RETURN(shard.attempt, rows.IntegerAt(i, 2));
  DS_ASSIGN_OR_RETURN(shard.row_count, rows.IntegerAt(i, 3));
  DS_ASSIGN_OR_RETURN(shard.db_bytes, rows.IntegerAt(i, 4));
  shard.min_key = rows.At(i, 5);
  shard.max_key = rows.At(i, 6);
  shard.checkpoint_id = rows.At(i, 7);
  shard.writer_info = rows.At(i, 8).value_or("{}");
  return shard;
}

Status MakeTables(PostgresConnection& connection, const PostgresTables& tables) {
  const std::string statements[] = {
      fmt::format("CREATE TABLE IF NOT EXISTS {} (run_id TEXT PRIMARY KEY, created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), num_dbs INTEGER NOT NULL, "
                  "s3_prefix TEXT NOT NULL, key_col TEXT NOT NULL DEFAULT '_key', db_path_template TEXT NOT NULL DEFAULT 'db={{db_id:05d}}', "
                  "shard_prefix TEXT NOT NULL DEFAULT 'shards', key_encoding TEXT NOT NULL DEFAULT 'u64be', sharding JSONB NOT NULL, "
                  "custom JSONB NOT NULL DEFAULT '{{}}', format_version INTEGER NOT NULL DEFAULT 4)", tables.builds),
      fmt::format("CREATE TABLE IF NOT EXISTS {} (run_id TEXT NOT NULL REFERENCES {}(run_id), db_id INTEGER NOT NULL, db_url TEXT, "
                  "attempt INTEGER NOT NULL, row_count BIGINT NOT NULL, db_bytes BIGINT NOT NULL, checkpoint_id TEXT, min_key JSONB, max_key JSONB, "
                  "writer_info JSONB NOT NULL DEFAULT '{{}}', PRIMARY KEY (run_id, db_id))", tables.shards, tables.builds),
      fmt::format("CREATE TABLE IF NOT EXISTS {} (updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), manifest_ref TEXT NOT NULL, "
                  "seq BIGSERIAL)", tables.pointer),
      fmt::format("CREATE INDEX IF NOT EXISTS {} ON {} (updated_at DESC)", tables.pointer_index, tables.pointer),
  };
  DS_RETURN_IF_ERROR(connection.Run("BEGIN"));
  // Of two that make a table at the same time one would fail.
  DS_RETURN_IF_ERROR(connection.Run("SELECT pg_advisory_xact_lock(hashtext($1))", {tables.builds}));
  for (const std::string& statement : statements) DS_RETURN_IF_ERROR(connection.Run(statement));
  return connection.Commit();
}

Result<bool> HasColumn(PostgresConnection& connection, const std::string& table, const char* column) {
  const Result<SqlRows> found = connection.Run(fmt::format("SELECT {} FROM {} LIMIT 0", column, table));
  if (!found.ok() && found.kind() == ErrorKind::kNotFound) return false;
  if (!found.ok()) return found.error();
  return true;
}

/// Another's table may lack a column of ours, and its owner may refuse it.
Result<bool> EnsureColumn(PostgresConnection& connection, const std::string& table, const char* column, const char* type, bool ensure) {
  DS_ASSIGN_OR_RETURN(const bool there, HasColumn(connection, table, column));
  if (there || !ensure) return there;
  return connection.Run(fmt::format("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {}", table, column, type)).ok();
}

}  // namespace

Result<PostgresTables> TablesOf(const PostgresManifestOptions& options) {
  DS_RETURN_IF_ERROR(CheckName(options.table_name, "table_name"));
  DS_RETURN_IF_ERROR(CheckName(options.pointer_table_name, "pointer_table_name"));
  const std::string& pointer = options.pointer_table_name;
  const std::string in_schema = pointer.substr(pointer.find('.') == std::string::npos ? 0 : pointer.find('.') + 1);
  return PostgresTables{.builds = options.table_name + "_builds", .shards = options.table_name + "_shards", .pointer = pointer,
                        .pointer_index = "idx_" + in_schema + "_updated_at"};
}

Status EnsureTables(PostgresConnection& connection, PostgresTables& tables, bool ensure) {
  if (ensure) DS_RETURN_IF_ERROR(MakeTables(connection, tables));
  DS_ASSIGN_OR_RETURN(tables.has_sequence, EnsureColumn(connection, tables.pointer, "seq", "BIGSERIAL", ensure));
  DS_ASSIGN_OR_RETURN(tables.has_version, EnsureColumn(connection, tables.builds, "format_version", "INTEGER NOT NULL DEFAULT 4", ensure));
  return {};
}

Status WriteManifest(PostgresConnection& connection, const PostgresTables& tables, const ManifestRows& rows) {
  const BuildRow& build = rows.build;
  DS_RETURN_IF_ERROR(connection.Run(
      fmt::format("INSERT INTO {} (run_id, created_at, num_dbs, s3_prefix, key_col, sharding, db_path_template, shard_prefix, key_encoding, custom) "
                  "VALUES ($1, $2::timestamptz, $3::integer, $4, $5, $6::jsonb, $7, $8, $9, $10::jsonb) ON CONFLICT (run_id) DO UPDATE SET "
                  "created_at = excluded.created_at, num_dbs = excluded.num_dbs, s3_prefix = excluded.s3_prefix, key_col = excluded.key_col, "
                  "sharding = excluded.sharding, db_path_template = excluded.db_path_template, shard_prefix = excluded.shard_prefix, "
                  "key_encoding = excluded.key_encoding, custom = excluded.custom", tables.builds),
      {build.run_id, build.created_at, std::to_string(build.num_dbs), build.s3_prefix, build.key_col, build.sharding, build.db_path_template,
       build.shard_prefix, build.key_encoding, build.custom}));
  DS_RETURN_IF_ERROR(connection.Run(fmt::format("DELETE FROM {} WHERE run_id = $1", tables.shards), {build.run_id}));
  DS_RETURN_IF_ERROR(connection.Run(
      fmt::format("INSERT INTO {} (run_id, db_id, db_url, attempt, row_count, db_bytes, checkpoint_id, min_key, max_key, writer_info) "
                  "SELECT $1, db_id, db_url, attempt, row_count, db_bytes, checkpoint_id, min_key, max_key, writer_info FROM "
                  "jsonb_to_recordset($2::jsonb) AS s(db_id integer, db_url text, attempt integer, row_count bigint, db_bytes bigint, "
                  "checkpoint_id text, min_key jsonb, max_key jsonb, writer_info jsonb)", tables.shards),
      {build.run_id, ShardsAsJson(rows.shards)}));
  return {};
}

Result<ManifestRows> ReadManifest(PostgresConnection& connection, const PostgresTables& tables, const std::string& run_id) {
  const std::string read_build =
      fmt::format("SELECT run_id, to_char(created_at AT TIME ZONE 'UTC', {}), num_dbs, s3_prefix, key_col, sharding::text, "
                  "db_path_template, shard_prefix, key_encoding, custom::text, {} FROM {} WHERE run_id = $1", kUtc,
                  tables.has_version ? "format_version" : "4", tables.builds);
  DS_ASSIGN_OR_RETURN(const SqlRows build, connection.Run(read_build, {run_id}));
  if (build.size() == 0) return NotFound("there is no manifest of run {} in {}", run_id, tables.builds);
  ManifestRows rows;
  DS_ASSIGN_OR_RETURN(rows.build, BuildAt(build));
  DS_ASSIGN_OR_RETURN(const SqlRows shards,
                      connection.Run(fmt::format("SELECT db_id, db_url, attempt, row_count, db_bytes, min_key::text, max_key::text, checkpoint_id, "
                                                 "writer_info::text FROM {} WHERE run_id = $1 ORDER BY db_id", tables.shards), {run_id}));
  for (int i = 0; i < shards.size(); ++i) {
    DS_ASSIGN_OR_RETURN(ShardRow shard, ShardAt(shards, i));
    rows.shards.push_back(std::move(shard));
  }
  return rows;
}

}  // namespace datashard::generation
