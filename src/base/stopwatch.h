// Seconds by phase, as metrics.
#pragma once

#include <chrono>
#include <string_view>

#include "base/outside.h"

namespace datashard {

/// Adds the time since it was made, or since the last lap, to a metric.
class Stopwatch {
 public:
  explicit Stopwatch(const Outside& outside) : outside_(outside), start_(outside.clock.Monotonic()) {}
  void Lap(std::string_view metric) {
    const auto now = outside_.clock.Monotonic();
    outside_.metrics.Add(metric, std::chrono::duration<double>(now - start_).count());
    start_ = now;
  }

 private:
  const Outside& outside_;
  std::chrono::microseconds start_;
};

}  // namespace datashard
