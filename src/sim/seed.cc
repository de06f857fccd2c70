#include "sim/seed.h"

#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "base/random.h"

namespace datashard::sim {

Result<std::vector<uint64_t>> ParseSeeds(std::string_view text) {
  std::vector<uint64_t> seeds;
  for (size_t start = 0; start <= text.size();) {
    const size_t end = std::min(text.find(',', start), text.size());
    const std::string_view part = text.substr(start, end - start);
    uint64_t seed = 0;
    const auto [rest, error] = std::from_chars(part.data(), part.data() + part.size(), seed);
    if (error != std::errc{} || rest != part.data() + part.size())
      return InvalidArgument("seeds '{}': '{}' is no number from 0 to 2^64 - 1; write them like 17,18", text, part);
    seeds.push_back(seed);
    start = end + 1;
  }
  return seeds;
}

std::vector<uint64_t> SeedsFromEnvOrRandom(int count) {
  std::vector<uint64_t> seeds;
  if (const char* const text = std::getenv("DATASHARD_SEEDS"); text != nullptr && *text != '\0') {
    Result<std::vector<uint64_t>> parsed = ParseSeeds(text);
    if (!parsed.ok()) {
      fmt::print(stderr, "DATASHARD_SEEDS: {}\n", parsed.error().ToString());
      std::exit(2);
    }
    seeds = std::move(parsed).value();
  } else {
    for (int i = 0; i < count; ++i) seeds.push_back(SystemRandom().Next());
  }
  for (const uint64_t seed : seeds) fmt::print("seed {0} (replay: DATASHARD_SEEDS={0})\n", seed);
  std::fflush(stdout);
  return seeds;
}

uint64_t SeedFromEnvOrRandom() { return SeedsFromEnvOrRandom(1).front(); }

}  // namespace datashard::sim
