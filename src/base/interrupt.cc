// The scopes of a thread are a list on its stack. A parameter instead would have to go through every method of ObjectStore and
// whatever calls one, for the sake of a single place that waits.
#include "base/interrupt.h"

#include <algorithm>
#include <utility>

namespace datashard {
namespace {

thread_local InterruptScope* innermost = nullptr;

}  // namespace

InterruptScope::InterruptScope(Interrupted interrupted, std::chrono::milliseconds grace)
    : interrupted_(std::move(interrupted)), grace_(grace), outer_(std::exchange(innermost, this)) {}

InterruptScope::~InterruptScope() { innermost = outer_; }

Status InterruptScope::Ask() {
  Status status = interrupted_ ? interrupted_() : Status();
  if (status.ok() && outer_ != nullptr) status = outer_->Ask();
  if (status.ok() || grace_.count() == 0) return status;
  const std::chrono::microseconds now = SystemClock().Monotonic();
  if (heard_.count() < 0) heard_ = now;
  return now - heard_ < grace_ ? Status() : status;
}

Status AskInterrupted() { return innermost == nullptr ? Status() : innermost->Ask(); }

Status SleepInterruptibly(Clock& clock, std::chrono::microseconds duration) {
  const auto end = clock.Monotonic() + duration;
  for (auto now = clock.Monotonic(); now < end; now = clock.Monotonic()) {
    clock.Sleep(std::min<std::chrono::microseconds>(end - now, kAskInterruptedEvery));
    DS_RETURN_IF_ERROR(AskInterrupted());
  }
  return {};
}

}  // namespace datashard
