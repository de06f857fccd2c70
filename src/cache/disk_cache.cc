#include "cache/disk_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "s3/digest.h"

namespace datashard::cache {
namespace {

constexpr std::string_view kMagic = "DSCACHE1";
constexpr size_t kHashBytes = 32;
constexpr size_t kTrailerBytes = kMagic.size() + 2 * sizeof(uint64_t) + kHashBytes;
constexpr int64_t kShards = 16;
// A shard is looked through, on average, once for so many parts of its budget added to it by whomever. So the processes need
// not agree on how full it is, and it is seldom more than a few parts above the mark.
constexpr int64_t kPartsBetweenLooks = 64;
constexpr auto kQuietAfterFailure = std::chrono::minutes(1);
constexpr auto kLeftoverAge = std::chrono::hours(1);
constexpr int64_t kDiskBlockBytes = 4096;

int64_t OnDisk(int64_t size_bytes) { return (size_bytes / kDiskBlockBytes + 1) * kDiskBlockBytes; }

/// "3/3f29…": sixteen directories.
std::string KeyFor(std::string_view name) {
  const std::string hash = s3::Hex(s3::Sha256(name));
  return hash.substr(0, 1) + "/" + hash;
}

Bytes Encoded(std::string_view name, ByteView body) {
  Bytes entry;
  entry.reserve(body.size() + name.size() + kTrailerBytes);
  entry.append(body).append(name).append(kMagic);
  for (const uint64_t size : {uint64_t{body.size()}, uint64_t{name.size()}})
    entry.append(reinterpret_cast<const char*>(&size), sizeof size);
  entry.append(s3::Sha256(entry));
  return entry;
}

/// The body of an entry for `name`; none where a single bit of it is not as it was written.
std::optional<Bytes> Decoded(std::string_view name, Bytes entry) {
  if (entry.size() < kTrailerBytes) return std::nullopt;
  const ByteView hashed = ByteView(entry).substr(0, entry.size() - kHashBytes);
  const ByteView trailer = ByteView(entry).substr(entry.size() - kTrailerBytes);
  uint64_t sizes[2];
  std::memcpy(sizes, trailer.data() + kMagic.size(), sizeof sizes);
  const uint64_t content = entry.size() - kTrailerBytes;
  const bool whole = trailer.starts_with(kMagic) && sizes[1] == name.size() && sizes[0] <= content && content - sizes[0] == sizes[1] &&
                     hashed.substr(sizes[0], sizes[1]) == name && ByteView(entry).ends_with(s3::Sha256(hashed));
  if (!whole) return std::nullopt;
  entry.resize(sizes[0]);
  return entry;
}

/// A directory for this user alone: whoever can write to it can make us read anything.
Status MakePrivateDirectory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) return FromErrno(error.value(), fmt::format("make the directory of {}", path));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return FromErrno(errno, fmt::format("make the directory {}", path));
  struct stat info;
  if (::lstat(path.c_str(), &info) != 0) return FromErrno(errno, fmt::format("look at {}", path));
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return Denied("{} is expected to be a directory that only this user may write to; remove it, or name another one", path);
  return {};
}

}  // namespace

Result<std::unique_ptr<DiskCache>> DiskCache::Open(const CacheSettings& settings, const Outside& outside) {
  std::error_code error;
  const std::filesystem::path directory = std::filesystem::absolute(settings.directory, error);
  if (error) return FromErrno(error.value(), fmt::format("find {}", settings.directory));
  std::string path = (directory / fmt::format("datashard-cache-{}", ::geteuid())).string();
  DS_RETURN_IF_ERROR(MakePrivateDirectory(path));
  DS_ASSIGN_OR_RETURN(std::unique_ptr<ObjectStore> store, OpenLocalStore(path, /*create=*/false));
  return std::unique_ptr<DiskCache>(new DiskCache(std::move(path), std::move(store), settings.bytes_max, outside));
}

DiskCache::DiskCache(std::string path, std::unique_ptr<ObjectStore> store, int64_t bytes_max, const Outside& outside)
    : path_(std::move(path)), store_(std::move(store)), shard_bytes_max_(bytes_max / kShards), outside_(outside) {}

