// Opening what lies below a directory, and nothing else: symbolic links may lead around inside, never out.
#pragma once

#include <string>
#include <string_view>

#include "storage/posix_file.h"

namespace datashard {

/// Callable from several threads.
class Beneath {
 public:
  /// `root` is a descriptor (O_PATH is enough) of the directory at `root_path`, which has no links in it.
  Beneath(Fd root, std::string root_path);

  int root() const { return root_.get(); }
  const std::string& root_path() const { return root_path_; }
  /// The absolute path of `key` ("" is the root), for messages.
  std::string PathOf(std::string_view key) const;

  /// Opens the existing `key` ("" is the root) with `flags`; O_CLOEXEC is added. The descriptor, or a negative errno:
  /// -EXDEV where a symbolic link leads out. `flags` must not create.
  int Open(std::string_view key, int flags) const;

 private:
  Fd root_;
  std::string root_path_;
  bool has_openat2_;
};

}  // namespace datashard
