// The store on a directory: reads, single-object writes and listings. Groups of writes are in local_write_group.cc.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/uri.h"
#include "storage/keys.h"
#include "storage/local_leftovers.h"
#include "storage/local_lock.h"
#include "storage/local_name_watch.h"
#include "storage/local_root.h"
#include "storage/local_tombstones.h"
#include "storage/local_write_group.h"
#include "storage/new_file.h"
#include "storage/object_store.h"
#include "storage/spare_file.h"

namespace datashard {
namespace {

// Opening a named pipe must not wait for its writer, nor a terminal become ours.
constexpr int kReadFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
// Whole objects are taken in as they arrive: a size alone does not make us allocate more than this.
constexpr int64_t kReadStepBytes = 64 << 20;

struct OpenFile {
  Fd fd;
  int64_t size_bytes = 0;
  Instant modified;
};

/// Opens `key` if it is a regular file. Errors: kNotFound, kInvalidArgument, kDenied, kUnavailable.
Result<OpenFile> OpenRegular(const Beneath& beneath, std::string_view key, int flags) {
  DS_RETURN_IF_ERROR(CheckObjectKey(key));
  OpenFile file;
  const int fd = beneath.Open(key, flags);
  // ENXIO: a socket. ENOTDIR: a part of the path is a file, so there is nothing below it.
  if (fd == -ENOENT || fd == -ENOTDIR || fd == -ENXIO) return NotFound("{} does not exist", beneath.PathOf(key));
  if (fd < 0) return IoError(-fd, "read", beneath.PathOf(key));
  file.fd = Fd(fd);
  struct stat info;
  if (::fstat(fd, &info) != 0) return IoError(errno, "read", beneath.PathOf(key));
  if (!S_ISREG(info.st_mode)) return NotFound("{} is not a file", beneath.PathOf(key));
  file.size_bytes = info.st_size;
  file.modified = ModifiedTime(info);
  return file;
}

/// Reads exactly `size` bytes at `offset` of a file that had them when it was opened.
Status ReadExactly(const Fd& fd, const std::string& path, int64_t offset, int64_t size, void* out) {
  const int64_t count = ReadAllAt(fd.get(), offset, size, out);
  if (count < 0) return IoError(static_cast<int>(-count), "read", path);
  if (count < size)
    return Corruption("{} became shorter while it was read: expected {} bytes at offset {}, found {}", path, size, offset,
                      count);
  return {};
}

Result<Bytes> ReadBytes(const OpenFile& file, const std::string& path, int64_t offset, int64_t size) {
  if (size > kWholeObjectBytesMax)
    return Unsupported("{}: {} bytes are too many to read at once (at most {}); read them in ranges", path, size,
                       kWholeObjectBytesMax);
  Bytes body;
  while (static_cast<int64_t>(body.size()) < size) {
    const int64_t done = static_cast<int64_t>(body.size());
    const int64_t step = std::min(size - done, kReadStepBytes);
    body.resize(static_cast<size_t>(done + step));
    DS_RETURN_IF_ERROR(ReadExactly(file.fd, path, offset + done, step, body.data() + done));
  }
  return body;
}

class LocalReader final : public ObjectReader {
 public:
  LocalReader(const Beneath& beneath, OpenFile file, std::string key)
      : beneath_(beneath), file_(std::move(file)), key_(std::move(key)), path_(beneath.PathOf(key_)) {}
  int64_t size_bytes() const override { return file_.size_bytes; }
  Result<int64_t> ReadAt(int64_t offset, int64_t size, void* out) override {
    DS_RETURN_IF_ERROR(CheckRange(path_, offset, size));
    const int64_t wanted = std::clamp<int64_t>(file_.size_bytes - offset, 0, size);
    DS_RETURN_IF_ERROR(ReadExactly(file_.fd, path_, offset, wanted, out));
    return wanted;
  }
  Result<bool> StillNamed() override {
    const int fd = beneath_.Open(key_, O_PATH);
    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ESTALE) return false;
    if (fd < 0) return IoError(-fd, "look at", path_);
    const Fd named(fd);
    DS_ASSIGN_OR_RETURN(const std::optional<FileIdentity> there, IdentityAt(named.get(), ""));
    DS_ASSIGN_OR_RETURN(const std::optional<FileIdentity> ours, IdentityAt(file_.fd.get(), ""));
    return there && there == ours;
  }

 private:
  const Beneath& beneath_;
  OpenFile file_;
  std::string key_;
  std::string path_;
};

class LocalStore final : public ObjectStore {
 public:
  LocalStore(Beneath beneath, bool made_root)
      : beneath_(std::move(beneath)), root_uri_(FileUri(beneath_.root_path())), tree_(beneath_, made_root),
        tombstones_(beneath_) {}

  const std::string& root_uri() const override { return root_uri_; }
  bool durable_when_visible() const override { return false; }
  std::unique_ptr<WriteGroup> NewWriteGroup() override { return NewLocalWriteGroup(beneath_, tree_); }

