#include "ring/ring_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/random.h"

namespace datashard::ring {
namespace {

constexpr std::string_view kDeleteIt = "Delete it when no writer runs; a new one is made";
// Names of others that come and go while we look: giving up is better than spinning for ever.
constexpr int kAttemptsMax = 1000;
// The byte that all users of a file lock, shared; beyond those of slots and leads (locks.h).
constexpr off_t kUsersByte = off_t{1} << 21;
// The byte that whoever takes the name from a closed ring locks.
constexpr off_t kRetiringByte = kUsersByte + 1;
constexpr size_t kKeyDigitsMax = 200;

bool IsHex(ByteView text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// Nothing here is needed, so all but missing rights means: go without a ring for now.
Error RingError(int error_number, std::string_view action, const std::string& path) {
  if (error_number == EACCES || error_number == EPERM)
    return Denied("cannot {} {}: {}", action, path, std::strerror(error_number));
  if (error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG)
    return Unavailable("cannot {} {}: a ring takes {} bytes there, and they are not to be had: {}", action, path, sizeof(Shared),
                       std::strerror(error_number));
  return Unavailable("cannot {} {}: {}", action, path, std::strerror(error_number));
}

/// Is the lock `type` on `byte` had?
bool LockByte(int fd, short type, off_t byte) {
  struct flock range = {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = byte;
  range.l_len = 1;
  return ::fcntl(fd, F_OFD_SETLK, &range) == 0;
}

bool LockUsers(int fd, short type) { return LockByte(fd, type, kUsersByte); }

void RemoveIfNamed(const RingFile& file) {
  struct stat named = {};
  const bool is_named = ::lstat(file.path.c_str(), &named) == 0 && named.st_dev == file.device && named.st_ino == file.inode;
  // What cannot be removed stays until a later sweep.
  if (is_named) (void)::unlink(file.path.c_str());
}

/// Of a descriptor that nobody shares, whose users' byte is locked: while both locks are held the name cannot go to another file
/// between the look and the removal.
void RetireOpen(const RingFile& file, int descriptor) {
  if (LockByte(descriptor, F_WRLCK, kRetiringByte)) RemoveIfNamed(file);
}

/// Removes the rings of `directory` that nobody has open.
void Sweep(const std::string& directory) {
  const auto close = [](DIR* stream) { ::closedir(stream); };
  const std::unique_ptr<DIR, decltype(close)> stream(::opendir(directory.c_str()), close);
  while (const dirent* const entry = stream ? ::readdir(stream.get()) : nullptr) {
    if (!IsHex(entry->d_name)) continue;
    RingFile file{.path = directory + "/" + entry->d_name};
    const Descriptor descriptor(::open(file.path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info = {};
    if (!descriptor.valid() || ::fstat(descriptor.get(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    Preamble preamble = {};
    if (::pread(descriptor.get(), &preamble, sizeof preamble, 0) != sizeof preamble || preamble.magic != kMagic) continue;
    file.device = info.st_dev;
    file.inode = info.st_ino;
    RemoveIfLast(file, descriptor.get());
  }
}

Result<struct stat> StatusOf(int fd, const std::string& path) {
  struct stat info = {};
  if (::fstat(fd, &info) != 0) return RingError(errno, "look at", path);
  return info;
}

Result<Descriptor> OpenDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) {
    // A umask may have taken bits that we need.
    if (::chmod(path.c_str(), 0700) != 0) return RingError(errno, "set the mode of", path);
  } else if (errno != EEXIST) {
    return RingError(errno, "make the directory", path);
  }
  Descriptor directory(::open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid()) {
    if (errno == ENOTDIR || errno == ELOOP)
      return Unsupported("{} is a link or a file where a directory was expected: rings are not kept there", path);
    return RingError(errno, "open the directory", path);
  }
  DS_ASSIGN_OR_RETURN(const struct stat info, StatusOf(directory.get(), path));
  if (info.st_uid != ::geteuid())
    return Unsupported("{} belongs to user {}, not to user {}: a ring in it cannot be trusted", path, info.st_uid, ::geteuid());
  if ((info.st_mode & 07777) != 0700)
    return Unsupported("{} has mode {:04o}, not 0700: others may have been in it. Set the mode, or delete the directory when no "
                       "writer runs", path, info.st_mode & 07777);
  return directory;
}

/// Space is taken at once: a full file system is an error here, not a SIGBUS later.
Status Allocate(int fd, const std::string& path) {
  int error = 0;
  do {
    error = ::posix_fallocate(fd, 0, sizeof(Shared));
  } while (error == EINTR);
  if (error != 0) return RingError(error, "find space for", path);
  return {};
}

Status CheckOurs(const struct stat& info, const std::string& path) {
  if (!S_ISREG(info.st_mode)) return Unsupported("{} is not a regular file. {}", path, kDeleteIt);
  if (info.st_uid != ::geteuid())
    return Unsupported("{} belongs to user {}, not to user {}. {}", path, info.st_uid, ::geteuid(), kDeleteIt);
  if ((info.st_mode & 07777) != 0600)
    return Unsupported("{} has mode {:04o}, not 0600: others may have written to it. {}", path, info.st_mode & 07777, kDeleteIt);
  if (info.st_nlink != 1) return Unsupported("{} has {} names, not 1. {}", path, info.st_nlink, kDeleteIt);
  return {};
}

Result<std::string> CheckPreamble(int fd, int64_t size_bytes, const std::string& path) {
  Preamble preamble = {};
  const ssize_t count = ::pread(fd, &preamble, sizeof preamble, 0);
  if (count < 0) return RingError(errno, "read", path);
  if (count != sizeof preamble || preamble.magic != kMagic) return Corruption("{} is not a ring. {}", path, kDeleteIt);
  if (preamble.layout != kLayout)
    return Unsupported("{} is a ring of layout {}, made by another release; this one knows layout {}. {}", path, preamble.layout,
                       kLayout, kDeleteIt);
  const std::string id(preamble.id.data(), preamble.id.size());
  if (preamble.size_bytes != sizeof(Shared) || size_bytes != static_cast<int64_t>(sizeof(Shared)) || !IsHex(id))
    return Corruption("{} is a damaged ring: {} bytes, its head says {}, layout {} has {}. {}", path, size_bytes,
                      preamble.size_bytes, kLayout, sizeof(Shared), kDeleteIt);
  return id;
}

bool IsClosed(int fd) {
  uint32_t closed = 0;
  return ::pread(fd, &closed, sizeof closed, offsetof(Header, closed)) == sizeof closed && closed != 0;
}

/// None where there is no such file, or none that may be joined.
Result<std::optional<OpenRingFile>> OpenExisting(const Descriptor& directory, const RingPlace& place, const std::string& path) {
  // O_NONBLOCK: never wait for whoever put a device or a pipe here.
  Descriptor file(::openat(directory.get(), place.key.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) {
    if (errno == ENOENT) return std::optional<OpenRingFile>();
    if (errno == ELOOP) return Unsupported("{} is a symbolic link. {}", path, kDeleteIt);
    if (errno == EISDIR || errno == ENXIO) return Unsupported("{} is not a regular file. {}", path, kDeleteIt);
    return RingError(errno, "open", path);
  }
  // Locked by its last user, who is about to remove it, or removed already: look again.
  const bool joined = LockUsers(file.get(), F_RDLCK);
  DS_ASSIGN_OR_RETURN(const struct stat info, StatusOf(file.get(), path));
  if (S_ISREG(info.st_mode) && (info.st_nlink == 0 || !joined)) return std::optional<OpenRingFile>();
  DS_RETURN_IF_ERROR(CheckOurs(info, path));
  DS_ASSIGN_OR_RETURN(std::string id, CheckPreamble(file.get(), info.st_size, path));
  RingFile named = {path, info.st_dev, info.st_ino};
  if (IsClosed(file.get())) {  // whoever closed it died before it took its name
    RetireOpen(named, file.get());
    return std::optional<OpenRingFile>();
  }
  DS_RETURN_IF_ERROR(Allocate(file.get(), path));  // it may have holes, if another program made it
  return std::optional(OpenRingFile{std::move(named), std::move(file), std::move(id)});
}

/// None where somebody else was faster. The name appears with everything in place; a crash before that leaves nothing.
Result<std::optional<OpenRingFile>> Make(const Descriptor& directory, const RingPlace& place, const std::string& path) {
  // Beyond this limit the kernel would send SIGXFSZ.
  struct rlimit limit = {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < sizeof(Shared))
    return RingError(EFBIG, "make", path);
  Descriptor file(::openat(directory.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file.valid()) return RingError(errno, "make", path);
  if (::fchmod(file.get(), 0600) != 0) return RingError(errno, "set the mode of", path);
  DS_RETURN_IF_ERROR(Allocate(file.get(), path));
  Preamble preamble = {.magic = kMagic, .layout = kLayout, .zero = 0, .size_bytes = sizeof(Shared), .id = {}};
  std::string id = RandomHex(SystemRandom(), kIdDigits);
  std::copy(id.begin(), id.end(), preamble.id.begin());
  if (::pwrite(file.get(), &preamble, sizeof preamble, 0) != sizeof preamble) return RingError(errno, "write", path);
  if (!LockUsers(file.get(), F_RDLCK)) return RingError(errno, "lock", path);
  const std::string unnamed = fmt::format("/proc/self/fd/{}", file.get());
  if (::linkat(AT_FDCWD, unnamed.c_str(), directory.get(), place.key.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    if (errno == EEXIST) return std::optional<OpenRingFile>();
    return RingError(errno, "name", path);
  }
  DS_ASSIGN_OR_RETURN(const struct stat info, StatusOf(file.get(), path));
  return std::optional(OpenRingFile{{path, info.st_dev, info.st_ino}, std::move(file), std::move(id)});
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Result<OpenRingFile> OpenOrMake(const RingPlace& place) {
  if (place.key.empty() || place.key.size() > kKeyDigitsMax || !IsHex(place.key))
    return InvalidArgument("a ring's key is 1 to {} lower-case hexadecimal digits, not \"{}\"", kKeyDigitsMax, place.key);
  const std::string path = place.directory + "/" + place.key;
  DS_ASSIGN_OR_RETURN(const Descriptor directory, OpenDirectory(place.directory));
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    DS_ASSIGN_OR_RETURN(std::optional<OpenRingFile> found, OpenExisting(directory, place, path));
    if (found.has_value()) return *std::move(found);
    DS_ASSIGN_OR_RETURN(std::optional<OpenRingFile> made, Make(directory, place, path));
    if (made.has_value()) {
      Sweep(place.directory);
      return *std::move(made);
    }
  }
  return Unavailable("cannot open {}: it was made and deleted {} times while we looked", path, kAttemptsMax);
}

Result<Descriptor> Reopen(const RingFile& file) {
  Descriptor descriptor(::open(file.path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!descriptor.valid()) return RingError(errno, "open", file.path);
  DS_ASSIGN_OR_RETURN(const struct stat info, StatusOf(descriptor.get(), file.path));
  if (info.st_dev != file.device || info.st_ino != file.inode)
    return Unavailable("{} was replaced while it was in use; open the table anew to join the new ring", file.path);
  if (!LockUsers(descriptor.get(), F_RDLCK)) return Unavailable("{} is being removed; open the table anew", file.path);
  return descriptor;
}

void RemoveIfLast(const RingFile& file, int descriptor) {
  if (LockUsers(descriptor, F_WRLCK)) RemoveIfNamed(file);
}

void Retire(const RingFile& file) {
  const Result<Descriptor> descriptor = Reopen(file);
  if (descriptor.ok()) RetireOpen(file, descriptor->get());
}

Result<Mapping> Mapping::Map(const Descriptor& descriptor, const std::string& path) {
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.get(), 0);
  if (memory == MAP_FAILED) return RingError(errno, "map", path);
  return Mapping(static_cast<Shared*>(memory));
}

Mapping::~Mapping() {
  if (shared_ != nullptr) ::munmap(shared_, sizeof(Shared));
}

}  // namespace datashard::ring
