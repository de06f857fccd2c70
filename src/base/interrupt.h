// How a wait finds out that nobody wants its result any more.
#pragma once

#include <chrono>

#include "base/clock.h"
#include "datashard/interrupt.h"

namespace datashard {

/// The error of the first scope of this thread, from the innermost on, that has one; ok where there is none. For waits, every
/// kAskInterruptedEvery.
Status AskInterrupted();
inline constexpr std::chrono::milliseconds kAskInterruptedEvery{100};
/// Sleeps and asks meanwhile. Errors: as AskInterrupted.
Status SleepInterruptibly(Clock& clock, std::chrono::microseconds duration);

}  // namespace datashard
