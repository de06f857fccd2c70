#include "base/clock.h"

#include <thread>

namespace datashard {
namespace {

class RealClock final : public Clock {
 public:
  Instant Now() override { return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()); }
  std::chrono::microseconds Monotonic() override {
    return std::chrono::floor<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch());
  }
  void Sleep(std::chrono::microseconds duration) override { std::this_thread::sleep_for(duration); }
};

}  // namespace

Clock& SystemClock() {
  static RealClock clock;
  return clock;
}

}  // namespace datashard
