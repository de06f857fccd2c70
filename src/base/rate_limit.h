// Tokens that come with time: what may be done per second, by all threads of a writer or reader together.
#pragma once

#include <chrono>
#include <mutex>

#include "base/clock.h"
#include "datashard/result.h"

namespace datashard {

/// Starts full, with one second's worth. A request of more than that is served by a full bucket, whose level is then below nothing: those after it
/// wait until it is paid off. Callable from several threads, served in the order they came.
class RateLimit {
 public:
  /// \param rate_per_second  above 0.
  RateLimit(double rate_per_second, Clock& clock);

  /// Waits until `tokens` are taken; for how long. Errors: what an InterruptScope around it answers; the tokens are spent then.
  Result<std::chrono::duration<double>> Acquire(double tokens);
  /// Seconds that Acquire would wait; 0 where the tokens were taken.
  double TryAcquire(double tokens);

 private:
  double WaitFor(double tokens);

  const double rate_;
  Clock& clock_;
  std::mutex mutex_;
  double level_;
  std::chrono::microseconds filled_at_;
};

}  // namespace datashard
