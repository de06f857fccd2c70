// A published generation of a sharded snapshot: its manifest, and the stores that keep manifests and the pointer to the current one.
// Source: docs/formats/sharded_manifest.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datashard/result.h"
#include "datashard/sharding.h"

namespace datashard {

/// UTC, in microseconds.
using UtcTime = std::chrono::sys_time<std::chrono::microseconds>;

struct ShardWriterInfo {
  std::optional<int64_t> stage_id;
  std::optional<int64_t> task_attempt_id;
  int64_t attempt = 0;
  int64_t duration_ms = 0;
  bool operator==(const ShardWriterInfo&) const = default;
};

/// One object of a shard as it was uploaded. `xxh3_64` is over all its bytes.
struct ShardObject {
  std::string name;  ///< relative to the shard's URL
  int64_t size_bytes = 0;
  uint64_t xxh3_64 = 0;
  bool operator==(const ShardObject&) const = default;
};

struct ShardMeta {
  int32_t db_id = 0;
  std::optional<std::string> db_url;  ///< directory, without trailing slash; none: an empty shard
  int64_t attempt = 0;
  int64_t row_count = 0;  ///< pairs stored: repeated keys count once
  int64_t db_bytes = 0;
  std::optional<Key> min_key, max_key;
  std::optional<std::string> checkpoint_id;  ///< changes with the shard's contents: a cache's identity
  ShardWriterInfo writer_info;
  /// In no column of the manifest but in custom.datashard; empty for shards others wrote.
  std::vector<ShardObject> objects;
  bool operator==(const ShardMeta&) const = default;
};

struct BuildMeta {
  std::string run_id;
  UtcTime created_at;
  int32_t num_dbs = 1;
  std::string s3_prefix;
  std::string key_col = "_key";
  ShardingSpec sharding;
  std::string db_path_template = "db={db_id:05d}";
  std::string shard_prefix = "shards";
  KeyEncoding key_encoding = KeyEncoding::kU64Be;
  bool operator==(const BuildMeta&) const = default;
};

struct ShardedManifest {
  BuildMeta build;
  std::vector<ShardMeta> shards;  ///< ascending by db_id; shards without pairs may be missing
  std::string custom = "{}";      ///< JSON object: the user's fields and others', without our own `datashard`
  /// Of a range-sharded snapshot; in custom.datashard.
  std::optional<std::vector<RangeBoundary>> range_boundaries;
  /// "sqlite" or "slatedb", in custom.datashard; none where others wrote it.
  std::optional<std::string> shard_format;
  bool operator==(const ShardedManifest&) const = default;
};

/// One SQLite file. Errors: kInvalidArgument: a manifest that breaks a rule of the format.
Result<std::string> EncodeManifest(const ShardedManifest& manifest);
/// Errors: kCorruption: not a manifest, or a rule of the format is broken (says which); kUnsupported: another format version.
Result<ShardedManifest> DecodeManifest(std::string_view bytes);

struct ManifestRef {
  std::string ref;  ///< what LoadManifest takes: an URL, or a run id in a database
  std::string run_id;
  UtcTime published_at;
  bool operator==(const ManifestRef&) const = default;
};

/// Looks at what is current and says whether another may take its place: an error ends the publication.
using CurrentGuard = std::function<Status(const std::optional<ManifestRef>& current)>;

/// Callable from several threads. Errors of all calls: kUnavailable, kDenied; kCorruption for a damaged pointer.
class ManifestStore {
 public:
  virtual ~ManifestStore() = default;
  /// Phase one: keeps the manifest under a ref of its own, which is returned. Not current yet.
  virtual Result<std::string> Store(const ShardedManifest& manifest) = 0;
  /// Phase two: `ref` becomes current, by compare-and-swap where the store has it: of publishers at the same time each replaces a pointer
  /// it has seen, and `guard` is asked again before each try. Errors: kNotFound: no such manifest; what `guard` answers;
  /// kCommitUnknown: it may have become current.
  virtual Status SetCurrent(const std::string& ref, const CurrentGuard& guard = nullptr) = 0;
  /// None where nothing was published yet.
  virtual Result<std::optional<ManifestRef>> LoadCurrent() = 0;
  /// Errors: kNotFound; as DecodeManifest.
  virtual Result<ShardedManifest> LoadManifest(const std::string& ref) = 0;
  /// The newest first, at most `limit`.
  virtual Result<std::vector<ManifestRef>> ListManifests(int64_t limit) = 0;
};

/// What to say to reach a bucket; an empty field says nothing, and the environment is asked: S3_*, then AWS_*, then DATASHARD_S3_*.
struct SnapshotS3Options {
  std::string access_key_id, secret_access_key, session_token;
  std::string endpoint_url, region_name;
  std::string addressing_style;  ///< "virtual", "path" or "auto"
  std::optional<bool> verify_ssl;
  std::string ca_file;  ///< for verify_ssl
  std::optional<double> connect_timeout_s, read_timeout_s;
  std::optional<int> max_attempts;  ///< tries in all
  bool operator==(const SnapshotS3Options&) const = default;
};

/// `prefix`: s3://bucket/path, file:///directory or a plain path, of the snapshot. Keeps `<prefix>/manifests/…/<manifest_name>` and
/// `<prefix>/<current_key>`. Nothing is asked or made here. Errors: kInvalidArgument.
Result<std::unique_ptr<ManifestStore>> OpenManifestStore(const std::string& prefix, const SnapshotS3Options& options = {},
                                                         const std::string& manifest_name = "manifest",
                                                         const std::string& current_key = "_CURRENT");
/// In this process only; refs are "mem://manifests/run_id=<id>/manifest".
std::unique_ptr<ManifestStore> NewMemoryManifestStore();
/// PostgreSQL, by libpq's connection string. Tables are made where `ensure_tables`.
struct PostgresManifestOptions {
  std::string table_name = "shardyfusion_manifests";
  std::string pointer_table_name = "shardyfusion_pointer";
  bool ensure_tables = true;
};
Result<std::unique_ptr<ManifestStore>> OpenPostgresManifestStore(const std::string& dsn, PostgresManifestOptions options = {});

/// What clean-up removed, or would remove.
struct CleanupAction {
  enum class Kind { kStaleAttempt, kOldRun };
  Kind kind = Kind::kStaleAttempt;
  std::string prefix_url;
  std::optional<int32_t> db_id;
  std::string run_id;
  int64_t objects_deleted = 0;
};

struct CleanupOptions {
  bool dry_run = false;
  bool include_old_runs = false;
  std::optional<std::chrono::seconds> older_than;  ///< of runs, by their newest object; implies include_old_runs
  std::optional<int64_t> keep_last;                ///< published runs; implies include_old_runs
  int max_retries = 3;
};

/// Attempts of the current run that lost, and, where asked for, runs that nobody needs. Never removed: the current run; a run whose record
/// in the registry is running with a live lease; a run with an object younger than an hour; with any doubt, nothing.
/// Errors: kNotFound: no current manifest.
Result<std::vector<CleanupAction>> CleanUpSnapshot(const std::string& prefix, ManifestStore& manifests, const CleanupOptions& options,
                                                   const SnapshotS3Options& s3 = {});

}  // namespace datashard
