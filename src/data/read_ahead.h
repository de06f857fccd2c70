// The files of a scan, opened and fetched from a remote store by threads that run ahead of those that decode: requests wait for
// a network most of their time, so many must be under way at once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "data/file_reader.h"
#include "data/scan_job.h"
#include "datashard/result.h"

namespace datashard::data {

/// Only ever a help: what was not fetched ahead is fetched by whoever asks for it, so that nobody waits for memory that only he
/// himself could give back. Without threads (a local store, or just one request to be made) all is done when asked for.
class ReadAhead {
 public:
  explicit ReadAhead(std::shared_ptr<const ScanJob> job);
  /// Ends the requests that are under way.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  /// File `index` of the plan; once for each, from any thread. Errors: FileReader::Open, an interruption's.
  Result<std::shared_ptr<FileReader>> Open(size_t index);

 private:
  using Opened = Result<std::shared_ptr<FileReader>>;
  struct File {
    enum class State { kUntouched, kOpening, kOpened };
    State state = State::kUntouched;
    std::optional<Opened> result;  // until it is asked for
  };
  /// A file whose row groups are being fetched.
  struct Fetching {
    std::shared_ptr<FileReader> file;
    size_t next_group = 0;
  };
  /// Fetched bytes that are not decoded yet. Outlives the ReadAhead.
  struct Memory {
    std::mutex mutex;
    std::condition_variable work;  // something may have become possible for a thread
    int64_t used_bytes = 0;
  };
  struct Task {
    size_t index = 0;
    std::optional<Fetching> group;  // none: the file is to be opened
    int64_t bytes = 0;
  };

  void Work();
  std::optional<Task> Pick();
  void Run(Task task, std::unique_lock<std::mutex>& lock);
  Opened OpenNow(size_t index) const;
  void NoteGroups(size_t index, const Opened& opened);
  Claim ClaimOf(int64_t bytes);
  bool Fits(int64_t bytes) const;

  const std::shared_ptr<const ScanJob> job_;
  const std::shared_ptr<Memory> memory_;  // its mutex guards everything below
  std::condition_variable opened_;
  std::vector<File> files_;
  size_t next_file_ = 0;    // none before it is untouched
  size_t asked_files_ = 0;  // one more than the last that was asked for
  std::map<size_t, Fetching> fetching_;
  bool runs_ahead_ = false;
  std::atomic<bool> stopped_ = false;  // changed under the lock
  std::vector<std::thread> threads_;
};

}  // namespace datashard::data
