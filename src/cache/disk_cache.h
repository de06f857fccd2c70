// Bodies by name in a directory that processes share. What is found is what was added under exactly that name, or it is not found:
// every entry carries its name and a SHA-256. Nothing here fails a caller. Bytes: docs/formats/cache_entry.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/outside.h"
#include "cache/cache_settings.h"
#include "datashard/result.h"
#include "storage/object_store.h"

namespace datashard::cache {

/// Callable from several threads, processes, and after a fork: entries appear whole, and there is no state but the files.
class DiskCache {
 public:
  /// The directory `datashard-cache-<user id>` in settings.directory, made with its parents and for this user alone. `outside` is
  /// borrowed. Errors: kDenied: it is there and others may write to it; those of making a directory.
  static Result<std::unique_ptr<DiskCache>> Open(const CacheSettings& settings, const Outside& outside);

  /// The body; it counts as used now. A damaged entry is removed.
  std::optional<Bytes> Find(std::string_view name);
  /// Keeps a body, if it is not larger than 1/32 of the budget. After a failure (a full disk) nothing is written for a minute.
  void Add(std::string_view name, ByteView body);
  void Remove(std::string_view name);

 private:
  DiskCache(std::string path, std::unique_ptr<ObjectStore> store, int64_t bytes_max, const Outside& outside);
  void MakeRoom(std::string_view shard);
  void Failed(const Error& error);
  void Count(std::string_view what, double amount = 1) const;

  const std::string path_;
  const std::unique_ptr<ObjectStore> store_;
  const int64_t shard_bytes_max_;
  const Outside outside_;
  std::atomic<int64_t> quiet_until_us_ = 0;  // by the monotonic clock: nothing is written before
};

}  // namespace datashard::cache
