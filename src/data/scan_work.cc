#include "data/scan_work.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <system_error>

#include "base/error.h"
#include "base/interrupt.h"
#include "data/arrow_support.h"
#include "data/row_filter.h"

namespace datashard::data {
namespace {

// Row groups are decoded ahead up to this many per thread, and up to this many bytes in all.
constexpr size_t kUnitsAheadPerThread = 2;
constexpr int64_t kBytesAheadMax = 512 << 20;
// A row group of fewer bytes is not worth cutting among threads.
constexpr int64_t kShareBytesMin = 256 << 10;

Result<std::shared_ptr<arrow::Array>> Joined(const arrow::ChunkedArray& column) {
  if (column.num_chunks() == 1) return column.chunk(0);
  return Lift(arrow::Concatenate(column.chunks()), ErrorKind::kCorruption);
}

std::vector<size_t> WantedColumns(const ScanJob& job) {
  std::vector<size_t> columns(job.wanted);
  std::iota(columns.begin(), columns.end(), 0);
  return columns;
}

int64_t BytesOf(const Unit& unit) {
  return std::accumulate(unit.group.column_bytes.begin(), unit.group.column_bytes.end(), int64_t{0});
}

// The columns wanted, dealt out by size so that all threads end at about the same time.
std::vector<std::vector<size_t>> Deal(const ScanJob& job, const Unit& unit, size_t threads) {
  std::vector<size_t> columns = WantedColumns(job);
  const auto bytes = [&](size_t column) { return unit.group.column_bytes[column]; };
  if (threads == 1 || columns.size() < 2 || BytesOf(unit) < kShareBytesMin) return {std::move(columns)};
  std::stable_sort(columns.begin(), columns.end(), [&](size_t a, size_t b) { return bytes(a) > bytes(b); });
  std::vector<std::vector<size_t>> shares(std::min(threads, columns.size()));
  std::vector<int64_t> loads(shares.size());
  for (const size_t column : columns) {
    const auto least = static_cast<size_t>(std::min_element(loads.begin(), loads.end()) - loads.begin());
    shares[least].push_back(column);
    loads[least] += bytes(column) + 1;
  }
  return shares;
}

}  // namespace

Status RunFilter(const ScanJob& job, Unit& unit) {
  return Guarded(ErrorKind::kCorruption, [&]() -> Status {
    unit.columns.resize(job.fields.size());
    unit.rows = unit.group.rows;
    std::shared_ptr<arrow::Array> mask;
    for (size_t i = 0; i < job.filter_fields.size(); ++i) {
      const size_t index = job.filter_fields[i];
      if (unit.columns[index] == nullptr) {
        DS_ASSIGN_OR_RETURN(unit.columns[index], unit.file->ReadColumn(unit.group, index));
      }
      DS_ASSIGN_OR_RETURN(const auto column, Joined(*unit.columns[index]));
      DS_ASSIGN_OR_RETURN(auto matches, Matches(job.plan.filter.all_of[i], job.fields[index].type, column));
      if (mask != nullptr) {
        DS_ASSIGN_OR_RETURN(matches, BothMatch(mask, matches));
      }
      mask = std::move(matches);
      unit.rows = static_cast<const arrow::BooleanArray&>(*mask).true_count();
      if (unit.rows == 0) break;  // the columns of the other predicates need not be read
    }
    if (mask != nullptr && unit.rows < unit.group.rows) unit.mask = std::move(mask);
    return {};
  });
}

Status RunColumns(const ScanJob& job, Unit& unit, const std::vector<size_t>& columns) {
  return Guarded(ErrorKind::kCorruption, [&]() -> Status {
    for (const size_t index : columns) {
      auto& column = unit.columns[index];
      if (column == nullptr) {
        DS_ASSIGN_OR_RETURN(column, unit.file->ReadColumn(unit.group, index));
      }
      if (unit.mask == nullptr) continue;
      DS_ASSIGN_OR_RETURN(const auto kept, Lift(arrow::compute::Filter(column, unit.mask), ErrorKind::kInternal));
      column = kept.chunked_array();
    }
    return {};
  });
}

namespace {

class Inline final : public UnitQueue {
 public:
  Inline(std::shared_ptr<const ScanJob> job, std::shared_ptr<ReadAhead> files)
      : job_(std::move(job)), source_(std::move(files)), columns_(WantedColumns(*job_)) {}

