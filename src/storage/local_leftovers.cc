#include "storage/local_leftovers.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>

#include "base/error.h"
#include "storage/keys.h"
#include "storage/posix_file.h"

namespace datashard {
namespace {

Instant ChangedTime(const struct stat& info) {
  const auto since = std::chrono::seconds(info.st_ctim.tv_sec) + std::chrono::nanoseconds(info.st_ctim.tv_nsec);
  return std::max(ModifiedTime(info), Instant(std::chrono::floor<std::chrono::microseconds>(since)));
}

/// Looks through one directory; the keys of those in it go to `subdirectories`.
Status Look(const Beneath& beneath, const std::string& directory_key, const LeftoverOptions& options,
            std::vector<std::string>& subdirectories, std::vector<ObjectInfo>& found) {
  const std::string path = beneath.PathOf(directory_key);
  const int fd = beneath.Open(directory_key, O_RDONLY | O_DIRECTORY);
  if (fd == -ENOENT || fd == -ENOTDIR) return {};
  if (fd < 0) return IoError(-fd, "list", path);
  const auto close = [](DIR* stream) { ::closedir(stream); };
  const std::unique_ptr<DIR, decltype(close)> stream(::fdopendir(fd), close);
  if (!stream) {
    const int error = errno;
    ::close(fd);
    return IoError(error, "list", path);
  }
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr) return errno == 0 ? Status() : Status(IoError(errno, "list", path));
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    const bool is_leftover = IsTemporaryName(name);
    if (!is_leftover && entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) continue;
    std::string key = directory_key.empty() ? std::string(name) : directory_key + "/" + std::string(name);
    struct stat info;
    if (::fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;
      return IoError(errno, "list", beneath.PathOf(key));
    }
    if (S_ISDIR(info.st_mode)) {
      subdirectories.push_back(std::move(key));
    } else if (is_leftover && S_ISREG(info.st_mode) && ChangedTime(info) < options.older_than) {
      if (!options.only_list && ::unlinkat(fd, entry->d_name, 0) != 0 && errno != ENOENT)
        return IoError(errno, "delete", beneath.PathOf(key));
      found.push_back({.key = std::move(key), .size_bytes = info.st_size, .modified = ModifiedTime(info)});
    }
  }
}

}  // namespace

Result<std::vector<ObjectInfo>> RemoveLocalLeftovers(const Beneath& beneath, const LeftoverOptions& options) {
  std::vector<ObjectInfo> found;
  std::vector<std::string> directories = {""};
  while (!directories.empty()) {
    const std::string directory = std::move(directories.back());
    directories.pop_back();
    DS_RETURN_IF_ERROR(Look(beneath, directory, options, directories, found));
  }
  std::ranges::sort(found, {}, &ObjectInfo::key);
  return found;
}

}  // namespace datashard
