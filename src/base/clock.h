// Time arrives through this interface, so that a simulation can own it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

namespace datashard {

using Instant = std::chrono::sys_time<std::chrono::microseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall time, UTC.
  virtual Instant Now() = 0;
  /// Time since an arbitrary start, of suspension too; never runs backwards.
  virtual std::chrono::microseconds Monotonic() = 0;
  virtual void Sleep(std::chrono::microseconds duration) = 0;
};

/// The machine's clock; lives as long as the process.
Clock& SystemClock();

inline int64_t ToMillis(Instant instant) {
  return std::chrono::floor<std::chrono::milliseconds>(instant).time_since_epoch().count();
}

}  // namespace datashard
