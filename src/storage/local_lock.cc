#include "storage/local_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/error.h"

namespace datashard {
namespace {

constexpr const char* kLockName = ".datashard-lock.tmp";  // reserved, and not a leftover: see keys.h
constexpr mode_t kLockMode = 0666;                        // less the umask

}  // namespace

Result<LocalLock> LocalLock::Take(const Directory& directory, const std::string& path) {
  Fd file(::openat(directory.fd.get(), kLockName, O_CREAT | O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, kLockMode));
  if (!file.valid()) return IoError(errno, "lock for replacing", path);
  if (Uninterrupted([&] { return ::flock(file.get(), LOCK_EX); }) != 0) return IoError(errno, "lock for replacing", path);
  return LocalLock(std::move(file));
}

LocalLock::~LocalLock() {
  // Closing alone would leave it with a fork child that has a copy of the descriptor.
  if (fd_.valid()) (void)::flock(fd_.get(), LOCK_UN);
}

}  // namespace datashard
