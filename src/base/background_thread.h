// A thread for work that nobody waits for: started when there is some, gone when it is done. It ends before the process does,
// because libraries it uses are taken down at exit, and a fork child has none of it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>

#include "base/fork.h"

namespace datashard {

/// Callable from several threads, also after a fork: a child starts a thread of its own.
class BackgroundThread {
 public:
  /// Called in the thread, never twice at a time, in a process that gets its signals elsewhere. Once `stopped` is true it should
  /// return soon; requests to a bucket that last longer than two seconds from then on end as interrupted.
  using Work = std::function<void(const std::atomic<bool>& stopped)>;
  /// \param pause  between the end of one call and the next.
  BackgroundThread(Work work, std::chrono::microseconds pause);
  /// Stops: work that was asked for and has not begun is done now, `stopped` and without a pause. Waits for its end.
  ~BackgroundThread();
  BackgroundThread(const BackgroundThread&) = delete;
  BackgroundThread& operator=(const BackgroundThread&) = delete;

  /// Asks for a call that begins after this one; many that come before it begins are answered by one. Without effect once the
  /// process is exiting, or where no thread is to be had.
  void Wake();

  /// From now on all threads of this kind are stopped, at exit, before what was made so far (function-local statics) is
  /// destroyed. The first Wake calls it; call it again after making something that the work needs.
  static void StopAllAtExit();

 private:
  struct State;
  static void StopAll();
  State& OwnState();
  void Stop();
  void Run(State& state);

  const Work work_;
  const std::chrono::microseconds pause_;
  PerProcess<std::unique_ptr<State>> state_;
};

}  // namespace datashard
