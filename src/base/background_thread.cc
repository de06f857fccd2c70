#include "base/background_thread.h"

#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/quiet_thread.h"

namespace datashard {

struct BackgroundThread::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool wanted = false;
  bool running = false;
  std::atomic<bool> stopped = false;
  std::thread thread;
};

namespace {

/// Of requests to a bucket, once the thread is to end.
constexpr std::chrono::seconds kStopGrace{2};

/// Those that were woken in this process, to be stopped at exit.
using Live = std::set<BackgroundThread*>;

/// Never destroyed: a BackgroundThread may go after everything else.
PerProcess<Live>& AllLive() {
  static PerProcess<Live>& live = *std::make_unique<PerProcess<Live>>().release();
  return live;
}

/// Set before StopAll takes the lock. (A fork child of a process that is exiting exits too.)
std::atomic<bool> exiting = false;

/// Says that `thread` is to be stopped at exit. False where that has begun: whoever has the lock then may be waiting for
/// the very thread that calls this.
bool Register(BackgroundThread& thread) {
  for (;;) {
    if (exiting) return false;
    if (const auto live = AllLive().TryLock()) {
      (*live)->insert(&thread);
      return true;
    }
    std::this_thread::yield();
  }
}

}  // namespace

BackgroundThread::BackgroundThread(Work work, std::chrono::microseconds pause) : work_(std::move(work)), pause_(pause) {}

BackgroundThread::~BackgroundThread() {
  AllLive().Lock()->erase(this);
  Stop();
}

void BackgroundThread::StopAllAtExit() {
  (void)std::atexit(StopAll);  // refused only where memory has run out
}

void BackgroundThread::StopAll() {
  exiting = true;
  const auto live = AllLive().Lock();
  for (BackgroundThread* thread : *live) thread->Stop();
}

BackgroundThread::State& BackgroundThread::OwnState() {
  const auto state = state_.Lock();
  if (*state == nullptr) *state = std::make_unique<State>();
  return **state;
}

void BackgroundThread::Wake() {
  static std::atomic<bool> registered = false;
  if (!registered.exchange(true)) StopAllAtExit();
  if (!Register(*this)) return;
  State& state = OwnState();
  std::unique_lock lock(state.mutex);
  if (state.stopped) return;
  state.wanted = true;
  if (state.running) return;
  if (state.thread.joinable()) state.thread.join();  // it is at its end
  state.running = true;
  state.thread = QuietThread([this, &state] { Run(state); });
  if (!state.thread.joinable()) state.running = false;
}

void BackgroundThread::Stop() {
  State& state = OwnState();
  {
    std::lock_guard lock(state.mutex);
    state.stopped = true;
  }
  state.changed.notify_all();
  if (state.thread.joinable()) state.thread.join();
}

void BackgroundThread::Run(State& state) {
  std::unique_lock lock(state.mutex);
  while (state.wanted) {
    state.wanted = false;
    lock.unlock();
    {
      // A bucket that does not answer holds up nobody's end.
      InterruptScope until_stopped([&]() -> Status { return state.stopped ? Unavailable("its process ends") : Status(); }, kStopGrace);
      work_(state.stopped);
    }
    lock.lock();
    state.changed.wait_for(lock, pause_, [&] { return state.stopped.load(); });
  }
  state.running = false;
}

}  // namespace datashard
