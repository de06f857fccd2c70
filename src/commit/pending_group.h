// Group commit across hosts: a host that keeps losing races leaves what it wants to append in metadata/pending/, its files
// written and named there, and whoever wins the next version takes it in. The marks decide whether it is in the table already,
// as they do within a host, so it is there once, however many take it in.
// Source: docs/design/0010-group-commit-across-hosts.md; bytes: docs/formats/pending.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/outside.h"
#include "base/random.h"
#include "commit/append_files.h"
#include "commit/marks.h"
#include "datashard/result.h"
#include "storage/object_store.h"

namespace datashard::commit {

inline constexpr std::string_view kPendingPrefix = "metadata/pending/";
/// An older one, by the store's clock, is taken in by nobody: its files may soon be garbage. Together with
/// kCommitTimeBesideCollection it stays below the shortest grace period of collection.
inline constexpr std::chrono::microseconds kPendingAgeMax = std::chrono::seconds(60);

/// Rows in one manifest, all of them or none, and the slots that wait for them.
struct PendingPart {
  bool transaction = false;  ///< in a snapshot of its own
  int32_t schema_id = 0;     ///< as their files were written
  int32_t spec_id = 0;
  std::vector<std::pair<int, int64_t>> members;  ///< slot and seq
  WrittenManifest manifest;
};

struct PendingGroup {
  std::string id;  ///< NewPendingId, the name of its object
  std::string table_uuid;
  std::string ring_id;
  std::vector<PendingPart> parts;

  std::string key() const;
};
using PendingPtr = std::shared_ptr<const PendingGroup>;

/// Is nothing of it left to be added where its ring has these marks? With one member marked a part is in, or must never be.
bool IsSettled(const PendingGroup& group, const Marks& marks);
/// 32 hexadecimal digits that sort by time: 12 of milliseconds by the host's clock, then random ones.
std::string NewPendingId(Instant now, Random& random);
/// Is it the key of one?
bool IsPendingKey(std::string_view key);
Result<Bytes> EncodePending(const PendingGroup& group);
/// Errors: kCorruption.
Result<PendingGroup> DecodePending(std::string id, ByteView body, std::string_view object);

/// What lies in metadata/pending/. One thread at a time.
class PendingGroups {
 public:
  PendingGroups(ObjectStore& store, Outside outside) : store_(store), outside_(outside) {}

  /// The ids of those that are young enough, sorted: about in the order they were put. Cost: a list. Errors: of storage.
  Result<std::vector<std::string>> List();
  /// Those of `ids` that are of table `table_uuid` and can be read, in order. Cost: a round trip for all that were not read before.
  std::vector<PendingPtr> Read(const std::vector<std::string>& ids, std::string_view table_uuid);

 private:
  Result<Instant> StoreTime();

  ObjectStore& store_;
  const Outside outside_;
  std::map<std::string, PendingPtr> seen_;  // by id; null: unreadable
  std::optional<std::chrono::microseconds> ahead_;  // the store's clock of ours, as of asked_
  Instant asked_;
};

}  // namespace datashard::commit
