#include "base/clock.h"

#include <ctime>
#include <thread>

namespace datashard {
namespace {

class RealClock final : public Clock {
 public:
  Instant Now() override { return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()); }
  std::chrono::microseconds Monotonic() override {
    // It goes on while the machine is suspended, which steady_clock does not: what was seen hours ago was not seen lately.
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::floor<std::chrono::microseconds>(std::chrono::nanoseconds(now.tv_nsec));
  }
  void Sleep(std::chrono::microseconds duration) override { std::this_thread::sleep_for(duration); }
};

}  // namespace

Clock& SystemClock() {
  static RealClock clock;
  return clock;
}

}  // namespace datashard
