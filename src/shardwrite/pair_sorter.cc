#include "shardwrite/pair_sorter.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/quiet_thread.h"
#include "shardwrite/sort_entries.h"

namespace datashard::shardwrite {
namespace {

constexpr int64_t kHugePageBytes = int64_t{2} << 20;
constexpr int64_t kSmallChunkBytes = int64_t{16} << 10;
constexpr int64_t kPairBytesMax = INT32_MAX;
constexpr int64_t kBytesPerEntry = 2 * sizeof(SortEntry);  // the index and the scratch of sorting it
constexpr int64_t kRunBufferBytesMin = int64_t{16} << 10;
constexpr int64_t kRunBufferBytesMax = int64_t{1} << 20;
constexpr int64_t kFanInMax = 64;
constexpr size_t kPrefetchPairs = 16;

// In memory, sorted: repeats lie side by side, the newest last.
class HeldCursor final : public kv::Cursor {
 public:
  explicit HeldCursor(std::span<const SortEntry> entries) : entries_(entries) {}
  Result<bool> Next() override {
    if (next_ == entries_.size()) return false;
    while (next_ + 1 < entries_.size() && entries_[next_ + 1].word == entries_[next_].word &&
           KeyOf(entries_[next_ + 1].pair) == KeyOf(entries_[next_].pair)) {
      ++next_;
    }
    // Pairs lie in the order they came: without this the reader waits for memory at every one.
    if (next_ + kPrefetchPairs < entries_.size()) {
      const char* ahead = entries_[next_ + kPrefetchPairs].pair;
      __builtin_prefetch(ahead);
      __builtin_prefetch(ahead + 64);
    }
    pair_ = entries_[next_++].pair;
    return true;
  }
  ByteView key() const override { return KeyOf(pair_); }
  ByteView value() const override { return ValueOf(pair_); }

 private:
  const std::span<const SortEntry> entries_;
  size_t next_ = 0;
  const char* pair_ = nullptr;
};

Result<SortedRun> WriteRun(kv::Cursor& pairs, std::shared_ptr<kv::SpillFile> file, int64_t offset, int64_t buffer_bytes) {
  RunWriter run(std::move(file), offset, buffer_bytes);
  for (;;) {
    DS_ASSIGN_OR_RETURN(const bool more, pairs.Next());
    if (!more) return run.Finish();
    DS_RETURN_IF_ERROR(run.Add(pairs.key(), pairs.value()));
  }
}

}  // namespace

PairSorter::PairSorter(Settings settings)
    : settings_(std::move(settings)), chunk_bytes_(std::clamp(settings_.memory_bytes_max / 32, kSmallChunkBytes, kHugePageBytes)) {}
PairSorter::~PairSorter() = default;

Status PairSorter::Add(int32_t partition, ByteView key, ByteView value) {
  if (key.size() > kPairBytesMax || value.size() > kPairBytesMax) {
    return InvalidArgument("a pair with a key of {} and a value of {} bytes; each may have {} at most", key.size(), value.size(), kPairBytesMax);
  }
  const PairHeader header{static_cast<uint32_t>(partition), static_cast<uint32_t>(key.size()), static_cast<uint32_t>(value.size())};
  const int64_t size = header.pair_bytes();
  if (chunk_count_ == 0 || chunks_[chunk_count_ - 1].size_bytes - chunks_[chunk_count_ - 1].used_bytes < size ||
      held_bytes_ + size + kBytesPerEntry > settings_.memory_bytes_max) {
    DS_RETURN_IF_ERROR(Take(size));
  }
  Chunk& chunk = chunks_[chunk_count_ - 1];
  char* at = chunk.memory.get() + chunk.used_bytes;
  std::memcpy(at, &header, sizeof header);
  std::memcpy(at + sizeof header, key.data(), key.size());
  std::memcpy(at + sizeof header + key.size(), value.data(), value.size());
  chunk.used_bytes += size;
  held_bytes_ += size + kBytesPerEntry;
  ++pairs_held_;
  ++pairs_added_;
  if (static_cast<size_t>(partition) >= partitions_.size()) partitions_.resize(static_cast<size_t>(partition) + 1);
  Partition& counts = partitions_[static_cast<size_t>(partition)];
  ++counts.pairs_added;
  ++counts.pairs_held;
  counts.bytes_held += size;
  return {};
}

// Room for a pair at the end of the last chunk.
Status PairSorter::Take(int64_t pair_bytes) {
  if (pairs_held_ > 0 && held_bytes_ + pair_bytes + kBytesPerEntry > settings_.memory_bytes_max) DS_RETURN_IF_ERROR(Spill());
  if (chunk_count_ > 0) {
    const Chunk& last = chunks_[chunk_count_ - 1];
    if (last.size_bytes - last.used_bytes >= pair_bytes) return {};
    held_bytes_ += last.size_bytes - last.used_bytes;
  }
  if (chunk_count_ < chunks_.size() && chunks_[chunk_count_].size_bytes >= pair_bytes) {
    ++chunk_count_;
    return {};
  }
  Chunk chunk;
  chunk.size_bytes = std::max(chunk_bytes_, pair_bytes);
  const bool huge = chunk.size_bytes == kHugePageBytes;
  chunk.memory.reset(static_cast<char*>(huge ? std::aligned_alloc(kHugePageBytes, kHugePageBytes) : std::malloc(static_cast<size_t>(chunk.size_bytes))));
  if (chunk.memory == nullptr) return Unavailable("no memory for {} bytes of pairs; a smaller memory_bytes_max would spill them", chunk.size_bytes);
  if (huge) (void)madvise(chunk.memory.get(), kHugePageBytes, MADV_HUGEPAGE);  // a page fault for each 4 KiB costs as much as the copy
  chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(chunk_count_), std::move(chunk));
  ++chunk_count_;
  return {};
}

