#include "storage/new_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "storage/keys.h"

namespace datashard {
namespace {

constexpr mode_t kFileMode = 0666;  // less the umask
constexpr int64_t kCopyBytes = 1 << 20;

/// Does this file system (or this way of naming) lack the operation, so that the next way is worth a try? EPERM is what
/// file systems without hard links answer.
bool IsMissingOperation(int error) {
  return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK;
}

/// Answers after which the name was certainly not created. Others (EIO, ETIMEDOUT, ESTALE …) may mean that a file
/// server did it and its answer was lost.
bool IsCertain(int error) {
  switch (error) {
    case EACCES: case EPERM: case EROFS: case ENOSPC: case EDQUOT: case ENAMETOOLONG: case ENOENT: case ENOTDIR:
    case EISDIR: case EMLINK: case EINVAL: case ELOOP: case ENOSYS: case EOPNOTSUPP: case EXDEV: case ENOMEM:
      return true;
    default: return false;
  }
}

Error CannotCreate(int error, const Directory& directory, const std::string& path) {
  // In a removed directory file systems answer ENOENT, EPERM or EINVAL.
  struct stat info;
  if (error == ENOENT || (::fstat(directory.fd.get(), &info) == 0 && info.st_nlink == 0))
    return NotFound("cannot create {}: its directory was removed meanwhile", path);
  return IoError(error, "create", path);
}

}  // namespace

NewFile::NewFile(DirectoryPtr directory, std::string path, Fd fd, std::string temporary_name)
    : directory_(std::move(directory)),
      path_(std::move(path)),
      fd_(std::move(fd)),
      temporary_name_(std::move(temporary_name)),
      owner_(::getpid()) {}

NewFile::NewFile(NewFile&& other) noexcept
    : directory_(std::move(other.directory_)),
      path_(std::move(other.path_)),
      fd_(std::move(other.fd_)),
      temporary_name_(std::exchange(other.temporary_name_, {})),
      owner_(other.owner_),
      size_bytes_(other.size_bytes_),
      written_back_bytes_(other.written_back_bytes_),
      synced_(other.synced_) {}

NewFile::~NewFile() { DropTemporaryName(); }

Result<NewFile> NewFile::Create(DirectoryPtr directory, std::string path) {
  // Readable too, so that BecomeNamed can copy it.
  Fd fd(Uninterrupted([&] { return ::openat(directory->fd.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, kFileMode); }));
  if (fd.valid()) return NewFile(std::move(directory), std::move(path), std::move(fd), {});
  // Kernels and file systems that do not know O_TMPFILE see the opening of a directory for writing: EISDIR.
  if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOSYS)
    return CreateNamed(std::move(directory), std::move(path));
  return CannotCreate(errno, *directory, path);
}

Result<NewFile> NewFile::CreateNamed(DirectoryPtr directory, std::string path) {
  for (;;) {
    std::string name = TemporaryName();
    Fd fd(Uninterrupted([&] {
      return ::openat(directory->fd.get(), name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, kFileMode);
    }));
    if (fd.valid()) return NewFile(std::move(directory), std::move(path), std::move(fd), std::move(name));
    if (errno != EEXIST) return CannotCreate(errno, *directory, path);
  }
}

Status NewFile::Append(ByteView bytes) {
  if (const int error = WriteAll(fd_.get(), bytes); error != 0) return IoError(error, "write", path_);
  size_bytes_ += static_cast<int64_t>(bytes.size());
  synced_ = false;
  return {};
}

Result<Instant> NewFile::Modified() const {
  struct stat info;
  if (::fstat(fd_.get(), &info) != 0) return IoError(errno, "look at", path_);
  return ModifiedTime(info);
}

Status NewFile::StartWriteBack() {
  if (size_bytes_ == written_back_bytes_) return {};
  const int64_t start = std::exchange(written_back_bytes_, size_bytes_);
  if (Uninterrupted([&] { return ::sync_file_range(fd_.get(), start, size_bytes_ - start, SYNC_FILE_RANGE_WRITE); }) == 0)
    return {};
  // Where there is no such call, SyncData does all the work. Real errors may be reported here and nowhere else.
  if (errno == ENOSYS || errno == EINVAL || errno == EOPNOTSUPP || errno == ESPIPE) return {};
  return IoError(errno, "write", path_);
}

Status NewFile::SyncData() {
  if (synced_) return {};
  if (Uninterrupted([&] { return ::fdatasync(fd_.get()); }) != 0) return IoError(errno, "sync", path_);
  synced_ = true;
  return {};
}

