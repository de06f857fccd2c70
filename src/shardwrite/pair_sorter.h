// Pairs of many shards, added in any order and read in ascending order of keys, shard by shard, with bounded memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"
#include "kv/database.h"
#include "shardwrite/sorted_runs.h"

namespace datashard::shardwrite {

struct SortEntry;

/// First Add, by one thread; then Seal; then Read. Pairs lie one behind the other in chunks of memory, whatever their shard; an index is made when they
/// are sorted. When the budget is reached all of them go to the spill file, as one sorted run per shard, and reading merges the runs. It is one file
/// whatever there is to spill: a process may have open far fewer than there are shards.
/// Errors of all calls: kUnavailable (disk full, say), kDenied, with the spill directory; what an InterruptScope around them answers.
class PairSorter {
 public:
  struct Settings {
    int64_t memory_bytes_max = int64_t{512} << 20;  ///< of pairs and index; of buffers while merging. A larger pair is held all the same
    std::string spill_directory;                    ///< made when needed
    int threads = 1;                                ///< that sort a spill, and that will read side by side
  };
  explicit PairSorter(Settings settings);
  ~PairSorter();
  PairSorter(const PairSorter&) = delete;
  PairSorter& operator=(const PairSorter&) = delete;

  /// Copies the pair. `partition` from 0 on; memory is used for each number below the greatest.
  /// Errors: kInvalidArgument for a key or a value of 2 GiB or more.
  Status Add(int32_t partition, ByteView key, ByteView value);
  int64_t pairs_added() const { return pairs_added_; }
  /// One above the greatest partition that has pairs.
  int32_t partition_count() const { return static_cast<int32_t>(partitions_.size()); }
  /// Added to it, repeated keys as often as they came.
  int64_t pairs_added(int32_t partition) const { return partitions_[static_cast<size_t>(partition)].pairs_added; }
  int64_t spill_count() const { return spill_count_; }

  /// Once, after the last Add.
  Status Seal();
  /// The pairs of a partition, each key once: that which was added last. Several threads may read different partitions; again from the
  /// start with every call. The cursor must not outlive the sorter.
  Result<std::unique_ptr<kv::Cursor>> Read(int32_t partition);

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  struct Chunk {
    std::unique_ptr<char, Free> memory;
    int64_t size_bytes = 0;
    int64_t used_bytes = 0;
  };
  struct Partition {
    int64_t pairs_added = 0;
    int64_t pairs_held = 0;  // in chunks_
    int64_t bytes_held = 0;
    int64_t first_entry = 0;  // of its pairs_held in index_
    bool is_sorted = false;   // that part of index_
    std::vector<SortedRun> runs;
  };

  Status Take(int64_t pair_bytes);
  Status Spill();
  Status SpillPartition(Partition& partition, int64_t offset) const;
  std::unique_ptr<kv::Cursor> SortHeld(Partition& partition) const;
  Result<std::vector<SortedRun>> MergeToFit(std::vector<SortedRun> runs, size_t fan_in, int64_t buffer_bytes);
  void MakeIndex();
  void DropHeld();

  const Settings settings_;
  const int64_t chunk_bytes_;
  std::vector<Chunk> chunks_;
  size_t chunk_count_ = 0;  // of chunks_ that hold pairs, the last of them being filled
  int64_t held_bytes_ = 0;  // what the pairs in memory, and sorting them, take
  int64_t pairs_held_ = 0;
  int64_t pairs_added_ = 0;
  int64_t spill_count_ = 0;
  std::shared_ptr<kv::SpillFile> spill_file_;    // null until something is spilled
  std::atomic<int64_t> spilled_bytes_ = 0;       // where free space begins in it
  std::vector<Partition> partitions_;
  std::unique_ptr<SortEntry[]> index_;
};

}  // namespace datashard::shardwrite
