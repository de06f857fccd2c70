#include "kv/output.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "kv/spill_file.h"

namespace datashard::kv {

namespace {

constexpr size_t kHeapBytesMax = size_t{1} << 20;
constexpr size_t kHugePageBytes = size_t{2} << 20;
constexpr size_t kPagesAtFirst = size_t{64} << 20;  // of addresses: pages come as they are written

// Bytes that grow without being copied: on the heap while they are few, then in pages of their own, huge ones where the system has them. A
// string that doubles costs a database of 16 MiB a second copy and page faults by the thousand.
class Memory {
 public:
  Memory() = default;
  ~Memory() { Drop(); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  ByteView bytes() const { return pages_ == nullptr ? ByteView(heap_) : ByteView(pages_, used_); }
  char* data() { return pages_ == nullptr ? heap_.data() : pages_; }
  /// False where there is no memory: nothing was appended.
  bool Append(ByteView bytes) {
    if (pages_ == nullptr && heap_.size() + bytes.size() <= kHeapBytesMax) {
      heap_.append(bytes);
      return true;
    }
    const size_t used = this->bytes().size();
    if (!Reserve(used + bytes.size())) return false;
    std::memcpy(pages_ + used, bytes.data(), bytes.size());
    used_ = used + bytes.size();
    return true;
  }
  void Drop() {
    if (pages_ != nullptr) munmap(pages_, reserved_);
    pages_ = nullptr;
    used_ = reserved_ = 0;
    Bytes().swap(heap_);
  }

 private:
  bool Reserve(size_t size) {
    if (size <= reserved_) return true;
    const size_t wanted = (std::max({size, kPagesAtFirst, 2 * reserved_}) + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
    void* const made = pages_ == nullptr ? mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                                         : mremap(pages_, reserved_, wanted, MREMAP_MAYMOVE);
    if (made == MAP_FAILED) return false;
    (void)madvise(made, wanted, MADV_HUGEPAGE);
    if (pages_ == nullptr && !heap_.empty()) std::memcpy(made, heap_.data(), heap_.size());
    Bytes().swap(heap_);
    pages_ = static_cast<char*>(made);
    reserved_ = wanted;
    return true;
  }

  Bytes heap_;
  char* pages_ = nullptr;  // null: all is on the heap
  size_t used_ = 0;        // in pages_
  size_t reserved_ = 0;
};

}  // namespace

struct Output::State {
  int64_t memory_bytes_max;
  std::string spill_directory;
  Memory memory;
  std::optional<SpillFile> file;
  int64_t size_bytes = 0;

  Status Spill() {
    DS_ASSIGN_OR_RETURN(file, SpillFile::Make(spill_directory));
    DS_RETURN_IF_ERROR(file->WriteAt(0, memory.bytes()));
    memory.Drop();
    return {};
  }
};

Output::Output(int64_t memory_bytes_max, std::string spill_directory) : state_(new State{memory_bytes_max, std::move(spill_directory), {}, {}, 0}) {}
Output::~Output() = default;

Status Output::Append(ByteView bytes) {
  State& state = *state_;
  const auto grown = state.size_bytes + static_cast<int64_t>(bytes.size());
  const bool in_memory = !state.file && grown <= state.memory_bytes_max && state.memory.Append(bytes);
  if (!in_memory) {
    if (!state.file) DS_RETURN_IF_ERROR(state.Spill());
    DS_RETURN_IF_ERROR(state.file->WriteAt(state.size_bytes, bytes));
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
  std::copy(bytes.begin(), bytes.end(), state.memory.data() + offset);
  return {};
}

int64_t Output::size_bytes() const { return state_->size_bytes; }

Status Output::ForEachPiece(int64_t piece_bytes, const std::function<Status(ByteView piece)>& sink) const {
  const State& state = *state_;
  Bytes piece;
  for (int64_t offset = 0; offset < state.size_bytes; offset += piece_bytes) {
    const int64_t size = std::min(piece_bytes, state.size_bytes - offset);
    if (!state.file) {
      DS_RETURN_IF_ERROR(sink(state.memory.bytes().substr(static_cast<size_t>(offset), static_cast<size_t>(size))));
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
  return state_->memory.bytes();
}

}  // namespace datashard::kv