Status NewFile::LinkExclusively(std::string_view name_text) {
  const std::string name(name_text);
  int error = TryLink(name);
  if (temporary_name_.empty() && (IsMissingOperation(error) || error == ENOENT)) {
    // No /proc, or unnamed files but no links to them.
    DS_RETURN_IF_ERROR(BecomeNamed());
    error = TryLink(name);
  }
  if (IsMissingOperation(error)) {
    error = TryRename(name);
    if (error == EINVAL || IsMissingOperation(error)) {
      return Unsupported("cannot create {}: its file system has neither hard links nor an exclusive rename, so two writers "
                         "could overwrite each other's commits; keep the table on another file system", path_);
    }
  }
  // The name may be ours though the answer is an error: a file server saw our request twice, or its answer was lost. No
  // other file can have the inode that we hold open.
  if (error != 0 && (error == EEXIST || !IsCertain(error))) {
    const Result<bool> ours = HasName(name);
    if (ours.ok() && *ours) error = 0;
  }
  if (error == 0) {
    DropTemporaryName();
    return {};
  }
  if (error == EEXIST) return AlreadyExists("{} exists", path_);
  if (IsCertain(error)) return CannotCreate(error, *directory_, path_);
  return CommitUnknown("whether {} was created is unknown: {}; look whether it is there", path_,
                       IoError(error, "link", path_).message());
}

Status NewFile::PublishDurably(std::string_view name) {
  if (!synced_) return Internal("{} is published before its content was synced", path_);
  DS_RETURN_IF_ERROR(LinkExclusively(name));
  if (const int error = SyncDirectory(directory_->fd.get()); error != 0) {
    return CommitUnknown("{} was created, but may be lost in a power failure: {}", path_,
                         IoError(error, "sync the directory of", path_).message());
  }
  return {};
}

Status NewFile::RenameOver(const Directory& directory, std::string_view name) {
  if (const int error = fd_.Close(); error != 0) return IoError(error, "write", path_);
  const std::string to(name);
  if (::renameat(directory_->fd.get(), temporary_name_.c_str(), directory.fd.get(), to.c_str()) != 0)
    return CannotCreate(errno, directory, path_);
  temporary_name_.clear();
  return {};
}

Result<bool> NewFile::StillNamed(std::string_view name) { return HasName(std::string(name)); }

/// 0 or an errno.
int NewFile::TryLink(const std::string& name) const {
  const int to = directory_->fd.get();
  if (temporary_name_.empty()) {
    // AT_EMPTY_PATH would do without /proc, but wants a capability on kernels before 6.10.
    const std::string from = fmt::format("/proc/self/fd/{}", fd_.get());
    return ::linkat(AT_FDCWD, from.c_str(), to, name.c_str(), AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
  }
  return ::linkat(to, temporary_name_.c_str(), to, name.c_str(), 0) == 0 ? 0 : errno;
}

/// 0 or an errno.
int NewFile::TryRename(const std::string& name) {
  const int at = directory_->fd.get();
  if (::renameat2(at, temporary_name_.c_str(), at, name.c_str(), RENAME_NOREPLACE) != 0) return errno;
  temporary_name_.clear();
  return 0;
}

Status NewFile::BecomeNamed() {
  DS_ASSIGN_OR_RETURN(NewFile named, CreateNamed(directory_, path_));
  Bytes buffer;
  for (int64_t offset = 0; offset < size_bytes_; offset += static_cast<int64_t>(buffer.size())) {
    buffer.resize(static_cast<size_t>(std::min(kCopyBytes, size_bytes_ - offset)));
    const int64_t count = ReadAllAt(fd_.get(), offset, static_cast<int64_t>(buffer.size()), buffer.data());
    if (count != static_cast<int64_t>(buffer.size())) return IoError(count < 0 ? static_cast<int>(-count) : EIO, "read back", path_);
    DS_RETURN_IF_ERROR(named.Append(buffer));
  }
  if (synced_) DS_RETURN_IF_ERROR(named.SyncData());
  fd_ = std::move(named.fd_);
  temporary_name_ = std::exchange(named.temporary_name_, {});
  written_back_bytes_ = 0;
  return {};
}

/// Does `name` lead to this very file?
Result<bool> NewFile::HasName(const std::string& name) {
  DS_ASSIGN_OR_RETURN(const std::optional<FileIdentity> ours, IdentityAt(fd_.get(), ""));
  if (!ours) return Internal("{} has no inode", path_);
  DS_ASSIGN_OR_RETURN(const std::optional<FileIdentity> named, IdentityAt(directory_->fd.get(), name));
  return named == ours;
}

void NewFile::DropTemporaryName() {
  if (temporary_name_.empty()) return;
  // A name that cannot be removed stays as hidden litter; the file's fate is decided already.
  if (owner_ == ::getpid()) (void)::unlinkat(directory_->fd.get(), temporary_name_.c_str(), 0);
  temporary_name_.clear();
}

}  // namespace datashard
