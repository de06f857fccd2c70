// Who may replace objects of a directory by comparing first: one at a time, on this machine and, where the file system's locks reach
// that far, on others.
#pragma once

#include <string>

#include "storage/directory_tree.h"
#include "storage/posix_file.h"

namespace datashard {

/// Held from Take until it is destroyed, or the process dies. Between threads too.
class LocalLock {
 public:
  /// Waits for it. The lock lies on a file ".datashard-lock.tmp" of `directory`, made as needed and never removed: whoever held a removed
  /// one would hold it alone. `path`: what it is taken for, in messages. Errors: kDenied, kUnavailable.
  static Result<LocalLock> Take(const Directory& directory, const std::string& path);
  LocalLock(LocalLock&&) noexcept = default;
  LocalLock& operator=(LocalLock&&) = delete;
  ~LocalLock();

 private:
  explicit LocalLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace datashard
