// What a component may touch outside its own memory, beside a store. Borrowed: outlives all built from it.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"

namespace datashard {

struct Outside {
  Clock& clock;
  Random& random;
  Metrics& metrics;
  Log& log;
};

}  // namespace datashard
