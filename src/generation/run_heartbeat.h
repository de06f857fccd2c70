// A run says that it is alive: its record is made, kept fresh by a thread, and closed.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "base/background_thread.h"
#include "base/outside.h"
#include "datashard/sharded_writer.h"

namespace datashard::generation {

struct HeartbeatSettings {
  std::chrono::microseconds lease = std::chrono::minutes(10);
  std::chrono::microseconds interval = std::chrono::minutes(1);
};

/// Callable from several threads. What the registry refuses is logged and never fails a write; a record that could not be made is tried
/// again with the next beat.
class RunHeartbeat {
 public:
  /// Makes the record: `record` with its status and times filled in. `registry` and `outside` are borrowed.
  RunHeartbeat(RunRegistry& registry, RunRecord record, const Outside& outside, HeartbeatSettings settings = {});
  /// Beats no more; a run that was not closed stays running until its lease ends.
  ~RunHeartbeat() = default;
  RunHeartbeat(const RunHeartbeat&) = delete;
  RunHeartbeat& operator=(const RunHeartbeat&) = delete;

  void SetManifestRef(const std::string& ref);
  /// The last word; nothing is written after it.
  void Succeed();
  void Fail(const std::string& error_type, const std::string& error_message);
  /// None where the record could not be made.
  std::optional<std::string> record_ref() const;

 private:
  void Beat();
  void Close(RunRecord::Status status);
  void WriteLocked();

  RunRegistry& registry_;
  const Outside outside_;
  const HeartbeatSettings settings_;
  mutable std::mutex mutex_;  // held while the registry is asked, so that a late beat never follows the last word
  RunRecord record_;
  std::optional<std::string> ref_;
  bool is_begun_ = false;
  BackgroundThread thread_;  // last: stopped before what it uses goes
};

}  // namespace datashard::generation
