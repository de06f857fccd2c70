// The pairs of the benchmark `shards`, as shards_data.py makes them.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace bench {

inline constexpr size_t kValueBytes = 100;

inline uint64_t Mixed(uint64_t number) {
  uint64_t z = number + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

inline uint64_t KeyNumber(uint64_t index) { return Mixed(index) >> 2; }

struct Value {
  char bytes[(kValueBytes + 7) / 8 * 8];
};
inline Value ValueOf(uint64_t key) {
  Value value;
  for (uint64_t i = 0; i < sizeof(value.bytes) / 8; ++i) {
    const uint64_t word = Mixed(key + i);
    std::memcpy(value.bytes + 8 * i, &word, 8);
  }
  return value;
}

/// `count` of the keys number 0 … rows - 1, by chance.
inline std::vector<uint64_t> Asked(int64_t rows, int64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint64_t> keys(static_cast<size_t>(count));
  for (uint64_t& key : keys) key = KeyNumber(random() % static_cast<uint64_t>(rows));
  return keys;
}

}  // namespace bench
