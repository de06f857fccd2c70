#include "commit/lease.h"

#include "base/error.h"
#include "iceberg/json_reader.h"
#include "iceberg/json_writer.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kEnd = ".lease";
constexpr std::string_view kSince = "since-ms";
constexpr size_t kDigits = 16;
constexpr int64_t kBytesMax = 4096;
constexpr std::chrono::microseconds kRenewAfter = std::chrono::minutes(10);
// A commit that begins now is over, or has timed out, long before the lease is old.
constexpr std::chrono::microseconds kSpare = std::chrono::hours(1);

}  // namespace

bool IsLeaseKey(std::string_view key) {
  if (!key.starts_with(kInflightPrefix) || !key.ends_with(kEnd)) return false;
  const std::string_view digits = key.substr(kInflightPrefix.size(), key.size() - kInflightPrefix.size() - kEnd.size());
  return digits.size() == kDigits && digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<Instant> ReadLease(ByteView body, std::string_view object) {
  DS_ASSIGN_OR_RETURN(const auto document, iceberg::JsonDocument::Parse(body, object, kBytesMax));
  DS_ASSIGN_OR_RETURN(iceberg::JsonObject members, iceberg::JsonObject::Of(document.root()));
  DS_ASSIGN_OR_RETURN(const int64_t since_ms, members.Int64(kSince));
  constexpr int64_t kMillisMax = int64_t{1} << 50;
  if (since_ms < 0 || since_ms > kMillisMax) return Corruption("{}: {} is {}", object, kSince, since_ms);
  return Instant(std::chrono::milliseconds(since_ms));
}

Result<std::unique_ptr<Lease>> Lease::Take(ObjectStore& store, Random& random) {
  DS_ASSIGN_OR_RETURN(const Instant now, store.ServerTime());
  std::string key = fmt::format("{}{}{}", kInflightPrefix, RandomHex(random, kDigits), kEnd);
  iceberg::JsonWriter json;
  json.BeginObject().Key(kSince).Int(ToMillis(now)).EndObject();
  Bytes body = std::move(json).Take();
  DS_RETURN_IF_ERROR(store.Replace(key, body));
  return std::unique_ptr<Lease>(new Lease(store, std::move(key), std::move(body), now));
}

Status Lease::Hold() {
  DS_ASSIGN_OR_RETURN(const Instant now, store_.ServerTime());
  if (now - renewed_ > kLeaseTime - kSpare) {
    return Conflict("rows written to {} were left uncommitted for {} hours without a call, so that collection may have removed "
                    "their files; nothing was committed: write them again", store_.root_uri(),
                    std::chrono::duration_cast<std::chrono::hours>(now - renewed_).count());
  }
  if (now - renewed_ < kRenewAfter) return {};
  DS_RETURN_IF_ERROR(store_.Replace(key_, body_));
  renewed_ = now;
  return {};
}

void Lease::Release() {
  const Status released = store_.Delete(key_);
  static_cast<void>(released);  // it then grows old
}

}  // namespace datashard::commit
