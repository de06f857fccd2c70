// A file that has no visible name until its content is complete: unnamed (O_TMPFILE, a crash leaves nothing behind), or
// under a temporary name where the file system has no unnamed files.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "storage/directory_tree.h"

namespace datashard {

/// One thread at a time. Destroyed without a name, it leaves nothing behind.
class NewFile {
 public:
  /// An empty file in `directory`. `path` is what the file will be called, for messages.
  static Result<NewFile> Create(DirectoryPtr directory, std::string path);
  /// The same under a temporary name, as RenameOver needs it.
  static Result<NewFile> CreateNamed(DirectoryPtr directory, std::string path);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  Status Append(ByteView bytes);
  int64_t size_bytes() const { return size_bytes_; }
  /// When it was last written, by the clock of the file system.
  Result<Instant> Modified() const;
  /// Starts writing to disk what was appended since the last call, and does not wait.
  Status StartWriteBack();
  /// Makes the content durable. After an error the file is lost: the kernel reports a lost page only once.
  Status SyncData();

  /// Gives the file its name if that is free; the name is not durable yet.
  /// Errors: kAlreadyExists; kUnsupported where the file system has neither hard links nor an exclusive rename;
  /// kCommitUnknown where the answer of a file server was lost; any other: the name was not created by us.
  Status LinkExclusively(std::string_view name);
  /// LinkExclusively, then the name is made durable. Errors also: kInternal where the content was not synced before;
  /// kCommitUnknown where the name is there and could not be made durable.
  Status PublishDurably(std::string_view name);
  /// Closes the file and gives it the name in `directory` (its own or another one) in place of whatever file has it: at
  /// every moment one of the two has it. Errors: among others kInvalidArgument where that is on another file system.
  Status RenameOver(const Directory& directory, std::string_view name);
  /// Does `name` in its directory lead to this very file? A look at the name alone: the file is held open, so that no
  /// other can get its inode, and a link count would be wrong beside backups that are made of hard links.
  Result<bool> StillNamed(std::string_view name);

  const DirectoryPtr& directory() const { return directory_; }

 private:
  NewFile(DirectoryPtr directory, std::string path, Fd fd, std::string temporary_name);
  Status BecomeNamed();
  int TryLink(const std::string& name) const;
  int TryRename(const std::string& name);
  Result<bool> HasName(const std::string& name);
  void DropTemporaryName();

  DirectoryPtr directory_;
  std::string path_;
  Fd fd_;
  std::string temporary_name_;  // empty: the file is unnamed, or has its final name
  pid_t owner_;                 // a fork child that drops its copy of this object must not remove the name
  int64_t size_bytes_ = 0;
  int64_t written_back_bytes_ = 0;
  bool synced_ = false;
};

}  // namespace datashard
