#include "generation/run_heartbeat.h"

#include <utility>

#include "base/error.h"

namespace datashard::generation {

RunHeartbeat::RunHeartbeat(RunRegistry& registry, RunRecord record, const Outside& outside, HeartbeatSettings settings)
    : registry_(registry), outside_(outside), settings_(settings), record_(std::move(record)),
      thread_([this](const std::atomic<bool>& stopped) { if (!stopped) Beat(); }, settings.interval) {
  record_.status = RunRecord::Status::kRunning;
  record_.started_at = outside_.clock.Now();
  {
    const std::lock_guard lock(mutex_);
    WriteLocked();
  }
  thread_.Wake();
}

void RunHeartbeat::Beat() {
  const std::lock_guard lock(mutex_);
  if (record_.status != RunRecord::Status::kRunning) return;
  // The first call comes right after the record was made.
  if (std::exchange(is_begun_, true)) WriteLocked();
  thread_.Wake();
}

void RunHeartbeat::SetManifestRef(const std::string& ref) {
  const std::lock_guard lock(mutex_);
  record_.manifest_ref = ref;
  WriteLocked();
}

void RunHeartbeat::Succeed() { Close(RunRecord::Status::kSucceeded); }

void RunHeartbeat::Fail(const std::string& error_type, const std::string& error_message) {
  {
    const std::lock_guard lock(mutex_);
    record_.error_type = error_type;
    record_.error_message = error_message;
  }
  Close(RunRecord::Status::kFailed);
}

void RunHeartbeat::Close(RunRecord::Status status) {
  const std::lock_guard lock(mutex_);
  if (record_.status != RunRecord::Status::kRunning) return;
  record_.status = status;
  WriteLocked();
}

std::optional<std::string> RunHeartbeat::record_ref() const {
  const std::lock_guard lock(mutex_);
  return ref_;
}

void RunHeartbeat::WriteLocked() {
  record_.updated_at = outside_.clock.Now();
  const bool is_running = record_.status == RunRecord::Status::kRunning;
  record_.lease_expires_at = is_running ? record_.updated_at + settings_.lease : record_.updated_at;
  Status written;
  if (ref_) {
    written = registry_.Update(*ref_, record_);
  } else if (Result<std::string> made = registry_.Create(record_); made.ok()) {
    ref_ = *std::move(made);
  } else {
    written = made.error();
  }
  if (!written.ok())
    outside_.log.Write(LogLevel::kWarning, fmt::format("the record of run {} was not written; clean-up may take the run for dead once its "
                                                       "lease has ended: {}", record_.run_id, written.error().ToString()));
}

}  // namespace datashard::generation