  Result<std::shared_ptr<Unit>> Next() override {
    for (;;) {
      if (file_ == nullptr || next_group_ == file_->row_groups().size()) {
        file_.reset();
        if (next_file_ == job_->plan.files.size()) return std::shared_ptr<Unit>();
        DS_ASSIGN_OR_RETURN(file_, source_->Open(next_file_));
        ++next_file_;
        next_group_ = 0;
        continue;
      }
      auto unit = std::make_shared<Unit>(file_, file_->row_groups()[next_group_++]);
      DS_RETURN_IF_ERROR(RunFilter(*job_, *unit));
      if (unit->rows == 0) continue;
      DS_RETURN_IF_ERROR(RunColumns(*job_, *unit, columns_));
      return unit;
    }
  }

 private:
  const std::shared_ptr<const ScanJob> job_;
  const std::shared_ptr<ReadAhead> source_;
  const std::vector<size_t> columns_;
  size_t next_file_ = 0;
  std::shared_ptr<FileReader> file_;
  size_t next_group_ = 0;
};

// Invariants, under the lock: `files_` holds the files opened or being opened whose units are not all taken, in order;
// `ahead_` counts units begun and not taken, and files being opened. A thread looks for work in this order: shares of
// units already begun, the first unit not begun, the next file. Since the first unit not begun comes before every later
// one, what the consumer waits for is always begun or the next to be begun; and it may be begun whatever `ahead_` says.
class Threaded final : public UnitQueue {
 public:
  Threaded(std::shared_ptr<const ScanJob> job, std::shared_ptr<ReadAhead> files, int threads)
      : job_(std::move(job)), source_(std::move(files)), ahead_max_(kUnitsAheadPerThread * static_cast<size_t>(threads)) {
    threads_.reserve(static_cast<size_t>(threads));
    try {
      for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
    } catch (const std::system_error&) {
      if (threads_.empty()) throw;  // with fewer threads than wanted it goes on
    }
  }
  ~Threaded() override { Stop(); }

  Result<std::shared_ptr<Unit>> Next() override {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (files_.empty() && next_file_ == job_->plan.files.size()) return std::shared_ptr<Unit>();
      if (!files_.empty() && files_.front().opened) {
        OpenedFile& file = files_.front();
        if (file.error.has_value()) return *file.error;
        if (file.taken == file.units.size()) {
          files_.pop_front();
          work_.notify_all();
          continue;
        }
        std::shared_ptr<Unit>& first = file.units[file.taken];
        if (first->done) {
          std::shared_ptr<Unit> unit = std::move(first);
          ++file.taken;
          --ahead_;
          bytes_ahead_ -= BytesOf(*unit);
          work_.notify_all();
          if (unit->error.has_value()) return *unit->error;
          if (unit->rows > 0) return unit;
          continue;
        }
      }
      if (done_.wait_for(lock, kAskInterruptedEvery) == std::cv_status::no_timeout) continue;
      lock.unlock();
      DS_RETURN_IF_ERROR(AskInterrupted());
      lock.lock();
    }
  }

 private:
  struct OpenedFile {
    bool opened = false;
    std::optional<Error> error;
    std::vector<std::shared_ptr<Unit>> units;
    size_t begun = 0;
    size_t taken = 0;
  };

