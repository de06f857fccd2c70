// The digest that spreads keys over shards: xxh3_64 with seed 0.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace datashard::routing {

/// Of the 8 little-endian bytes of `number` (two's complement of an integer of int64).
uint64_t DigestOfNumber(uint64_t number);
uint64_t DigestOf(ByteView bytes);

}  // namespace datashard::routing
