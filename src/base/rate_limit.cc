#include "base/rate_limit.h"

#include <algorithm>

#include "base/interrupt.h"
#include "datashard/sharded_reader.h"

namespace datashard {

RateLimit::RateLimit(double rate_per_second, Clock& clock)
    : rate_(rate_per_second), clock_(clock), level_(rate_per_second), filled_at_(clock.Monotonic()) {}

// Seconds until the level is what a request of `tokens` needs. Under the lock.
double RateLimit::WaitFor(double tokens) {
  const std::chrono::microseconds now = clock_.Monotonic();
  level_ = std::min(rate_, level_ + rate_ * std::chrono::duration<double>(now - filled_at_).count());
  filled_at_ = now;
  return std::max(0.0, (std::min(tokens, rate_) - level_) / rate_);
}

Result<std::chrono::duration<double>> RateLimit::Acquire(double tokens) {
  double wait_s = 0;
  {
    const std::lock_guard lock(mutex_);
    wait_s = WaitFor(tokens);
    level_ -= tokens;  // taken before the wait, so that who comes later waits longer
  }
  DS_RETURN_IF_ERROR(SleepInterruptibly(clock_, std::chrono::ceil<std::chrono::microseconds>(std::chrono::duration<double>(wait_s))));
  return std::chrono::duration<double>(wait_s);
}

double RateLimit::TryAcquire(double tokens) {
  const std::lock_guard lock(mutex_);
  const double wait_s = WaitFor(tokens);
  if (wait_s == 0) level_ -= tokens;
  return wait_s;
}

struct TokenBucket::State {
  RateLimit limit;
};

TokenBucket::TokenBucket(double rate_per_second) : state_(new State{{rate_per_second, SystemClock()}}) {}
TokenBucket::~TokenBucket() = default;

std::chrono::duration<double> TokenBucket::Acquire(double tokens) {
  const Result<std::chrono::duration<double>> waited = state_->limit.Acquire(tokens);
  return waited.ok() ? *waited : std::chrono::duration<double>::zero();
}

double TokenBucket::TryAcquire(double tokens) { return state_->limit.TryAcquire(tokens); }

}  // namespace datashard
