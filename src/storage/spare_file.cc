#include "storage/spare_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "storage/keys.h"

namespace datashard {
namespace {

constexpr mode_t kFileMode = 0666;  // less the umask

}  // namespace

SpareFile::~SpareFile() {
  if (owner_ == ::getpid()) Drop();
}

void SpareFile::Drop() {
  if (!name_.empty()) (void)::unlinkat(directory_->fd.get(), name_.c_str(), 0);
  name_.clear();
}

/// The spare file holds `body`, and is ours alone.
bool SpareFile::Fill(ByteView body) {
  const int at = directory_->fd.get();
  if (!name_.empty()) {
    const Fd file(::openat(at, name_.c_str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info;
    // What came in exchange may be anybody's: only a file without other names is written to.
    const bool usable = file.valid() && ::fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1 &&
                        info.st_uid == ::geteuid();
    const auto size = static_cast<off_t>(body.size());
    if (usable && WriteAll(file.get(), body) == 0 && (info.st_size == size || ::ftruncate(file.get(), size) == 0)) return true;
    Drop();
  }
  std::string name = TemporaryName();
  const Fd file(::openat(at, name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  if (!file.valid()) return false;
  name_ = std::move(name);
  return WriteAll(file.get(), body) == 0;
}

bool SpareFile::Replace(const Directory& directory, const std::string& name, ByteView body) {
  if (body.size() > kBytesMax) return false;
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || impossible_) return false;
  if (owner_ != ::getpid()) {
    owner_ = ::getpid();
    name_.clear();  // the parent's
  }
  const int from = directory_->fd.get();
  const int to = directory.fd.get();
  if (!Fill(body)) {
    Drop();
    return false;
  }
  if (::renameat2(from, name_.c_str(), to, name.c_str(), RENAME_EXCHANGE) == 0) return true;
  if (errno == ENOENT && ::renameat2(from, name_.c_str(), to, name.c_str(), RENAME_NOREPLACE) == 0) {
    name_.clear();  // the first body of this name: nothing came in exchange
    return true;
  }
  impossible_ = errno != ENOENT && errno != EEXIST;
  Drop();
  return false;
}

}  // namespace datashard
