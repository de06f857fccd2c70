#include "storage/posix_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"

namespace datashard {
namespace {

// Linux moves at most this much in one call; larger requests are short anyway.
constexpr size_t kTransferBytesMax = 1 << 30;

}  // namespace

int Fd::Close() {
  if (fd_ < 0) return 0;
  // After EINTR the descriptor is gone all the same; closing it again could close somebody else's.
  const int error = ::close(std::exchange(fd_, -1)) == 0 || errno == EINTR ? 0 : errno;
  return error;
}

int WriteAll(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    const size_t wanted = std::min(bytes.size(), kTransferBytesMax);
    const ssize_t written = Uninterrupted([&] { return ::write(fd, bytes.data(), wanted); });
    if (written < 0) return errno;
    if (written == 0) return EIO;  // no regular file does this; going on would never end
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

int64_t ReadAllAt(int fd, int64_t offset, int64_t size, void* out) {
  auto* to = static_cast<char*>(out);
  int64_t done = 0;
  while (done < size) {
    const size_t wanted = std::min(static_cast<size_t>(size - done), kTransferBytesMax);
    const ssize_t count = Uninterrupted([&] { return ::pread(fd, to + done, wanted, offset + done); });
    if (count < 0) return -errno;
    if (count == 0) break;
    done += count;
  }
  return done;
}

int SyncDirectory(int fd) {
  if (Uninterrupted([&] { return ::fsync(fd); }) == 0) return 0;
  return errno == EINVAL || errno == EOPNOTSUPP ? 0 : errno;
}

Error IoError(int error_number, std::string_view action, std::string_view object) {
  switch (error_number) {
    case ENOSPC:
      return Unavailable("disk full: cannot {} {}: the file system has no space (or no inodes) left; nothing was published. "
                         "Free some space and try again", action, object);
    case EDQUOT:
      return Unavailable("disk full: cannot {} {}: the quota of this user is used up; nothing was published. "
                         "Free some space and try again", action, object);
    case EMFILE:
    case ENFILE:
      return Unavailable("cannot {} {}: too many open files; raise the limit (ulimit -n)", action, object);
    case ENAMETOOLONG: return InvalidArgument("cannot {} {}: the name is too long for the file system", action, object);
    case ENOTDIR: return InvalidArgument("cannot {} {}: a part of its path is a file, not a directory", action, object);
    case EISDIR: return InvalidArgument("cannot {} {}: it is a directory", action, object);
    case EXDEV:
      return InvalidArgument("cannot {} {}: a symbolic link on its path leads out of the directory that was opened", action,
                             object);
    case ELOOP: return InvalidArgument("cannot {} {}: too many symbolic links on its path", action, object);
    default: return FromErrno(error_number, fmt::format("cannot {} {}", action, object));
  }
}

Result<std::optional<FileIdentity>> IdentityAt(int fd, const std::string& name) {
  struct statx info;
  const int flags = AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW | (name.empty() ? AT_EMPTY_PATH : 0);
  if (::statx(fd, name.c_str(), flags, STATX_INO, &info) != 0) {
    // ESTALE: the file server has removed it.
    if (errno == ENOENT || errno == ESTALE) return std::optional<FileIdentity>();
    return IoError(errno, "look at", name.empty() ? "an open file" : name);
  }
  return std::optional(FileIdentity(info.stx_dev_major, info.stx_dev_minor, info.stx_ino));
}

Instant ModifiedTime(const struct stat& info) {
  return Instant(std::chrono::floor<std::chrono::microseconds>(std::chrono::seconds(info.st_mtim.tv_sec) +
                                                               std::chrono::nanoseconds(info.st_mtim.tv_nsec)));
}

}  // namespace datashard