  Status PutIfAbsent(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    const auto [directory_key, name] = SplitKey(key);
    DS_ASSIGN_OR_RETURN(const DirectoryPtr directory, tree_.FindOrMake(directory_key));
    DS_ASSIGN_OR_RETURN(NewFile file, NewFile::Create(directory, beneath_.PathOf(key)));
    DS_RETURN_IF_ERROR(file.Append(body));
    DS_RETURN_IF_ERROR(file.SyncData());
    DS_RETURN_IF_ERROR(tree_.SyncParents({directory}));
    return file.PublishDurably(name);
  }

  Status Replace(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    const auto [directory_key, name] = SplitKey(key);
    DS_ASSIGN_OR_RETURN(const DirectoryPtr directory, tree_.FindOrMake(directory_key));
    // The temporary file lies in the root, so that who follows the names of the directory hears of one event, not three.
    // Where the directory is on another file system (or has a quota of its own) it must lie beside the name.
    if (WriteAndRename(staging_, body, *directory, name, beneath_.PathOf(key)).ok()) return {};
    return WriteAndRename(directory, body, *directory, name, beneath_.PathOf(key));
  }

  Status ReplaceIf(std::string_view key, ByteView body, std::string_view tag) override;

  Status ReplaceHint(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    const auto [directory_key, name] = SplitKey(key);
    DS_ASSIGN_OR_RETURN(const DirectoryPtr directory, tree_.FindOrMake(directory_key));
    if (spare_.Replace(*directory, std::string(name), body)) return {};
    return Replace(key, body);
  }

  Status DropBody(std::string_view key, ByteView tombstone) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    DS_ASSIGN_OR_RETURN(const bool linked, tombstones_.Link(key, tombstone));
    return linked ? Status() : Replace(key, tombstone);
  }

  Result<Bytes> Get(std::string_view key) override {
    DS_ASSIGN_OR_RETURN(const OpenFile file, OpenRegular(beneath_, key, kReadFlags));
    return ReadBytes(file, beneath_.PathOf(key), 0, file.size_bytes);
  }

  Result<Bytes> GetRange(std::string_view key, ByteRange range) override {
    DS_RETURN_IF_ERROR(CheckRange(key, range.offset_bytes, range.size_bytes));
    DS_ASSIGN_OR_RETURN(const OpenFile file, OpenRegular(beneath_, key, kReadFlags));
    const int64_t size = std::clamp<int64_t>(file.size_bytes - range.offset_bytes, 0, range.size_bytes);
    return ReadBytes(file, beneath_.PathOf(key), range.offset_bytes, size);
  }

  Result<std::unique_ptr<ObjectReader>> OpenReader(std::string_view key) override {
    DS_ASSIGN_OR_RETURN(OpenFile file, OpenRegular(beneath_, key, kReadFlags));
    return std::unique_ptr<ObjectReader>(std::make_unique<LocalReader>(beneath_, std::move(file), std::string(key)));
  }

  Result<ObjectInfo> Head(std::string_view key) override {
    DS_ASSIGN_OR_RETURN(const OpenFile file, OpenRegular(beneath_, key, O_PATH));
    return ObjectInfo{.key = std::string(key), .size_bytes = file.size_bytes, .modified = file.modified};
  }

  Result<std::vector<ObjectInfo>> List(std::string_view prefix) override;

  Status Delete(std::string_view key) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    const auto [directory_key, name] = SplitKey(key);
    const int directory_fd = beneath_.Open(directory_key, O_PATH | O_DIRECTORY);
    if (directory_fd == -ENOENT || directory_fd == -ENOTDIR) return {};
    if (directory_fd < 0) return IoError(-directory_fd, "delete", beneath_.PathOf(key));
    const Fd directory(directory_fd);
    const std::string name_text(name);
    // EISDIR: a directory is no object, so there is nothing to remove.
    if (::unlinkat(directory.get(), name_text.c_str(), 0) == 0 || errno == ENOENT || errno == EISDIR) return {};
    return IoError(errno, "delete", beneath_.PathOf(key));
  }

  Result<std::vector<ObjectInfo>> RemoveLeftovers(const LeftoverOptions& options) override {
    return RemoveLocalLeftovers(beneath_, options);
  }

  std::unique_ptr<NameWatch> WatchNames(std::string_view directory_key, NameFilter accept) override {
    return NewLocalNameWatch(beneath_, std::string(directory_key), std::move(accept));
  }

  Result<Instant> ServerTime() override {
    // A file server stamps with its own clock; making a file asks it.
    DS_ASSIGN_OR_RETURN(NewFile file, NewFile::CreateNamed(staging_, beneath_.PathOf("(a file to ask for the time)")));
    return file.Modified();
  }

 private:
  Status ListDirectory(const std::string& directory_key, std::vector<std::string>& subdirectories,
                       std::vector<ObjectInfo>& objects) const;

  static Status WriteAndRename(const DirectoryPtr& temporary_in, ByteView body, const Directory& directory,
                               std::string_view name, const std::string& path) {
    DS_ASSIGN_OR_RETURN(NewFile file, NewFile::CreateNamed(temporary_in, path));
    DS_RETURN_IF_ERROR(file.Append(body));
    return file.RenameOver(directory, name);
  }

  const Beneath beneath_;
  const std::string root_uri_;
  DirectoryTree tree_;
  LocalTombstones tombstones_;
  /// The root, where files that are about to be renamed are made.
  const DirectoryPtr staging_ = std::make_shared<Directory>(Directory{.key = {}, .fd = Fd(beneath_.Open("", O_PATH | O_DIRECTORY)), .identity = {}});
  SpareFile spare_{staging_};
};