  void Stop() {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    work_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  void Work() {
    const InterruptScope until_stopped([this]() -> Status { return stopped_ ? Unavailable("the scan was given up") : Status(); });
    std::unique_lock lock(mutex_);
    while (!stopped_) {
      if (!shared_.empty()) {
        RunShare(shared_.front(), lock);
      } else if (OpenedFile* file = FileToBegin()) {
        BeginUnit(*file, lock);
      } else if (MayOpen()) {
        OpenNext(lock);
      } else {
        work_.wait(lock);
      }
    }
  }

  // The first file with a unit not begun, if that unit may be begun now.
  OpenedFile* FileToBegin() {
    for (size_t i = 0; i < files_.size(); ++i) {
      OpenedFile& file = files_[i];
      if (file.begun == file.units.size()) continue;
      const bool is_next = i == 0 && file.begun == file.taken;
      const bool has_room = ahead_ < ahead_max_ && bytes_ahead_ < kBytesAheadMax;
      return is_next || has_room ? &file : nullptr;
    }
    return nullptr;
  }

  bool MayOpen() const {
    if (next_file_ == job_->plan.files.size()) return false;
    return files_.empty() || (files_.size() < ahead_max_ && ahead_ < ahead_max_ && bytes_ahead_ < kBytesAheadMax);
  }

  // Elements of a deque stay where they are while others come and go at its ends.
  void OpenNext(std::unique_lock<std::mutex>& lock) {
    const size_t index = next_file_++;
    OpenedFile& file = files_.emplace_back();
    ++ahead_;
    lock.unlock();
    auto reader = source_->Open(index);
    lock.lock();
    --ahead_;
    if (reader.ok()) {
      for (const auto& group : (*reader)->row_groups())
        file.units.push_back(std::make_shared<Unit>(*reader, group));
    } else {
      file.error = std::move(reader).error();
    }
    file.opened = true;
    done_.notify_one();
    work_.notify_all();
  }

  void BeginUnit(OpenedFile& file, std::unique_lock<std::mutex>& lock) {
    const std::shared_ptr<Unit> unit = file.units[file.begun++];
    ++ahead_;
    bytes_ahead_ += BytesOf(*unit);
    lock.unlock();
    const Status status = RunFilter(*job_, *unit);
    auto shares = Deal(*job_, *unit, threads_max());
    lock.lock();
    if (!status.ok() || unit->rows == 0) {
      Finish(*unit, status);
      return;
    }
    unit->shares = std::move(shares);
    shared_.push_back(unit);
    if (unit->shares.size() > 1) work_.notify_all();
    RunShare(unit, lock);
  }

  void RunShare(const std::shared_ptr<Unit> unit, std::unique_lock<std::mutex>& lock) {
    const std::vector<size_t> columns = std::move(unit->shares.back());
    unit->shares.pop_back();
    ++unit->shares_running;
    if (unit->shares.empty()) std::erase(shared_, unit);
    lock.unlock();
    const Status status = RunColumns(*job_, *unit, columns);
    lock.lock();
    --unit->shares_running;
    Finish(*unit, status);
  }

  void Finish(Unit& unit, const Status& status) {
    if (!status.ok() && !unit.error.has_value()) unit.error = status.error();
    if (!unit.shares.empty() || unit.shares_running > 0) return;
    unit.done = true;
    done_.notify_one();
  }

  size_t threads_max() const { return ahead_max_ / kUnitsAheadPerThread; }

  const std::shared_ptr<const ScanJob> job_;
  const std::shared_ptr<ReadAhead> source_;
  const size_t ahead_max_;
  std::mutex mutex_;
  std::condition_variable work_;  // something may have become possible for a thread
  std::condition_variable done_;  // something may have become possible for the consumer
  std::deque<OpenedFile> files_;
  size_t next_file_ = 0;
  size_t ahead_ = 0;
  int64_t bytes_ahead_ = 0;
  std::deque<std::shared_ptr<Unit>> shared_;  // units with shares nobody has taken
  std::atomic<bool> stopped_ = false;  // changed under the lock
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<UnitQueue> InlineQueue(std::shared_ptr<const ScanJob> job, std::shared_ptr<ReadAhead> files) {
  return std::make_unique<Inline>(std::move(job), std::move(files));
}

std::unique_ptr<UnitQueue> ThreadedQueue(std::shared_ptr<const ScanJob> job, std::shared_ptr<ReadAhead> files, int threads) {
  try {
    return std::make_unique<Threaded>(job, files, threads);
  } catch (const std::system_error&) {  // not one thread to be had
    return InlineQueue(std::move(job), std::move(files));
  }
}

}  // namespace datashard::data
