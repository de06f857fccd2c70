#include "data/read_ahead.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/quiet_thread.h"
#include "data/fetch_plan.h"

namespace datashard::data {
namespace {

// Files that are opened ahead of the last one asked for.
constexpr size_t kFilesAheadMax = 128;
// What is fetched ahead and not decoded yet, at most.
constexpr int64_t kBytesAheadMax = 128 << 20;
// Opening a file that is not read whole brings its end.
constexpr int64_t kEndBytes = 64 << 10;
constexpr int64_t kBytesPerThreadMin = 1 << 20;

int64_t BytesToOpen(const ScanJob& job, size_t index) {
  const DataFile& file = job.plan.files[index].file;
  const int64_t size = std::max<int64_t>(file.file_size_in_bytes, 0);
  return IsReadWhole(file, job.fields, job.plan.filter) ? size : std::min(size, kEndBytes);
}

int64_t BytesToFetch(const FileReader::RowGroup& group) {
  return std::accumulate(group.to_fetch.begin(), group.to_fetch.end(), int64_t{0},
                         [](int64_t sum, const ByteRange& range) { return sum + range.size_bytes; });
}

/// None where there is only one thing to wait for.
size_t UsefulThreads(const ScanJob& job) {
  if (!job.store->is_remote() || job.plan.requests <= 1) return 0;
  int64_t useful = 0;
  for (size_t i = 0; i < job.plan.files.size() && useful < job.plan.requests; ++i) {
    const int64_t size = job.plan.files[i].file.file_size_in_bytes;
    useful += BytesToOpen(job, i) >= size ? 1 : 1 + size / kBytesPerThreadMin;
  }
  return useful <= 1 ? 0 : static_cast<size_t>(std::min<int64_t>(useful, job.plan.requests));
}

}  // namespace

ReadAhead::ReadAhead(std::shared_ptr<const ScanJob> job)
    : job_(std::move(job)), memory_(std::make_shared<Memory>()), files_(job_->plan.files.size()) {
  const size_t threads = UsefulThreads(*job_);
  runs_ahead_ = threads > 0;
  for (size_t i = 0; i < threads; ++i) {
    std::thread thread = QuietThread([this] { Work(); });
    if (!thread.joinable()) break;
    threads_.push_back(std::move(thread));
  }
  if (!threads_.empty()) return;
  const std::lock_guard lock(memory_->mutex);
  runs_ahead_ = false;
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(memory_->mutex);
    stopped_ = true;
  }
  memory_->work.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Result<std::shared_ptr<FileReader>> ReadAhead::Open(size_t index) {
  std::unique_lock lock(memory_->mutex);
  asked_files_ = std::max(asked_files_, index + 1);
  memory_->work.notify_one();
  File& file = files_[index];
  if (file.state == File::State::kUntouched) Run({.index = index}, lock);
  while (!opened_.wait_for(lock, kAskInterruptedEvery, [&] { return file.state == File::State::kOpened; })) {
    lock.unlock();
    DS_RETURN_IF_ERROR(AskInterrupted());
    lock.lock();
  }
  Opened opened = *std::move(file.result);
  file.result.reset();
  return opened;
}

void ReadAhead::Work() {
  const InterruptScope until_stopped([this]() -> Status { return stopped_ ? Unavailable("the scan was given up") : Status(); });
  std::unique_lock lock(memory_->mutex);
  for (;;) {
    std::optional<Task> task;
    memory_->work.wait(lock, [&] { return stopped_ || (task = Pick()).has_value(); });
    if (stopped_) return;
    memory_->work.notify_one();  // there may be something for another one
    Run(*std::move(task), lock);
  }
}

/// The first thing to be done, in the order the rows will be asked for, if there is memory for it.
std::optional<ReadAhead::Task> ReadAhead::Pick() {
  if (!fetching_.empty()) {
    const auto& [index, fetching] = *fetching_.begin();
    const int64_t bytes = BytesToFetch(fetching.file->row_groups()[fetching.next_group]);
    return Fits(bytes) ? std::optional(Task{.index = index, .group = fetching, .bytes = bytes}) : std::nullopt;
  }
  while (next_file_ < files_.size() && files_[next_file_].state != File::State::kUntouched) ++next_file_;
  if (next_file_ == files_.size() || next_file_ >= asked_files_ + kFilesAheadMax) return std::nullopt;
  const int64_t bytes = BytesToOpen(*job_, next_file_);
  return Fits(bytes) ? std::optional(Task{.index = next_file_, .bytes = bytes}) : std::nullopt;
}

void ReadAhead::Run(Task task, std::unique_lock<std::mutex>& lock) {
  Claim claim = ClaimOf(task.bytes);
  if (task.group.has_value()) {
    const auto fetching = fetching_.find(task.index);
    if (++fetching->second.next_group == fetching->second.file->row_groups().size()) fetching_.erase(fetching);
    lock.unlock();
    const FileReader& file = *task.group->file;
    // Its outcome is kept for whoever asks for the row group.
    static_cast<void>(file.Fetch(file.row_groups()[task.group->next_group], std::move(claim)));
    task.group.reset();
    lock.lock();
    return;
  }
  files_[task.index].state = File::State::kOpening;
  lock.unlock();
  Opened opened = OpenNow(task.index);
  if (opened.ok()) {
    struct Held {
      std::shared_ptr<FileReader> file;
      Claim claim;
    };
    const auto held = std::make_shared<Held>(*std::move(opened), std::move(claim));
    opened = std::shared_ptr<FileReader>(held, held->file.get());
  }
  claim.reset();
  lock.lock();
  NoteGroups(task.index, opened);
  files_[task.index].result = std::move(opened);
  files_[task.index].state = File::State::kOpened;
  opened_.notify_all();
}

ReadAhead::Opened ReadAhead::OpenNow(size_t index) const {
  return FileReader::Open(*job_->store, job_->plan.files[index], job_->fields, job_->plan.filter, job_->plan.verify);
}

void ReadAhead::NoteGroups(size_t index, const Opened& opened) {
  if (!runs_ahead_ || !opened.ok()) return;
  const auto& groups = (*opened)->row_groups();
  if (groups.empty() || groups.front().to_fetch.empty()) return;
  fetching_.emplace(index, Fetching{.file = *opened});
  memory_->work.notify_one();
}

Claim ReadAhead::ClaimOf(int64_t bytes) {
  memory_->used_bytes += bytes;
  return Claim(nullptr, [memory = memory_, bytes](const void*) {
    {
      const std::lock_guard lock(memory->mutex);
      memory->used_bytes -= bytes;
    }
    memory->work.notify_one();
  });
}

bool ReadAhead::Fits(int64_t bytes) const {
  return memory_->used_bytes == 0 || memory_->used_bytes + bytes <= kBytesAheadMax;
}

}  // namespace datashard::data
