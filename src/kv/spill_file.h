// A file of this machine that nobody else sees: for what does not fit into memory for a while.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "datashard/result.h"
#include "storage/posix_file.h"

namespace datashard::kv {

/// A file without a name, which goes with its descriptor, also when the process is killed. Several threads may write and read parts that do
/// not overlap. Errors of all calls: kUnavailable (disk full, say) and kDenied, with the directory in the message.
class SpillFile {
 public:
  /// Makes `directory` where it is missing.
  static Result<SpillFile> Make(std::string directory);

  Status WriteAt(int64_t offset, ByteView bytes);
  /// Errors: also kInternal, where fewer bytes than these were written there.
  Status ReadAt(int64_t offset, int64_t size, char* out) const;
  const std::string& directory() const { return directory_; }

 private:
  SpillFile(Fd file, std::string directory) : file_(std::move(file)), directory_(std::move(directory)) {}

  Fd file_;
  std::string directory_;
};

}  // namespace datashard::kv
