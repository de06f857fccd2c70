// Replacing one small object again and again without making and removing a file each time. Making a file is the dearest call
// of a commit on some file systems: ext4 without a journal looks past every inode that was freed within the last minutes.
#pragma once

#include <sys/types.h>

#include <mutex>
#include <string>

#include "base/bytes.h"
#include "storage/directory_tree.h"

namespace datashard {

/// Callable from several threads; a fork child gets a file of its own.
class SpareFile {
 public:
  /// Bodies above this are not worth it.
  static constexpr size_t kBytesMax = 64;

  /// The spare file lies in `directory`, under a name kept for temporaries.
  explicit SpareFile(DirectoryPtr directory) : directory_(std::move(directory)) {}
  SpareFile(const SpareFile&) = delete;
  SpareFile& operator=(const SpareFile&) = delete;
  ~SpareFile();

  /// Writes `body` into the spare file and lets it change places with what `name` in `directory` leads to, which is the
  /// spare file from then on. At every moment `name` leads to a whole file. Who opened the former one and has not read it by
  /// the time of the replacement after this one may find the newer body in it, so this is for hints only.
  /// \return false: nothing was done (in use by another thread, or the file system cannot do it); replace it another way.
  bool Replace(const Directory& directory, const std::string& name, ByteView body);

 private:
  bool Fill(ByteView body);
  void Drop();

  const DirectoryPtr directory_;
  std::mutex mutex_;  // only ever tried: a fork child may inherit it locked
  std::string name_;  // empty: there is none yet
  pid_t owner_ = 0;
  bool impossible_ = false;
};

}  // namespace datashard
