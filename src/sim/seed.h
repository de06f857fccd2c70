// Seeds of simulations: random unless DATASHARD_SEEDS replays some.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "datashard/result.h"

namespace datashard::sim {

/// The seeds of DATASHARD_SEEDS ("17,18"), else `count` random ones. Each is printed with the way to replay it, at once
/// rather than on failure, so that a crash or an abort shows it too. A malformed variable ends the process.
std::vector<uint64_t> SeedsFromEnvOrRandom(int count);
/// The first of SeedsFromEnvOrRandom(1).
uint64_t SeedFromEnvOrRandom();

/// "17,18" as numbers. Errors: kInvalidArgument.
Result<std::vector<uint64_t>> ParseSeeds(std::string_view text);

}  // namespace datashard::sim
