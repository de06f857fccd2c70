// DS_CHECK: what must hold unless this code has a bug. Never for data from storage, network or user.
#pragma once

#include "base/error.h"

/// Returns kInternal from the enclosing function when `condition` is false; builds for tests abort instead.
#ifdef DATASHARD_ABORT_ON_CHECK
#define DS_CHECK(condition)                                                                \
  do {                                                                                     \
    if (!(condition)) ::datashard::AbortOnCheck(#condition, __FILE__, __LINE__);           \
  } while (false)
#else
#define DS_CHECK(condition)                                                                \
  do {                                                                                     \
    if (!(condition)) return ::datashard::Internal("check failed: {} ({}:{})", #condition, __FILE__, __LINE__); \
  } while (false)
#endif

namespace datashard {
[[noreturn]] void AbortOnCheck(const char* condition, const char* file, int line);
}
