#include "sim/sim_clock.h"

#include <algorithm>

namespace datashard::sim {

Instant SimClock::Now() {
  std::lock_guard lock(mutex_);
  return now_;
}

std::chrono::microseconds SimClock::Monotonic() {
  std::lock_guard lock(mutex_);
  return monotonic_;
}

void SimClock::Sleep(std::chrono::microseconds duration) {
  const auto forward = std::max(duration, std::chrono::microseconds(0));
  std::lock_guard lock(mutex_);
  now_ += forward;
  monotonic_ += forward;
  slept_ += forward;
}

void SimClock::SetNow(Instant now) {
  std::lock_guard lock(mutex_);
  now_ = now;
}

std::chrono::microseconds SimClock::slept() const {
  std::lock_guard lock(mutex_);
  return slept_;
}

}  // namespace datashard::sim
