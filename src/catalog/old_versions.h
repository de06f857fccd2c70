// What becomes of old versions: first their bodies go, and much later their names. A name that exists can not be created
// again, so a writer that was stopped on an old base loses as it should.
// Source: docs/design/0005-old-versions-and-foreign-writers.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/fork.h"
#include "datashard/result.h"
#include "iceberg/metadata.h"
#include "storage/object_store.h"

namespace datashard::catalog {

/// What stands in for a dropped body: shorter than any table's metadata.
inline constexpr std::string_view kTombstone = R"({"datashard-tombstone":1})";
inline bool IsTombstone(const ObjectInfo& info) { return info.size_bytes == static_cast<int64_t>(kTombstone.size()); }

struct VersionLimits {
  int64_t bodies_min = 100;                        ///< the newest so many bodies stay
  int64_t bodies_max = 1'000;                      ///< and up to so many while they are younger than:
  std::chrono::microseconds body_age = std::chrono::seconds(5);
  int64_t names = 100'000;                         ///< the newest so many names stay
  int64_t every = 64;                              ///< versions between two rounds of dropping
  int64_t batch = 256;                             ///< bodies, and names, per round at most
  int64_t remote_min = 1'000;                      ///< on a remote store the newest so many versions stay, body and name,
  std::chrono::microseconds remote_age = std::chrono::hours(1);  ///< and all that are younger; they go by whole batches
  bool operator==(const VersionLimits&) const = default;
};

/// Callable from several threads and processes at once: all of them do the same, in ascending order.
class OldVersions {
 public:
  OldVersions(ObjectStore& store, VersionLimits limits) : store_(store), limits_(limits) {}

  /// After version `head` was published: every `limits.every`-th time, drops bodies and removes names that are due (on a
  /// remote store both at once); does nothing otherwise, and nothing while another thread is at it. Where the last round ended
  /// is remembered; a new process finds it by halving (some 17 looks each). Errors: of storage; harmless, the next round tries again.
  Status Drop(int64_t head);

  const VersionLimits& limits() const { return limits_; }
  /// On a remote store the name that goes before all others of the batch of `number`, and after every earlier batch: while it is
  /// there, neither `number` nor its successor was ever removed.
  int64_t FirstOfBatch(int64_t number) const { return (number - 1) / limits_.batch * limits_.batch + 1; }

 private:
  /// The oldest version that may still have a body, and a name; 0: not looked for yet.
  struct Oldest {
    int64_t body = 0;
    int64_t name = 0;
  };
  Status DropBodies(int64_t head, Oldest& oldest);
  Status RemoveNames(int64_t head, Oldest& oldest);
  Status RemoveRemote(int64_t head, Oldest& oldest);
  Result<bool> RemoveBatch(int64_t last, Oldest& oldest);
  Status FindOldestName(int64_t last, Oldest& oldest);

  ObjectStore& store_;
  const VersionLimits limits_;
  PerProcess<Oldest> oldest_;
};

enum class Standing { kIncluded, kExcluded, kUnsaid };
/// The snapshot that version `ours`, planned on `base` (null: on nothing), has and its base has not; null where there is none.
const Snapshot* AddedSnapshot(const iceberg::TableMetadata& ours, const iceberg::TableMetadata* base);
/// Does the history of `head` include version `ours`? Told by the snapshot that `ours`
/// added. Unsaid where it added none (a withdrawal, a property: its base's snapshot says nothing of it), and where the
/// snapshots of `head` do not reach back that far. Cost: the snapshots since, times a look-up.
Standing StandingOf(const iceberg::TableMetadata& ours, const iceberg::TableMetadata* base,
                    const iceberg::TableMetadata& head);

}  // namespace datashard::catalog
