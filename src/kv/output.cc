#include "kv/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "storage/posix_file.h"

namespace datashard::kv {
namespace {

// A file that nobody else sees and that goes with its descriptor, also when the process is killed.
Result<Fd> UnnamedFile(const std::string& directory) {
  std::error_code made;
  std::filesystem::create_directories(directory, made);
  if (made) return IoError(made.value(), "make the spill directory", directory);
  Fd file(Uninterrupted([&] { return open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); }));
  if (file.valid()) return file;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) return IoError(errno, "make a spill file in", directory);
  std::string name = directory + "/.datashard-spill-XXXXXX";  // file systems without unnamed files
  Fd named(mkostemp(name.data(), O_CLOEXEC));
  if (!named.valid()) return IoError(errno, "make a spill file in", directory);
  unlink(name.c_str());
  return named;
}

}  // namespace

struct Output::State {
  int64_t memory_bytes_max;
  std::string spill_directory;
  Bytes memory;
  Fd file;
  int64_t size_bytes = 0;

  Status Spill() {
    DS_ASSIGN_OR_RETURN(file, UnnamedFile(spill_directory));
    if (const int error = WriteAll(file.get(), memory); error != 0) return IoError(error, "write to a spill file in", spill_directory);
    Bytes().swap(memory);
    return {};
  }
};

Output::Output(int64_t memory_bytes_max, std::string spill_directory)
    : state_(new State{memory_bytes_max, std::move(spill_directory), {}, {}, 0}) {}
Output::~Output() = default;

Status Output::Append(ByteView bytes) {
  State& state = *state_;
  const auto grown = state.size_bytes + static_cast<int64_t>(bytes.size());
  if (!state.file.valid() && grown > state.memory_bytes_max) DS_RETURN_IF_ERROR(state.Spill());
  if (!state.file.valid()) {
    state.memory.append(bytes);
  } else if (const int error = WriteAll(state.file.get(), bytes); error != 0) {
    return IoError(error, "write to a spill file in", state.spill_directory);
  }
  state.size_bytes = grown;
  return {};
}

Status Output::Rewrite(int64_t offset, ByteView bytes) {
  State& state = *state_;
  if (offset < 0 || offset + static_cast<int64_t>(bytes.size()) > state.size_bytes) {
    return Internal("rewriting {} bytes at {} of an output of {} bytes", bytes.size(), offset, state.size_bytes);
  }
  if (!state.file.valid()) {
    state.memory.replace(static_cast<size_t>(offset), bytes.size(), bytes);
    return {};
  }
  while (!bytes.empty()) {
    const ssize_t wrote = Uninterrupted([&] { return pwrite(state.file.get(), bytes.data(), bytes.size(), offset); });
    if (wrote < 0) return IoError(errno, "write to a spill file in", state.spill_directory);
    bytes.remove_prefix(static_cast<size_t>(wrote));
    offset += wrote;
  }
  return {};
}

int64_t Output::size_bytes() const { return state_->size_bytes; }

Status Output::ForEachPiece(int64_t piece_bytes, const std::function<Status(ByteView piece)>& sink) const {
  const State& state = *state_;
  Bytes piece;
  for (int64_t offset = 0; offset < state.size_bytes; offset += piece_bytes) {
    const int64_t size = std::min(piece_bytes, state.size_bytes - offset);
    if (!state.file.valid()) {
      DS_RETURN_IF_ERROR(sink(ByteView(state.memory).substr(static_cast<size_t>(offset), static_cast<size_t>(size))));
      continue;
    }
    piece.resize(static_cast<size_t>(size));
    const int64_t read = ReadAllAt(state.file.get(), offset, size, piece.data());
    if (read < 0) return IoError(static_cast<int>(-read), "read a spill file in", state.spill_directory);
    if (read != size) return Internal("a spill file in {} became shorter", state.spill_directory);
    DS_RETURN_IF_ERROR(sink(piece));
  }
  return {};
}

std::optional<ByteView> Output::in_memory() const {
  if (state_->file.valid()) return std::nullopt;
  return ByteView(state_->memory);
}

}  // namespace datashard::kv
