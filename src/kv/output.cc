#include "kv/output.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "kv/spill_file.h"

namespace datashard::kv {

struct Output::State {
  int64_t memory_bytes_max;
  std::string spill_directory;
  Bytes memory;
  std::optional<SpillFile> file;
  int64_t size_bytes = 0;

  Status Spill() {
    DS_ASSIGN_OR_RETURN(file, SpillFile::Make(spill_directory));
    DS_RETURN_IF_ERROR(file->WriteAt(0, memory));
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
  if (!state.file && grown > state.memory_bytes_max) DS_RETURN_IF_ERROR(state.Spill());
  if (state.file) {
    DS_RETURN_IF_ERROR(state.file->WriteAt(state.size_bytes, bytes));
  } else {
    state.memory.append(bytes);
  }
  state.size_bytes = grown;
  return {};
}

Status Output::Rewrite(int64_t offset, ByteView bytes) {
  State& state = *state_;
  if (offset < 0 || offset + static_cast<int64_t>(bytes.size()) > state.size_bytes) {
    return Internal("rewriting {} bytes at {} of an output of {} bytes", bytes.size(), offset, state.size_bytes);
  }
  if (state.file) return state.file->WriteAt(offset, bytes);
  state.memory.replace(static_cast<size_t>(offset), bytes.size(), bytes);
  return {};
}

int64_t Output::size_bytes() const { return state_->size_bytes; }

Status Output::ForEachPiece(int64_t piece_bytes, const std::function<Status(ByteView piece)>& sink) const {
  const State& state = *state_;
  Bytes piece;
  for (int64_t offset = 0; offset < state.size_bytes; offset += piece_bytes) {
    const int64_t size = std::min(piece_bytes, state.size_bytes - offset);
    if (!state.file) {
      DS_RETURN_IF_ERROR(sink(ByteView(state.memory).substr(static_cast<size_t>(offset), static_cast<size_t>(size))));
      continue;
    }
    piece.resize(static_cast<size_t>(size));
    DS_RETURN_IF_ERROR(state.file->ReadAt(offset, size, piece.data()));
    DS_RETURN_IF_ERROR(sink(piece));
  }
  return {};
}

std::optional<ByteView> Output::in_memory() const {
  if (state_->file) return std::nullopt;
  return ByteView(state_->memory);
}

}  // namespace datashard::kv