Status LocalStore::ReplaceIf(std::string_view key, ByteView body, std::string_view tag) {
  DS_RETURN_IF_ERROR(CheckObjectKey(key));
  const auto [directory_key, name] = SplitKey(key);
  const std::string path = beneath_.PathOf(key);
  DS_ASSIGN_OR_RETURN(const DirectoryPtr directory, tree_.FindOrMake(directory_key));
  // Before the lock, so that others wait for one sync and not for three.
  DS_ASSIGN_OR_RETURN(NewFile file, NewFile::CreateNamed(directory, path));
  DS_RETURN_IF_ERROR(file.Append(body));
  DS_RETURN_IF_ERROR(file.SyncData());
  DS_RETURN_IF_ERROR(tree_.SyncParents({directory}));
  DS_ASSIGN_OR_RETURN(const LocalLock lock, LocalLock::Take(*directory, path));
  const Result<TaggedBody> now = GetTagged(key);
  if (!now.ok() && now.kind() != ErrorKind::kNotFound) return now.error();
  if ((now.ok() ? std::string_view(now->tag) : std::string_view()) != tag)
    return Conflict("{} is no longer what was read; read it and plan again", path);
  DS_RETURN_IF_ERROR(file.RenameOver(*directory, name));
  if (const int error = SyncDirectory(directory->fd.get()); error != 0)
    return CommitUnknown("{} was replaced, but that may be lost in a power failure: {}", path,
                         IoError(error, "sync the directory of", path).message());
  return {};
}

/// Appends the objects directly in `directory_key`, and the keys of the directories in it.
Status LocalStore::ListDirectory(const std::string& directory_key, std::vector<std::string>& subdirectories,
                                 std::vector<ObjectInfo>& objects) const {
  const std::string path = beneath_.PathOf(directory_key);
  const int fd = beneath_.Open(directory_key, O_RDONLY | O_DIRECTORY);
  if (fd == -ENOENT || fd == -ENOTDIR) return {};  // removed meanwhile, or never there
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
    if (name == "." || name == ".." || IsReservedName(name)) continue;
    std::string key = directory_key.empty() ? std::string(name) : directory_key + "/" + std::string(name);
    if (entry->d_type == DT_DIR) {
      subdirectories.push_back(std::move(key));
      continue;
    }
    struct stat info;
    if (::fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;
      return IoError(errno, "list", beneath_.PathOf(key));
    }
    if (S_ISDIR(info.st_mode)) {
      subdirectories.push_back(std::move(key));
    } else if (S_ISREG(info.st_mode)) {
      objects.push_back({.key = std::move(key), .size_bytes = info.st_size, .modified = ModifiedTime(info)});
    } else if (S_ISLNK(info.st_mode)) {
      // A link to a file below the root is an object like others. Links to directories are not followed: they would
      // list files twice, or for ever. Links that lead out or nowhere are no objects.
      const Fd target(beneath_.Open(key, O_PATH));
      if (target.valid() && ::fstat(target.get(), &info) == 0 && S_ISREG(info.st_mode))
        objects.push_back({.key = std::move(key), .size_bytes = info.st_size, .modified = ModifiedTime(info), .is_link = true});
    }
  }
}

Result<std::vector<ObjectInfo>> LocalStore::List(std::string_view prefix) {
  DS_RETURN_IF_ERROR(CheckListPrefix(prefix));
  std::vector<ObjectInfo> objects;
  std::vector<std::string> directories;
  directories.emplace_back(prefix.substr(0, prefix.empty() ? 0 : prefix.size() - 1));
  while (!directories.empty()) {
    const std::string directory = std::move(directories.back());
    directories.pop_back();
    DS_RETURN_IF_ERROR(ListDirectory(directory, directories, objects));
  }
  std::ranges::sort(objects, {}, &ObjectInfo::key);
  return objects;
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> OpenLocalStore(std::string_view path, bool create) {
  DS_ASSIGN_OR_RETURN(Beneath beneath, OpenLocalRoot(path, create));
  return std::unique_ptr<ObjectStore>(std::make_unique<LocalStore>(std::move(beneath), create));
}

}  // namespace datashard
