#include "table/background_merges.h"

#include <charconv>

#include "base/error.h"
#include "data/merge_files.h"

namespace datashard {
namespace {

int64_t DataFilesOf(const Snapshot& snapshot) {
  int64_t files = 0;
  for (const auto& [key, value] : snapshot.summary) {
    if (key == "total-data-files") std::from_chars(value.data(), value.data() + value.size(), files);
  }
  return files;
}

/// Once in the process: what a merge needs is made before the handler is registered, so that at exit it is destroyed after
/// the threads were stopped.
void PrepareProcess() {
  // No lock that a fork child could inherit: whoever comes second goes on.
  static std::atomic<bool> begun = false;
  if (begun.exchange(true)) return;
  static_cast<void>(data::PrepareToMerge());  // where that fails, merging does, and says why
  BackgroundThread::StopAllAtExit();
}

}  // namespace

BackgroundMerges::BackgroundMerges(MakeMerger make_merger, Log& log)
    : make_merger_(std::move(make_merger)),
      log_(log),
      next_look_files_(commit::MergeLimits{}.trigger_files + 1),
      thread_([this](const std::atomic<bool>& stopped) { Run(stopped); }, std::chrono::microseconds(0)) {}

void BackgroundMerges::AfterCommit(const Snapshot& current) {
  const int64_t files = DataFilesOf(current);
  if (files < next_look_files_.load(std::memory_order_relaxed)) return;
  next_look_files_.store(files + SmallFileMerger::kFilesBetweenLooks);
  PrepareProcess();
  thread_.Wake();
}

void BackgroundMerges::Run(const std::atomic<bool>& stopped) {
  Work* work = nullptr;
  {
    const auto own = work_.Lock();
    if (*own == nullptr) *own = std::make_unique<Work>();
    work = own->get();
  }
  if (stopped) return;
  if (work->merger == nullptr) work->merger = make_merger_(work->metrics);
  const auto has_stopped = [&] { return stopped.load(); };
  while (!stopped) {
    const Result<SmallFileMerger::Outcome> outcome = work->merger->MergeOnce(has_stopped);
    if (!outcome.ok() && !stopped) {
      log_.Write(LogLevel::kWarning, fmt::format("small files are not merged now: {}", outcome.error().ToString()));
    }
    if (!outcome.ok()) return;
    if (!outcome->merged) {
      next_look_files_.store(outcome->next_look_files);
      return;
    }
  }
}

void BackgroundMerges::AddMetrics(std::map<std::string, double>& sums) const {
  const auto work = work_.Lock();
  if (*work == nullptr) return;
  for (const auto& [name, sum] : (*work)->metrics.Read()) sums[name] += sum;
}

}  // namespace datashard
