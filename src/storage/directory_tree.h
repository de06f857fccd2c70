// Directories below a root: finding, making and syncing them, so that an object's whole path is durable with it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "storage/beneath.h"

namespace datashard {

/// An open directory.
struct Directory {
  std::string key;  // below the root; "" is the root
  Fd fd;
  /// Device, inode and time of birth in nanoseconds: none where the file system does not know the time of birth.
  std::optional<std::tuple<dev_t, uint64_t, int64_t>> identity;
  /// Made within the last minutes (or unknown): its own name may not be durable yet.
  bool young = true;
};
using DirectoryPtr = std::shared_ptr<Directory>;

/// Callable from several threads. Descriptors are not kept between calls: a directory that was moved away and replaced
/// would go on receiving files nobody finds, and the check against that costs as much as opening (2 us).
class DirectoryTree {
 public:
  /// \param made_root  the root or directories above it may have been made just now: the first SyncParents makes their
  ///                   names durable too. Later than the files' own syncs, which on ext4 then carry it along.
  DirectoryTree(const Beneath& beneath, bool made_root) : beneath_(beneath), ancestors_pending_(made_root) {}

  /// Errors: kNotFound, kInvalidArgument (a file in the way, or a link that leads out or nowhere), kDenied.
  Result<DirectoryPtr> Find(std::string_view key) const;
  /// Makes it and its parents as needed; not durable before SyncParents.
  Result<DirectoryPtr> FindOrMake(std::string_view key) const;

  /// Makes the names of `directories` durable, up to the root: each directory above that holds a name which is young and
  /// was not synced by this object before is synced once. The directories themselves are not synced.
  Status SyncParents(const std::vector<DirectoryPtr>& directories);

 private:
  bool KnownDurable(const Directory& directory);
  void RememberDurable(const Directory& directory);

  const Beneath& beneath_;
  std::atomic<bool> ancestors_pending_;
  // Only an optimisation: where the lock is not free at once (a fork child may inherit it locked), nothing is known.
  std::mutex mutex_;
  std::set<std::tuple<dev_t, uint64_t, int64_t>> durable_;
};

/// When `fd` was made: none where the file system does not say.
std::optional<Instant> BirthTime(int fd);
/// May a name made at `birth` be missing after a power loss? A name older than some minutes was written back by the
/// kernel long ago (every 5 to 30 s); one of a process that was stopped between making and syncing it was too.
bool IsYoung(std::optional<Instant> birth);

}  // namespace datashard
