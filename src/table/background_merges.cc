#include "table/background_merges.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <set>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "data/merge_files.h"

namespace datashard {

struct BackgroundMerges::Worker {
  const pid_t owner = ::getpid();
  MetricSums metrics;
  std::unique_ptr<SmallFileMerger> merger;  // the thread's
  std::atomic<bool> stopped = false;
  std::atomic<bool> idle = true;
  std::mutex joining;
  std::thread thread;

  void Stop() {
    stopped.store(true);
    std::lock_guard lock(joining);
    if (thread.joinable()) thread.join();
  }
};

namespace {

using Worker = BackgroundMerges::Worker;

// Files that must come before another look while one is under way or has failed.
constexpr int64_t kFilesBetweenLooks = 64;

/// The workers of this process, so that none runs while it exits and the libraries it uses are taken down. Global because exit
/// is: its handlers have no argument.
class LiveWorkers {
 public:
  /// False where it must not start: the process is exiting, or somebody else is here (in a fork child perhaps for ever).
  bool Add(Worker& worker) {
    std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || exiting_) return false;
    workers_.insert(&worker);
    owner_.store(worker.owner);
    return true;
  }
  void Remove(Worker& worker) {
    std::lock_guard lock(mutex_);
    workers_.erase(&worker);
  }
  void StopAll() {
    // A fork child that has added none may have inherited the lock from a thread that it has not.
    if (owner_.load() != ::getpid()) return;
    std::lock_guard lock(mutex_);
    exiting_ = true;
    for (Worker* worker : workers_) {
      if (worker->owner == ::getpid()) worker->Stop();
    }
  }

 private:
  std::mutex mutex_;
  std::set<Worker*> workers_;
  bool exiting_ = false;
  std::atomic<pid_t> owner_ = 0;
};

/// Never destroyed: a handle may be closed after everything else. What a merge needs is made first, so that at exit it is
/// destroyed after the handler has stopped the threads.
LiveWorkers& Live() {
  static LiveWorkers* const live = [] {
    static_cast<void>(data::PrepareToMerge());  // where that fails, merging does, and says why
    LiveWorkers* made = std::make_unique<LiveWorkers>().release();
    (void)std::atexit([] { Live().StopAll(); });  // refused only where memory has run out
    return made;
  }();
  return *live;
}

int64_t DataFilesOf(const Snapshot& snapshot) {
  int64_t files = 0;
  for (const auto& [key, value] : snapshot.summary) {
    if (key == "total-data-files") std::from_chars(value.data(), value.data() + value.size(), files);
  }
  return files;
}

/// A thread that gets no signal: those of the process are for threads that wait to be interrupted.
std::thread QuietThread(const std::function<void()>& body) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread;
  try {
    thread = std::thread(body);
  } catch (const std::system_error&) {  // no thread to be had: merged later
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

BackgroundMerges::BackgroundMerges(MakeMerger make_merger, Log& log)
    : make_merger_(std::move(make_merger)), log_(log), next_look_files_(commit::MergeLimits{}.trigger_files + 1) {}

BackgroundMerges::~BackgroundMerges() {
  if (worker_ == nullptr) return;
  if (worker_->owner != ::getpid()) {
    static_cast<void>(worker_.release());  // its thread and its locks stayed with the process that forked
    return;
  }
  worker_->Stop();
  Live().Remove(*worker_);
}

void BackgroundMerges::AfterCommit(const Snapshot& current) {
  const int64_t files = DataFilesOf(current);
  if (files < next_look_files_.load(std::memory_order_relaxed)) return;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) return;
  next_look_files_.store(files + kFilesBetweenLooks);
  if (worker_ != nullptr && worker_->owner != ::getpid()) static_cast<void>(worker_.release());
  if (worker_ == nullptr) {
    auto worker = std::make_unique<Worker>();
    if (!Live().Add(*worker)) return;
    worker_ = std::move(worker);
    made_.store(worker_.get());
  }
  Worker& worker = *worker_;
  if (!worker.idle.load() || worker.stopped.load()) return;
  std::lock_guard joining(worker.joining);
  if (worker.thread.joinable()) worker.thread.join();  // it is at its end
  worker.idle.store(false);
  worker.thread = QuietThread([this, &worker] { Run(worker); });
  if (!worker.thread.joinable()) worker.idle.store(true);
}

void BackgroundMerges::Run(Worker& worker) {
  const auto stopped = [&] { return worker.stopped.load(); };
  if (worker.merger == nullptr) worker.merger = make_merger_(worker.metrics);
  while (!stopped()) {
    const Result<SmallFileMerger::Outcome> outcome = worker.merger->MergeOnce(stopped);
    if (!outcome.ok() && !stopped()) {
      log_.Write(LogLevel::kWarning, fmt::format("small files are not merged now: {}", outcome.error().ToString()));
    }
    if (!outcome.ok()) break;
    if (!outcome->merged) {
      next_look_files_.store(outcome->next_look_files);
      break;
    }
  }
  worker.idle.store(true);
}

void BackgroundMerges::AddMetrics(std::map<std::string, double>& sums) const {
  const Worker* const worker = made_.load();
  if (worker == nullptr || worker->owner != ::getpid()) return;
  for (const auto& [name, sum] : worker->metrics.Read()) sums[name] += sum;
}

}  // namespace datashard
