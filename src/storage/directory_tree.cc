#include "storage/directory_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "storage/keys.h"
#include "storage/local_root.h"

namespace datashard {
namespace {

constexpr auto kSettledAge = std::chrono::minutes(10);
constexpr size_t kRememberedMax = 4096;
// Rounds of "not there, make it, open it" while others remove it; one is enough without an adversary.
constexpr int kAttemptsMax = 8;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY;

Instant InstantOf(const struct statx_timestamp& time) {
  return Instant(std::chrono::floor<std::chrono::microseconds>(std::chrono::seconds(time.tv_sec) +
                                                               std::chrono::nanoseconds(time.tv_nsec)));
}

DirectoryPtr NewDirectory(std::string_view key, int fd) {
  auto directory = std::make_shared<Directory>();
  directory->key = key;
  directory->fd = Fd(fd);
  struct statx info;
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &info) == 0 && (info.stx_mask & STATX_BTIME) != 0) {
    directory->identity = {makedev(info.stx_dev_major, info.stx_dev_minor), info.stx_ino,
                           info.stx_btime.tv_sec * 1'000'000'000 + info.stx_btime.tv_nsec};
    directory->young = IsYoung(InstantOf(info.stx_btime));
  }
  return directory;
}

}  // namespace

std::optional<Instant> BirthTime(int fd) {
  struct statx info;
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &info) != 0 || (info.stx_mask & STATX_BTIME) == 0) return std::nullopt;
  return InstantOf(info.stx_btime);
}

bool IsYoung(std::optional<Instant> birth) { return !birth || SystemClock().Now() - *birth < kSettledAge; }

Result<DirectoryPtr> DirectoryTree::Find(std::string_view key) const {
  const int fd = beneath_.Open(key, kDirectoryFlags);
  if (fd < 0) return IoError(-fd, "open directory", beneath_.PathOf(key));
  return NewDirectory(key, fd);
}

Result<DirectoryPtr> DirectoryTree::FindOrMake(std::string_view key) const {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const int fd = beneath_.Open(key, kDirectoryFlags);
    if (fd >= 0) return NewDirectory(key, fd);
    if (fd != -ENOENT) return IoError(-fd, "open directory", beneath_.PathOf(key));
    if (key.empty()) break;
    const auto [parent_key, name] = SplitKey(key);
    DS_ASSIGN_OR_RETURN(const DirectoryPtr parent, FindOrMake(parent_key));
    const std::string name_text(name);
    // ENOENT: the parent was removed just now. EEXIST: somebody else was faster, or a link to nowhere is in the way.
    const int error = ::mkdirat(parent->fd.get(), name_text.c_str(), 0777) == 0 ? 0 : errno;
    if (error != 0 && error != EEXIST && error != ENOENT) return IoError(error, "make directory", beneath_.PathOf(key));
    struct stat info;
    if (error == EEXIST && ::fstatat(parent->fd.get(), name_text.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(info.st_mode) && beneath_.Open(key, O_PATH) == -ENOENT)
      return InvalidArgument("cannot open directory {}: it is a symbolic link to something that does not exist",
                             beneath_.PathOf(key));
  }
  return NotFound("cannot make directory {}: it or a directory above it was removed while it was made (was {} removed?)",
                  beneath_.PathOf(key), beneath_.root_path());
}

Status DirectoryTree::SyncParents(const std::vector<DirectoryPtr>& directories) {
  // Parents still to be synced, by key, each with the directories whose names it makes durable. Longer keys come last in
  // the map, so taking from the back goes from the leaves to the root.
  std::map<std::string, std::vector<DirectoryPtr>> parents;
  const auto add = [&](const DirectoryPtr& directory) {
    if (directory->key.empty() || !directory->young || KnownDurable(*directory)) return;
    parents[std::string(SplitKey(directory->key).first)].push_back(directory);
  };
  for (const DirectoryPtr& directory : directories) add(directory);
  std::vector<DirectoryPtr> synced;
  while (!parents.empty()) {
    auto last = std::prev(parents.end());
    DS_ASSIGN_OR_RETURN(const DirectoryPtr parent, Find(last->first));
    if (const int error = SyncDirectory(parent->fd.get()); error != 0)
      return IoError(error, "sync directory", beneath_.PathOf(parent->key));
    synced.insert(synced.end(), last->second.begin(), last->second.end());
    parents.erase(last);
    add(parent);
  }
  if (ancestors_pending_) {
    DS_RETURN_IF_ERROR(SyncAncestors(beneath_.root_path()));
    ancestors_pending_ = false;
  }
  // Only now, when everything above is durable too.
  for (const DirectoryPtr& directory : synced) RememberDurable(*directory);
  return {};
}

bool DirectoryTree::KnownDurable(const Directory& directory) {
  if (!directory.identity) return false;
  std::unique_lock lock(mutex_, std::try_to_lock);
  return lock.owns_lock() && durable_.contains(*directory.identity);
}

void DirectoryTree::RememberDurable(const Directory& directory) {
  if (!directory.identity) return;
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;
  if (durable_.size() >= kRememberedMax) durable_.clear();
  durable_.insert(*directory.identity);
}

}  // namespace datashard