void PairSorter::MakeIndex() {
  index_ = std::make_unique_for_overwrite<SortEntry[]>(static_cast<size_t>(pairs_held_));
  std::vector<int64_t> next(partitions_.size());
  int64_t first = 0;
  for (size_t i = 0; i < partitions_.size(); ++i) {
    partitions_[i].first_entry = next[i] = first;
    partitions_[i].is_sorted = false;
    first += partitions_[i].pairs_held;
  }
  for (size_t i = 0; i < chunk_count_; ++i) {
    const char* const begin = chunks_[i].memory.get();
    for (int64_t at = 0; at < chunks_[i].used_bytes;) {
      const PairHeader header = PairHeader::At(begin + at);
      index_[static_cast<size_t>(next[header.partition]++)] = {WordAt(KeyOf(begin + at), 0), begin + at};
      at += header.pair_bytes();
    }
  }
}

std::unique_ptr<kv::Cursor> PairSorter::SortHeld(Partition& partition) const {
  const auto count = static_cast<size_t>(partition.pairs_held);
  const std::span<SortEntry> entries(index_.get() + partition.first_entry, count);
  if (!partition.is_sorted) {
    const auto scratch = std::make_unique_for_overwrite<SortEntry[]>(count);
    SortEntries(entries, {scratch.get(), count});
    partition.is_sorted = true;
  }
  return std::make_unique<HeldCursor>(entries);
}

Status PairSorter::SpillPartition(Partition& partition, int64_t offset) const {
  DS_RETURN_IF_ERROR(AskInterrupted());
  const std::unique_ptr<kv::Cursor> pairs = SortHeld(partition);
  DS_ASSIGN_OR_RETURN(SortedRun run, WriteRun(*pairs, spill_file_, offset, std::min(kRunBufferBytesMax, partition.bytes_held)));
  partition.runs.push_back(std::move(run));
  return {};
}

Status PairSorter::Spill() {
  if (spill_file_ == nullptr) {
    DS_ASSIGN_OR_RETURN(kv::SpillFile made, kv::SpillFile::Make(settings_.spill_directory));
    spill_file_ = std::make_shared<kv::SpillFile>(std::move(made));
  }
  MakeIndex();
  struct Task {
    Partition* partition;
    int64_t offset;
    Status done;
  };
  std::vector<Task> tasks;
  for (Partition& partition : partitions_) {
    if (partition.pairs_held > 0) tasks.push_back({&partition, spilled_bytes_.fetch_add(partition.bytes_held), {}});
  }
  RunAll(tasks.size(), static_cast<size_t>(settings_.threads),
         [&](size_t i) { tasks[i].done = SpillPartition(*tasks[i].partition, tasks[i].offset); });
  for (Task& task : tasks) DS_RETURN_IF_ERROR(std::move(task.done));
  ++spill_count_;
  DropHeld();
  return {};
}

void PairSorter::DropHeld() {
  index_.reset();
  std::erase_if(chunks_, [&](const Chunk& chunk) { return chunk.size_bytes != chunk_bytes_; });
  for (Chunk& chunk : chunks_) chunk.used_bytes = 0;
  for (Partition& partition : partitions_) partition.pairs_held = partition.bytes_held = 0;
  chunk_count_ = 0;
  held_bytes_ = pairs_held_ = 0;
}

Status PairSorter::Seal() {
  if (spill_count_ == 0) {
    MakeIndex();
    return {};
  }
  if (pairs_held_ > 0) DS_RETURN_IF_ERROR(Spill());
  chunks_.clear();  // merging needs the memory for buffers
  malloc_trim(0);   // which malloc would keep for chunks that never come
  return {};
}

// Fewer runs, neighbours merged so that newer pairs stay behind older ones.
Result<std::vector<SortedRun>> PairSorter::MergeToFit(std::vector<SortedRun> runs, size_t fan_in, int64_t buffer_bytes) {
  while (runs.size() > fan_in) {
    int64_t size_bytes = 0;
    for (const SortedRun& run : runs) size_bytes += run.size_bytes;
    int64_t offset = spilled_bytes_.fetch_add(size_bytes);
    std::vector<SortedRun> merged;
    for (size_t begin = 0; begin < runs.size(); begin += fan_in) {
      DS_RETURN_IF_ERROR(AskInterrupted());
      const size_t end = std::min(begin + fan_in, runs.size());
      const auto pairs = MergeRuns({runs.begin() + static_cast<std::ptrdiff_t>(begin), runs.begin() + static_cast<std::ptrdiff_t>(end)}, buffer_bytes);
      DS_ASSIGN_OR_RETURN(SortedRun run, WriteRun(*pairs, spill_file_, offset, buffer_bytes));
      offset += run.size_bytes;
      merged.push_back(std::move(run));
    }
    runs = std::move(merged);
  }
  return runs;
}

Result<std::unique_ptr<kv::Cursor>> PairSorter::Read(int32_t partition) {
  Partition& wanted = partitions_[static_cast<size_t>(partition)];
  if (spill_count_ == 0) return SortHeld(wanted);
  const int64_t share = settings_.memory_bytes_max / std::max(settings_.threads, 1);
  const int64_t fan_in = std::clamp(share / kRunBufferBytesMin - 1, int64_t{2}, kFanInMax);
  const int64_t buffer_bytes = std::clamp(share / (fan_in + 1), kRunBufferBytesMin, kRunBufferBytesMax);
  DS_ASSIGN_OR_RETURN(wanted.runs, MergeToFit(wanted.runs, static_cast<size_t>(fan_in), buffer_bytes));
  return MergeRuns(wanted.runs, buffer_bytes);
}

}  // namespace datashard::shardwrite
