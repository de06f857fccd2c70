// Sorted pairs in a spill file, and several such runs read as one.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kv/database.h"
#include "kv/spill_file.h"

namespace datashard::shardwrite {

/// Pairs in ascending order of keys, without repeats, one behind the other in a file.
struct SortedRun {
  std::shared_ptr<const kv::SpillFile> file;
  int64_t offset = 0;
  int64_t size_bytes = 0;
};

/// Writes a run piece by piece from `offset` on. Not thread safe.
class RunWriter {
 public:
  RunWriter(std::shared_ptr<kv::SpillFile> file, int64_t offset, int64_t buffer_bytes)
      : file_(std::move(file)), start_(offset), buffer_bytes_(buffer_bytes) {}
  Status Add(ByteView key, ByteView value);
  Result<SortedRun> Finish();

 private:
  Status Flush();

  const std::shared_ptr<kv::SpillFile> file_;
  const int64_t start_;
  const int64_t buffer_bytes_;
  int64_t written_ = 0;
  Bytes buffer_;
};

/// `runs` as one: of equal keys that of the last run that has it. Each is read with a buffer of `buffer_bytes`, or what its largest pair needs.
std::unique_ptr<kv::Cursor> MergeRuns(const std::vector<SortedRun>& runs, int64_t buffer_bytes);

}  // namespace datashard::shardwrite
