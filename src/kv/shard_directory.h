// The objects of one shard, read at random: mapped where they are files of this machine, by ranged requests elsewhere.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"
#include "kv/block_cache.h"
#include "storage/object_store.h"

namespace datashard::kv {

/// One object, opened. Callable from several threads.
class ShardFile {
 public:
  virtual ~ShardFile() = default;
  /// For messages: "s3://bucket/…/shard.db".
  virtual const std::string& uri() const = 0;
  virtual int64_t size_bytes() const = 0;
  /// All of it, where it is mapped; none elsewhere. Valid as long as this file.
  virtual std::optional<ByteView> mapped() const = 0;
  /// Each range, whole: side by side where the store is remote. Works for mapped files too (copies).
  /// Errors: kCorruption for a range that is not all there; kNotFound where the object is gone.
  virtual std::vector<Result<Bytes>> Read(std::span<const ByteRange> ranges) const = 0;
  /// Tells this file from all others in a shared BlockCache of this process.
  virtual uint64_t cache_id() const = 0;
};

/// The objects below one shard's URL. Callable from several threads. What it opened must not outlive it.
class ShardDirectory {
 public:
  virtual ~ShardDirectory() = default;
  virtual const std::string& uri() const = 0;
  /// Names below `prefix` ("manifest/"), relative to the directory, sorted.
  virtual Result<std::vector<std::string>> List(std::string_view prefix) const = 0;
  /// A small object as a whole. Errors: kNotFound.
  virtual Result<Bytes> Get(std::string_view name) const = 0;
  /// Errors: kNotFound.
  virtual Result<std::unique_ptr<ShardFile>> Open(std::string_view name) const = 0;
  /// Blocks that were fetched; shared by all shards of a reader.
  virtual BlockCache& cache() const = 0;
};

/// Files in directory `path` of this machine, mapped. `uri` is what messages call it. `cache` is borrowed.
Result<std::unique_ptr<ShardDirectory>> OpenMappedDirectory(std::string path, std::string uri, BlockCache& cache);
/// Objects of `store` whose keys start with `prefix` + '/', by ranged reads. `store` and `cache` are borrowed.
std::unique_ptr<ShardDirectory> OpenStoredDirectory(ObjectStore& store, std::string prefix, BlockCache& cache);

}  // namespace datashard::kv
