// A clock that stands still until somebody sleeps or moves it.
#pragma once

#include <mutex>

#include "base/clock.h"

namespace datashard::sim {

/// Callable from several threads.
class SimClock final : public Clock {
 public:
  /// 2030-01-01T00:00:00Z, so that a real time that leaked into a simulation is seen at once.
  static constexpr Instant kStart{std::chrono::seconds(1'893'456'000)};
  explicit SimClock(Instant start = kStart) : now_(start) {}

  Instant Now() override;
  std::chrono::microseconds Monotonic() override;
  /// Moves both times forward and returns at once.
  void Sleep(std::chrono::microseconds duration) override;

  /// Sets the wall time, backwards too, as an administrator or NTP would; the monotonic time goes on.
  void SetNow(Instant now);
  /// The sum of all sleeps: what retries and back-off cost.
  std::chrono::microseconds slept() const;

 private:
  mutable std::mutex mutex_;
  Instant now_;
  std::chrono::microseconds monotonic_{0};
  std::chrono::microseconds slept_{0};
};

}  // namespace datashard::sim
