// Files that lie there for long before a commit names them: the object metadata/inflight/<16 hex digits>.lease keeps collection
// away from them. Who lets it grow old must not name his files any more. Source: docs/design/0007-collection.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "datashard/result.h"
#include "storage/object_store.h"

namespace datashard::commit {

inline constexpr std::string_view kInflightPrefix = "metadata/inflight/";
/// For so long after it was written last a lease holds, by the store's clock.
inline constexpr std::chrono::microseconds kLeaseTime = std::chrono::hours(24);

/// Is it the key of one?
bool IsLeaseKey(std::string_view key);
/// Files of that time or younger are held. Errors: kCorruption.
Result<Instant> ReadLease(ByteView body, std::string_view object);

/// One thread at a time. Must not outlive its store. Dropped without Release, it holds until it is old.
class Lease {
 public:
  /// To be taken before the first file is written. Errors: of storage.
  static Result<std::unique_ptr<Lease>> Take(ObjectStore& store, Random& random);
  /// Before every use of files written under it; renews it every ten minutes. Errors: kConflict once it was left alone for
  /// nearly kLeaseTime: the files may have been collected and must not be named.
  Status Hold();
  /// Nothing needs it any more. A failure leaves it to grow old.
  void Release();

 private:
  Lease(ObjectStore& store, std::string key, Bytes body, Instant now)
      : store_(store), key_(std::move(key)), body_(std::move(body)), renewed_(now) {}

  ObjectStore& store_;
  const std::string key_;
  const Bytes body_;
  Instant renewed_;
};

}  // namespace datashard::commit
