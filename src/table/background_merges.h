// The thread in which a process merges small files of a table it writes to: started when there is something to do, gone when
// that is done, stopped when the handle closes or the process exits. A fork child has none of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/log.h"
#include "base/metrics.h"
#include "datashard/snapshot.h"
#include "table/small_file_merger.h"

namespace datashard {

/// Callable from several threads.
class BackgroundMerges {
 public:
  /// Makes the merger, which counts in these metrics. Called in the thread that is to run it.
  using MakeMerger = std::function<std::unique_ptr<SmallFileMerger>(Metrics&)>;
  BackgroundMerges(MakeMerger make_merger, Log& log);
  /// Abandons a merge that is under way; waits for no more than the file or the commit it is at.
  ~BackgroundMerges();
  BackgroundMerges(const BackgroundMerges&) = delete;
  BackgroundMerges& operator=(const BackgroundMerges&) = delete;

  /// To be called after this process has published `current`. Never waits; costs next to nothing where nothing is due.
  void AfterCommit(const Snapshot& current);
  /// Adds what merges of this process have counted.
  void AddMetrics(std::map<std::string, double>& sums) const;

  struct Worker;

 private:
  void Run(Worker& worker);

  const MakeMerger make_merger_;
  Log& log_;
  std::atomic<int64_t> next_look_files_;
  std::mutex mutex_;  // only ever tried: a fork child may inherit it locked, and then merges nothing
  std::unique_ptr<Worker> worker_;
  std::atomic<Worker*> made_ = nullptr;  // worker_, for those who only look
};

}  // namespace datashard
