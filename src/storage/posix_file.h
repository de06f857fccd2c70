// File descriptors, whole reads and writes, and what errno means to a caller of a store.
#pragma once

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/bytes.h"
#include "base/clock.h"
#include "datashard/result.h"

struct stat;

namespace datashard {

/// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      (void)Close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { (void)Close(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  /// 0 or an errno: network file systems report late write errors here.
  int Close();

 private:
  int fd_ = -1;
};

/// `call` until it is not interrupted by a signal. For system calls that answer -1 and errno.
template <typename Call>
auto Uninterrupted(Call call) {
  for (;;) {
    const auto answer = call();
    if (answer != -1 || errno != EINTR) return answer;
  }
}

/// Writes all of `bytes` at the file's position. 0 or an errno.
int WriteAll(int fd, ByteView bytes);
/// Reads `size` bytes at `offset`; fewer only at the end of the file. The count, or a negative errno.
int64_t ReadAllAt(int fd, int64_t offset, int64_t size, void* out);
/// fsync of a directory. File systems without such a call (EINVAL: CIFS and some FUSE, whose servers apply operations on
/// names at once) count as synced. 0 or an errno.
int SyncDirectory(int fd);

/// "cannot `action` `object`: …" with the kind and the advice that `error_number` calls for.
Error IoError(int error_number, std::string_view action, std::string_view object);

Instant ModifiedTime(const struct stat& info);

/// Which file it is: device (major, minor) and inode.
using FileIdentity = std::tuple<uint32_t, uint32_t, uint64_t>;
/// Of what `name` in the directory `fd` is ("": of `fd` itself), by the file server and not by a cache of its answers.
/// Links are not followed. None where there is nothing (any more).
Result<std::optional<FileIdentity>> IdentityAt(int fd, const std::string& name);

}  // namespace datashard
