// SQLite shards of a bucket as whole files on this machine, below `<root>/shard=NNNNN/`: `shard.db`, `shard.identity.json` (which shard
// it is) and `.cache.lock`. Several processes, and readers of shardyfusion, may share a root.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "datashard/sharded_manifest.h"
#include "storage/object_store.h"
#include "storage/posix_file.h"

namespace datashard::shardread {

/// One file that was copied, locked. Not evicted while this lives.
class LocalCopy {
 public:
  LocalCopy(std::string directory, bool was_here, Fd changing, Fd used)
      : directory_(std::move(directory)), was_here_(was_here), changing_(std::move(changing)), used_(std::move(used)) {}
  const std::string& directory() const { return directory_; }
  /// Was it not copied now?
  bool was_here() const { return was_here_; }
  /// Until this is called no process puts another shard's file in its place: call it once the file is open.
  void LetOthersChange() { (void)changing_.Close(); }

 private:
  std::string directory_;
  bool was_here_;
  Fd changing_;
  Fd used_;
};

/// Callable from several threads and processes.
class LocalCopies {
 public:
  /// \param bytes_max  of all `shard.db` below `root`; 0: no bound. Files that are open in some process are never removed, so that
  /// these alone may be more.
  LocalCopies(std::string root, int64_t bytes_max, Clock& clock) : root_(std::move(root)), bytes_max_(bytes_max), clock_(clock) {}

  enum class Reuse { kYes, kNo };
  /// The object `key` of `store` as a file; copied where the one that is here has another identity or size, or with kNo. With
  /// `verify` the manifest's checksum is compared: before a file gets its name, and again when one that is here is opened. Where that one is
  /// damaged it is copied anew.
  /// Errors: kCorruption: not what the manifest says; those of the store; kDenied, kUnavailable of the disk.
  Result<LocalCopy> Obtain(const ShardMeta& shard, ObjectStore& store, const std::string& key, bool verify, Reuse reuse) const;

 private:
  Status Download(const ShardMeta& shard, ObjectStore& store, const std::string& key, bool verify, const std::string& directory) const;
  void MakeRoom(int64_t wanted_bytes, const std::string& directory) const;
  Result<Fd> LockForChange(const std::string& directory) const;

  const std::string root_;
  const int64_t bytes_max_;
  Clock& clock_;
};

}  // namespace datashard::shardread
