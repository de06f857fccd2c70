// One attempt at one shard: pairs in ascending order become a database below a directory of its own. Knows nothing of the rest of its run, so that
// another process can build one; what becomes of the results of all attempts is publish_run.h's affair.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/outside.h"
#include "base/rate_limit.h"
#include "datashard/sharded_writer.h"
#include "generation/snapshot_place.h"
#include "kv/database.h"
#include "kv/database_writer.h"
#include "shardwrite/write_events.h"

namespace datashard::shardwrite {

/// Plain values that another process can be handed.
struct ShardBuildSettings {
  std::string run_id;
  std::string shard_prefix = "shards";
  std::string db_path_template = "db={db_id:05d}";
  int32_t db_id = 0;
  int64_t attempt = 0;
  std::optional<int64_t> stage_id, task_attempt_id;
  KeyEncoding key_encoding = KeyEncoding::kU64Be;
  bool raw_keys_are_text = false;  ///< with kRaw: the least and the greatest key are told as text and not as bytes
  ShardFormatOptions format;       ///< its page size is not 0: see PageSizeSample
  int64_t batch_size = 50'000;
  std::string local_directory;  ///< of the run: large databases, until they are uploaded, and what an adapter keeps
  int64_t output_bytes_max = int64_t{64} << 20;  ///< of memory for a database, before it becomes a file there
};

/// Of a whole writer.
struct WriteLimits {
  std::unique_ptr<RateLimit> pairs, bytes;  ///< per second; null: none
};

struct ShardBuildParts {
  generation::SnapshotPlace& place;
  Outside outside;
  WriteEvents& events;
  WriteLimits& limits;
  const ShardAdapterFactory* adapters = nullptr;  ///< null or empty: databases of our own
};

/// An empty database of a format, its page size said. Errors: kInvalidArgument: no such compression.
Result<std::unique_ptr<kv::DatabaseWriter>> NewDatabase(const ShardFormatOptions& format, kv::OutputFactory outputs, const Outside& outside);

/// The directory of the attempt, below the snapshot: "shards/run_id=0f3c/db=00003/attempt=00". Errors: kInvalidArgument: the template.
Result<std::string> AttemptKey(const ShardBuildSettings& settings);

/// Builds, uploads, makes durable. The answer has no db_url where there are no pairs. Errors: what the store, the adapter and the format answer; then
/// the attempt has left nothing, except where removing failed, which the log says, or where the directory was somebody else's (kAlreadyExists).
Result<ShardMeta> BuildShardAttempt(const ShardBuildSettings& settings, kv::Cursor& pairs, const ShardBuildParts& parts);

/// Sizes of some pairs out of many, for the page size of SQLite shards.
class PageSizeSample {
 public:
  /// `random` is asked once: what the kernel gives costs a system call.
  void Add(int64_t key_bytes, int64_t value_bytes, Random& random);
  /// By the 95th percentile of the values and the longest key.
  Result<int32_t> Recommend() const;

 private:
  int64_t seen_ = 0;
  int64_t max_key_bytes_ = 0;
  std::vector<int64_t> value_bytes_;
  std::unique_ptr<Random> places_;
};

}  // namespace datashard::shardwrite
