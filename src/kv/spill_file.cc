#include "kv/spill_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "base/error.h"

namespace datashard::kv {

Result<SpillFile> SpillFile::Make(std::string directory) {
  std::error_code made;
  std::filesystem::create_directories(directory, made);
  if (made) return IoError(made.value(), "make the spill directory", directory);
  Fd file(Uninterrupted([&] { return open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); }));
  if (file.valid()) return SpillFile(std::move(file), std::move(directory));
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) return IoError(errno, "make a spill file in", directory);
  std::string name = directory + "/.datashard-spill-XXXXXX";  // file systems without unnamed files
  Fd named(mkostemp(name.data(), O_CLOEXEC));
  if (!named.valid()) return IoError(errno, "make a spill file in", directory);
  unlink(name.c_str());
  return SpillFile(std::move(named), std::move(directory));
}

Status SpillFile::WriteAt(int64_t offset, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = Uninterrupted([&] { return pwrite(file_.get(), bytes.data(), bytes.size(), offset); });
    if (wrote < 0) return IoError(errno, "write to a spill file in", directory_);
    bytes.remove_prefix(static_cast<size_t>(wrote));
    offset += wrote;
  }
  return {};
}

Status SpillFile::ReadAt(int64_t offset, int64_t size, char* out) const {
  const int64_t read = ReadAllAt(file_.get(), offset, size, out);
  if (read < 0) return IoError(static_cast<int>(-read), "read a spill file in", directory_);
  if (read != size) return Internal("a spill file in {} became shorter", directory_);
  return {};
}

}  // namespace datashard::kv
