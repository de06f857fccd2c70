#include "storage/local_tombstones.h"

#include <fcntl.h>
#include <unistd.h>

#include "storage/keys.h"

namespace datashard {
namespace {

// 6.5 million names of ext4: far more than are ever kept.
constexpr int kFilesMax = 100;
constexpr mode_t kFileMode = 0666;  // less the umask

}  // namespace

Result<bool> LocalTombstones::Link(std::string_view key, ByteView body) {
  const auto [directory_key, name] = SplitKey(key);
  const Fd directory(beneath_.Open(directory_key, O_PATH | O_DIRECTORY));
  if (!directory.valid()) return false;
  const std::string temporary = TemporaryName();
  if (LinkTo(temporary, body) != 0) return false;
  const std::string to(name);
  const int error = ::renameat(beneath_.root(), temporary.c_str(), directory.get(), to.c_str()) == 0 ? 0 : errno;
  // rename(2) does nothing where both names lead to the same inode: the name was dropped before, and ours is still there.
  (void)::unlinkat(beneath_.root(), temporary.c_str(), 0);
  if (error == EXDEV) return false;
  if (error != 0) return IoError(error, "drop the body of", beneath_.PathOf(key));
  return true;
}

/// 0 or an errno.
int LocalTombstones::LinkTo(const std::string& temporary, ByteView body) {
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return EBUSY;
  if (number_ >= 0 && body_ == body) {
    const int error = TryLink(number_, temporary);
    if (error != EMLINK && error != ENOENT) return error;
  }
  number_ = -1;
  for (int number = 0; number < kFilesMax; ++number) {
    int error = MakeUsable(number, body);
    if (error == EEXIST) continue;  // it holds something else
    if (error != 0) return error;
    error = TryLink(number, temporary);
    if (error == EMLINK) continue;
    if (error == 0) {
      number_ = number;
      body_ = body;
    }
    return error;
  }
  return EMLINK;
}

/// 0 or an errno.
int LocalTombstones::TryLink(int number, const std::string& temporary) const {
  const int root = beneath_.root();
  return ::linkat(root, TombstoneName(number).c_str(), root, temporary.c_str(), 0) == 0 ? 0 : errno;
}

/// Sees to it that file `number` is there and holds `body`. 0 or an errno: EEXIST where it holds something else.
int LocalTombstones::MakeUsable(int number, ByteView body) const {
  const int root = beneath_.root();
  const std::string name = TombstoneName(number);
  const Fd present(::openat(root, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (present.valid()) {
    Bytes found(body.size() + 1, '\0');
    const int64_t count = ReadAllAt(present.get(), 0, static_cast<int64_t>(found.size()), found.data());
    return count >= 0 && ByteView(found).substr(0, static_cast<size_t>(count)) == body ? 0 : EEXIST;
  }
  if (errno != ENOENT) return errno;
  const std::string temporary = TemporaryName();
  const Fd made(::openat(root, temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, kFileMode));
  if (!made.valid()) return errno;
  int error = WriteAll(made.get(), body);
  if (error == 0 && ::fdatasync(made.get()) != 0) error = errno;
  // Another process may have made it meanwhile, from the same body.
  if (error == 0 && ::linkat(root, temporary.c_str(), root, name.c_str(), 0) != 0 && errno != EEXIST) error = errno;
  (void)::unlinkat(root, temporary.c_str(), 0);
  return error;
}

}  // namespace datashard
