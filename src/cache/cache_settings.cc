#include "cache/cache_settings.h"

#include <charconv>

#include "base/error.h"

namespace datashard::cache {
namespace {

constexpr int64_t kBytesMin = 1 << 20;

}  // namespace

Result<std::optional<CacheSettings>> CacheFromEnvironment(const Environment& environment) {
  CacheSettings settings{.directory = environment.Get("DATASHARD_S3_CACHE_DIR")};
  if (settings.directory.empty()) return std::optional<CacheSettings>();
  const std::string budget = environment.Get("DATASHARD_S3_CACHE_BYTES");
  if (budget.empty()) return std::optional(std::move(settings));
  const auto [end, error] = std::from_chars(budget.data(), budget.data() + budget.size(), settings.bytes_max);
  if (error != std::errc() || end != budget.data() + budget.size() || settings.bytes_max < kBytesMin)
    return InvalidArgument("DATASHARD_S3_CACHE_BYTES is '{}'; expected a number of bytes, at least {}, or leave it unset for 1 GiB",
                           budget, kBytesMin);
  return std::optional(std::move(settings));
}

}  // namespace datashard::cache
