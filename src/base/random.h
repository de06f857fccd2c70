// Randomness arrives through this interface, so that one seed replays a run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace datashard {

/// Callable from several threads.
class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Next() = 0;
};

/// The kernel's generator; lives as long as the process. Safe after fork: nothing is kept.
Random& SystemRandom();
/// A repeatable sequence for tests and simulations.
std::unique_ptr<Random> SeededRandom(uint64_t seed);

/// 1 … 2^63 - 1, as Iceberg's snapshot ids are.
int64_t RandomId63(Random& random);
/// Version 4, lower case, with dashes.
std::string RandomUuid(Random& random);
/// `digits` lower-case hexadecimal digits.
std::string RandomHex(Random& random, int digits);
/// Uniform in [0, 1).
double RandomUnit(Random& random);

}  // namespace datashard
