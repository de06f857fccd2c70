// Ctrl-C and the like: what ends a call that waits.
#pragma once

#include <chrono>
#include <functional>

#include "datashard/result.h"

namespace datashard {

/// Called now and then while a call waits; a value other than ok ends the wait with that error (Ctrl-C in Python).
using Interrupted = std::function<Status()>;

/// While one lives, whatever this thread waits for in a bucket asks `interrupted` ten times a second, from a tenth of a second on,
/// and ends with its error: kUnavailable, or kCommitUnknown where a commit was under way. Threads that a scan starts hear
/// of it too. Scopes nest: outer ones are asked as well. Must end in the thread it began in, before those around it.
class InterruptScope {
 public:
  /// \param interrupted  may be empty.
  /// \param grace  how long work goes on once an error was first heard, of this scope or of one around it: a commit that a
  /// healthy bucket is about to answer then has an outcome.
  explicit InterruptScope(Interrupted interrupted, std::chrono::milliseconds grace = {});
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

 private:
  friend Status AskInterrupted();
  Status Ask();

  const Interrupted interrupted_;
  const std::chrono::microseconds grace_;
  std::chrono::microseconds heard_{-1};  // of the monotonic clock; less than 0: not yet
  InterruptScope* const outer_;
};

}  // namespace datashard
