#include "ring/ring_place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "base/error.h"

namespace datashard::ring {
namespace {

/// The whole of a small file of /proc; empty where it cannot be read.
std::string ReadProc(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string text(16 << 10, '\0');
  const ssize_t count = ::read(fd, text.data(), text.size());
  ::close(fd);
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  return text;
}

/// The umask, which no call tells without changing it.
std::string UmaskText() {
  const std::string status = ReadProc("/proc/self/status");
  const size_t start = status.find("\nUmask:");
  if (start == std::string::npos) return {};
  return status.substr(start + 1, status.find('\n', start + 1) - start - 1);
}

// FNV-1a. Not against malice: the directory of the rings belongs to one user alone.
uint64_t Hash(std::string_view text, uint64_t hash) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

/// That of whoever sees `place` as this process does, in this boot of this host.
RingPlace PlaceFor(std::string_view table_uuid, std::string_view place) {
  const std::string text = fmt::format("{}|{}|{}|{}|{}|{}", table_uuid, place, ::geteuid(), ::getegid(), UmaskText(),
                                       ReadProc("/proc/sys/kernel/random/boot_id"));
  return {.directory = fmt::format("/dev/shm/datashard-{}", ::geteuid()),
          .key = fmt::format("{:016x}{:016x}", Hash(text, 0xcbf29ce484222325ULL), Hash(text, 0x84222325cbf29ce4ULL))};
}

}  // namespace

RingPlace PlaceOfBucket(std::string_view table_uuid, std::string_view identity) { return PlaceFor(table_uuid, identity); }

Result<RingPlace> PlaceOf(std::string_view table_uuid, std::string_view metadata_path) {
  struct stat info;
  const std::string path(metadata_path);
  if (::stat(path.c_str(), &info) != 0) return FromErrno(errno, fmt::format("cannot look at {}", path));
  return PlaceFor(table_uuid, fmt::format("{}|{}", info.st_dev, info.st_ino));
}

}  // namespace datashard::ring
