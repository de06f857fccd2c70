// The thread in which a process merges small files of a table it writes to: started when there is something to do, gone when
// that is done, stopped when the handle closes or the process exits. A fork child has none of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/background_thread.h"
#include "base/fork.h"
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
  /// Its end abandons a merge that is under way; it waits for no more than the file or the commit that is at.
  BackgroundMerges(MakeMerger make_merger, Log& log);

  /// To be called after an append of this process is in `current`. Never waits for a merge; costs next to nothing where none is due.
  void AfterCommit(const Snapshot& current);
  /// Adds what merges of this process have counted.
  void AddMetrics(std::map<std::string, double>& sums) const;

 private:
  struct Work {
    MetricSums metrics;
    std::unique_ptr<SmallFileMerger> merger;  // the thread's
  };
  void Run(const std::atomic<bool>& stopped);

  const MakeMerger make_merger_;
  Log& log_;
  std::atomic<int64_t> next_look_files_;
  mutable PerProcess<std::unique_ptr<Work>> work_;  // made by the first look
  BackgroundThread thread_;  // last, so that it ends first
};

}  // namespace datashard
