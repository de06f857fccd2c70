// The work of a scan cut into row groups, and its division among threads: files are opened and row groups decoded a few
// ahead of the consumer, who takes them in order.
#pragma once

#include <arrow/type_fwd.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "data/file_reader.h"
#include "data/read_ahead.h"
#include "data/scan_job.h"
#include "datashard/result.h"

namespace datashard::data {

/// A row group on its way from bytes to rows.
struct Unit {
  Unit(std::shared_ptr<FileReader> reader, const FileReader::RowGroup& row_group) : file(std::move(reader)), group(row_group) {}
  ~Unit() { file->Drop(group); }
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;

  const std::shared_ptr<FileReader> file;
  const FileReader::RowGroup group;
  std::vector<std::shared_ptr<arrow::ChunkedArray>> columns;  // of job.fields; those wanted are filtered when done
  std::shared_ptr<arrow::Array> mask;                         // rows to keep; null: all
  int64_t rows = 0;                                           // that the filter keeps
  std::optional<Error> error;

  // Division among threads, under the scheduler's lock.
  std::vector<std::vector<size_t>> shares;  // columns still to be decoded, cut for several threads
  size_t shares_running = 0;
  bool done = false;
};

/// Decodes the filter's columns and finds the rows to keep.
Status RunFilter(const ScanJob& job, Unit& unit);
/// Decodes (where the filter did not) and filters `columns`, indices into job.fields below job.wanted.
Status RunColumns(const ScanJob& job, Unit& unit, const std::vector<size_t>& columns);

/// Row groups in order. One consumer; destroying it stops the threads and waits for them.
class UnitQueue {
 public:
  virtual ~UnitQueue() = default;
  /// The next row group with at least one row left, null at the end.
  virtual Result<std::shared_ptr<Unit>> Next() = 0;
};
/// Decodes in the consumer's thread, one row group when it is asked for.
std::unique_ptr<UnitQueue> InlineQueue(std::shared_ptr<const ScanJob> job, std::shared_ptr<ReadAhead> files);
/// Decodes on `threads` threads of its own, or fewer where the system gives no more.
std::unique_ptr<UnitQueue> ThreadedQueue(std::shared_ptr<const ScanJob> job, std::shared_ptr<ReadAhead> files, int threads);

}  // namespace datashard::data
