// Whether and where copies of a bucket's immutable objects are kept on this machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/environment.h"
#include "datashard/result.h"

namespace datashard::cache {

struct CacheSettings {
  std::string directory;
  int64_t bytes_max = int64_t{1} << 30;
  bool operator==(const CacheSettings&) const = default;
};

/// DATASHARD_S3_CACHE_DIR and DATASHARD_S3_CACHE_BYTES; none where the first is not set: then nothing local is ever made.
/// Errors: kInvalidArgument: a budget that is no number of bytes, or less than 1 MiB.
Result<std::optional<CacheSettings>> CacheFromEnvironment(const Environment& environment);

}  // namespace datashard::cache