std::optional<Bytes> DiskCache::Find(std::string_view name) {
  const std::string key = KeyFor(name);
  Result<Bytes> entry = store_->Get(key);
  if (!entry.ok()) {
    Count(entry.kind() == ErrorKind::kNotFound ? "misses_total" : "failures_total");
    return std::nullopt;
  }
  std::optional<Bytes> body = Decoded(name, *std::move(entry));
  if (!body) {
    Count("damaged_total");
    static_cast<void>(store_->Delete(key));  // it is never believed, whether it goes or not
    return std::nullopt;
  }
  // Its age of use is the file's time; where that cannot be changed it is merely evicted earlier.
  static_cast<void>(::utimensat(AT_FDCWD, fmt::format("{}/{}", path_, key).c_str(), nullptr, 0));
  Count("hits_total");
  Count("read_bytes_total", static_cast<double>(body->size()));
  return body;
}

void DiskCache::Add(std::string_view name, ByteView body) {
  if (static_cast<int64_t>(body.size()) > shard_bytes_max_ / 2) return;
  if (outside_.clock.Monotonic().count() < quiet_until_us_.load(std::memory_order_relaxed)) return;
  const std::string key = KeyFor(name);
  // Linked to its name when it is whole, and not synced: what a loss of power leaves of it fails its checksum.
  const std::unique_ptr<WriteGroup> group = store_->NewWriteGroup();
  group->LeaveToOs();
  const Status put = group->Put(key, Encoded(name, body));
  if (!put.ok()) {
    if (put.kind() != ErrorKind::kAlreadyExists) Failed(put.error());
    return;
  }
  Count("written_bytes_total", static_cast<double>(body.size()));
  const double share = static_cast<double>(OnDisk(static_cast<int64_t>(body.size()))) * kPartsBetweenLooks / static_cast<double>(shard_bytes_max_);
  if (RandomUnit(outside_.random) < share) MakeRoom(std::string_view(key).substr(0, 2));
}

void DiskCache::Remove(std::string_view name) {
  const Status removed = store_->Delete(KeyFor(name));
  if (!removed.ok()) Failed(removed.error());
}

/// Removes the entries of `shard` that were not used for longest, until it is well below its part of the budget.
void DiskCache::MakeRoom(std::string_view shard) {
  Result<std::vector<ObjectInfo>> entries = store_->List(shard);
  if (!entries.ok()) return Failed(entries.error());
  int64_t bytes = 0;
  for (const ObjectInfo& entry : *entries) bytes += OnDisk(entry.size_bytes);
  if (bytes <= shard_bytes_max_ - shard_bytes_max_ / 8) return;
  std::ranges::sort(*entries, {}, &ObjectInfo::modified);
  for (const ObjectInfo& entry : *entries) {
    if (bytes <= shard_bytes_max_ - shard_bytes_max_ / 4) break;
    if (const Status deleted = store_->Delete(entry.key); !deleted.ok()) return Failed(deleted.error());
    bytes -= OnDisk(entry.size_bytes);
    Count("evicted_total");
  }
  // Of processes that were killed while they wrote, on file systems without unnamed files.
  static_cast<void>(store_->RemoveLeftovers({.older_than = outside_.clock.Now() - kLeftoverAge}));
}

void DiskCache::Failed(const Error& error) {
  Count("failures_total");
  const int64_t now_us = outside_.clock.Monotonic().count();
  const bool is_first = quiet_until_us_.exchange(now_us + std::chrono::microseconds(kQuietAfterFailure).count()) == 0;
  if (!is_first) return;
  outside_.log.Write(LogLevel::kWarning, fmt::format("the cache in {} cannot be written to, and is left alone for a minute each time: {}",
                                                     path_, error.ToString()));
}

void DiskCache::Count(std::string_view what, double amount) const {
  outside_.metrics.Add(fmt::format("datashard_cache_{}", what), amount);
}

}  // namespace datashard::cache
