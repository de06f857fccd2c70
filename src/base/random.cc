#include "base/random.h"

#include <sys/random.h>

#include <cstdlib>
#include <mutex>
#include <random>

#include <fmt/format.h>

namespace datashard {
namespace {

class KernelRandom final : public Random {
 public:
  uint64_t Next() override {
    uint64_t value = 0;
    // getrandom of up to 256 bytes is never short or interrupted once the kernel's pool is ready.
    if (getrandom(&value, sizeof value, 0) != sizeof value) std::abort();
    return value;
  }
};

class MersenneRandom final : public Random {
 public:
  explicit MersenneRandom(uint64_t seed) : engine_(seed) {}
  uint64_t Next() override {
    std::lock_guard lock(mutex_);
    return engine_();
  }

 private:
  std::mutex mutex_;
  std::mt19937_64 engine_;
};

}  // namespace

Random& SystemRandom() {
  static KernelRandom random;
  return random;
}

std::unique_ptr<Random> SeededRandom(uint64_t seed) { return std::make_unique<MersenneRandom>(seed); }

int64_t RandomId63(Random& random) {
  for (;;) {
    const auto id = static_cast<int64_t>(random.Next() >> 1);
    if (id != 0) return id;
  }
}

std::string RandomUuid(Random& random) {
  const uint64_t high = (random.Next() & ~0xF000ull) | 0x4000ull;
  const uint64_t low = (random.Next() & ~(0xC0ull << 56)) | (0x80ull << 56);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF, high & 0xFFFF, low >> 48,
                     low & 0xFFFFFFFFFFFFull);
}

std::string RandomHex(Random& random, int digits) {
  std::string text;
  while (static_cast<int>(text.size()) < digits) text += fmt::format("{:016x}", random.Next());
  text.resize(static_cast<size_t>(digits));
  return text;
}

double RandomUnit(Random& random) { return static_cast<double>(random.Next() >> 11) * 0x1.0p-53; }

}  // namespace datashard
