// Names of a local store whose body was dropped: hard links of one small file, so that a hundred thousand of them use
// neither inodes nor blocks.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "datashard/result.h"
#include "storage/beneath.h"

namespace datashard {

/// Callable from several threads and processes. The shared files lie in the root under TombstoneName(0), (1), …; the next
/// one is made when the file system allows no more links of those before (65,000 on ext4). They are synced when they are
/// made, their links are not.
class LocalTombstones {
 public:
  explicit LocalTombstones(const Beneath& beneath) : beneath_(beneath) {}

  /// Puts a link of a file with `body` in place of the file `key`. The link is made in the root and renamed, so that the
  /// directory of `key` has one event.
  /// \return false: nothing was done, because links are impossible here. Errors: those of the rename.
  Result<bool> Link(std::string_view key, ByteView body);

 private:
  int LinkTo(const std::string& temporary, ByteView body);
  int TryLink(int number, const std::string& temporary) const;
  int MakeUsable(int number, ByteView body) const;

  const Beneath& beneath_;
  // Where the lock is not free at once (a fork child may inherit it locked), the caller writes a body of its own.
  std::mutex mutex_;
  int number_ = -1;  // of the file that had room last, and that holds:
  Bytes body_;
};

}  // namespace datashard
