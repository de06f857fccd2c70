// Building and publishing a sharded snapshot: rows in any order come in, one generation comes out, whole or not at all.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "datashard/arrow_c.h"
#include "datashard/result.h"
#include "datashard/sharded_manifest.h"
#include "datashard/sharding.h"

namespace datashard {

enum class ShardFormat { kSlateDb, kSqlite };

struct ShardFormatOptions {
  ShardFormat format = ShardFormat::kSlateDb;
  int32_t sqlite_page_size = 4096;  ///< 0: chosen from the sizes of the values
  bool sqlite_sidecar = false;
  bool sqlite_page_checksums = true;
  std::string slatedb_compression = "none";  ///< none, snappy, zlib, lz4, zstd
};

/// How rows find their shard. Exactly one of num_dbs (hash), boundaries, and cel.
struct ShardingRule {
  std::optional<int32_t> num_dbs;
  std::optional<std::vector<RangeBoundary>> boundaries;  ///< shard = number of boundaries <= key
  struct Cel {
    std::string expr;
    std::vector<std::pair<std::string, CelType>> columns;
    std::optional<std::vector<Key>> routing_values;
    bool infer_routing_values = false;  ///< the sorted distinct results; rows are kept until all are known
  };
  std::optional<Cel> cel;
};

struct ShardRetry {
  int max_retries = 3;
  std::chrono::milliseconds initial_backoff{1000};
  double backoff_multiplier = 2.0;
};

struct ShardedWriteSettings {
  std::string prefix;  ///< s3://bucket/path, file:///directory, or a plain path
  SnapshotS3Options s3;
  ShardingRule sharding;
  KeyEncoding key_encoding = KeyEncoding::kU64Be;
  ShardFormatOptions format;
  std::optional<std::string> run_id;  ///< none: 32 random hex digits
  std::string key_col = "_key";
  std::string db_path_template = "db={db_id:05d}";
  std::string shard_prefix = "shards";
  std::string run_registry_prefix = "runs";
  std::string local_root;  ///< spilled rows and large shards lie here meanwhile; none: the system's temporary directory
  std::string writer_type = "python";
  std::string custom = "{}";  ///< JSON object of the user's own fields
  int64_t batch_size = 50'000;  ///< pairs between two looks at the rate limit
  std::optional<double> writes_per_second_max, write_bytes_per_second_max;  ///< of the whole writer
  std::optional<ShardRetry> shard_retry;  ///< none: an error of one shard ends the write
  int64_t memory_bytes_max = int64_t{512} << 20;  ///< of all the write holds; rows beyond their share are sorted and spilled
  int threads = 0;  ///< that sort, build and upload; 0: two for each core, since they wait for storage
};

struct BuildDurations {
  int64_t sharding_ms = 0, write_ms = 0, manifest_ms = 0, total_ms = 0;
};
struct BuildResult {
  std::string run_id;
  std::vector<ShardMeta> winners;  ///< ascending by db_id; shards without pairs are not among them
  std::string manifest_ref;
  BuildDurations durations;
  int64_t num_attempt_results = 0;
  int64_t rows_written = 0;  ///< pairs stored
  std::optional<std::string> run_record_ref;
};

/// What happened, in the words of docs/sharded-observability.md ("write.shard.completed"), with its numbers, and with the URL or the error
/// that it is about, if any. Called from several threads, never two at a time.
using WriteEventSink =
    std::function<void(std::string_view event, std::span<const std::pair<std::string_view, double>> numbers, std::string_view about)>;

/// A shard database that somebody else's code builds. One thread at a time; calls in the order WriteBatch*, Flush, Seal, DbBytes, Close.
class ShardAdapter {
 public:
  virtual ~ShardAdapter() = default;
  /// Ascending keys, no repeats.
  virtual Status WriteBatch(std::span<const std::pair<std::string_view, std::string_view>> pairs) = 0;
  virtual Status Flush() = 0;
  virtual Status Seal() = 0;
  virtual Result<int64_t> DbBytes() = 0;
  /// Uploads, where `sealed`; otherwise the attempt failed and leaves nothing.
  virtual Status Close(bool sealed) = 0;
};
using ShardAdapterFactory = std::function<Result<std::unique_ptr<ShardAdapter>>(const std::string& db_url, const std::string& local_dir)>;

/// Who runs, so that clean-up leaves unfinished runs alone. Callable from several threads.
struct RunRecord {
  std::string run_id, writer_type;
  enum class Status { kRunning, kSucceeded, kFailed } status = Status::kRunning;
  UtcTime started_at, updated_at, lease_expires_at;
  std::string s3_prefix, shard_prefix, db_path_template;
  std::optional<std::string> manifest_ref, error_type, error_message;
};
class RunRegistry {
 public:
  virtual ~RunRegistry() = default;
  virtual Result<std::string> Create(const RunRecord& record) = 0;
  virtual Status Update(const std::string& ref, const RunRecord& record) = 0;
  virtual Result<RunRecord> Load(const std::string& ref) = 0;
};
Result<std::unique_ptr<RunRegistry>> OpenRunRegistry(const std::string& prefix, const std::string& run_registry_prefix,
                                                     const SnapshotS3Options& s3 = {});

/// Borrowed by a writer; a null takes our own.
struct ShardedWriteParts {
  ManifestStore* manifests = nullptr;
  RunRegistry* registry = nullptr;
  ShardAdapterFactory adapters;
  WriteEventSink events;
  CurrentGuard guard;
  /// Stands in for an expression that is not compiled here: gives the routing value of each row from its columns. Called by one thread.
  std::function<Result<Key>(std::span<const CelValue> columns)> evaluate_cel;
};

/// Columns of Arrow rows. Keys: integers of any width, utf8, binary (also large, view and dictionary), no nulls.
struct ArrowKeyValue {
  std::string key_col;
  std::optional<std::string> value_col;  ///< binary or utf8 as is, null as no bytes
  /// Instead: these columns (none: all) as a JSON object with sorted keys, ASCII.
  std::optional<std::vector<std::string>> json_cols;
};

/// One write. Add and AddRows by one thread at a time. Destroyed without Finish, it removes what it made and marks its run as failed.
class ShardedWriter {
 public:
  /// Checks the settings, makes the run's record, starts the heartbeat. Errors: kInvalidArgument, kUnsupported (a CEL expression that is
  /// not compiled here, without parts.evaluate_cel).
  static Result<std::unique_ptr<ShardedWriter>> Start(ShardedWriteSettings settings, ShardedWriteParts parts = {});
  virtual ~ShardedWriter() = default;

  /// One pair; of equal keys the last one counts. `columns`: the values of the CEL rule's columns in its order; none where they are only the key.
  /// Errors: kInvalidArgument: a key that cannot be encoded or routed; kUnavailable: no room to spill.
  virtual Status Add(const KeyView& key, std::string_view value, std::span<const CelValue> columns = {}) = 0;
  /// All rows of a stream of record batches; the CEL rule's columns are taken from it by name ("key" may be the key column).
  virtual Status AddRows(ArrowStream rows, const ArrowKeyValue& columns) = 0;
  virtual int64_t rows_added() const = 0;
  /// Sorts, builds and uploads every shard, publishes the manifest and moves the pointer, then removes attempts that lost. Once.
  /// Errors: nothing was published and what was uploaded is removed, except: kCommitUnknown: it may have been published;
  /// kConflict: the guard refused, the manifest stays listed and is not current.
  virtual Result<BuildResult> Finish() = 0;
  virtual const std::string& run_id() const = 0;
};

}  // namespace datashard
