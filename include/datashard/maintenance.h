// What Table::ExpireSnapshots and Table::CollectGarbage are asked and what they answer. Expiry forgets snapshots and frees
// nothing; collection removes files that no snapshot needs. Both only by explicit call. docs/tables.md, "Maintenance".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace datashard {

struct ExpireOptions {
  /// Snapshots committed before this time may go. None: 5 days ago, or as property history.expire.max-snapshot-age-ms says.
  std::optional<int64_t> older_than_ms;
  /// So many of the newest stay in any case, the current one among them. None: 1, or as property
  /// history.expire.min-snapshots-to-keep says. Branches may have settings of their own, which count for them.
  std::optional<int64_t> retain_last;
  /// Not empty: exactly these go, and the two above must not be given.
  std::vector<int64_t> snapshot_ids;
};

struct ExpireReport {
  int64_t expired = 0;           ///< snapshots that are gone now
  int64_t expired_archived = 0;  ///< of these, those that only the archive had
  /// Archived snapshots that are due but stay, because younger ones than they keep the floor down and too many (256) were
  /// expired one by one. They go once those do.
  int64_t deferred = 0;
  std::vector<std::string> removed_refs;  ///< tags and branches older than their max-ref-age-ms
  int64_t version = 0;                    ///< the version that has it; where nothing was due, the one looked at
};

struct CollectOptions {
  static constexpr std::chrono::milliseconds kGraceOwnMin = std::chrono::minutes(5);
  static constexpr std::chrono::milliseconds kGraceForeignMin = std::chrono::hours(24);

  /// Files younger than this stay, whatever names them. It also bounds how long a commit may be stopped: one that began
  /// more than half of it before a collection cannot commit after it. At least kGraceOwnMin.
  std::chrono::milliseconds grace_own = std::chrono::hours(1);
  /// The same for files whose names are not of our making: a Spark job runs for hours with files that nobody names yet. At
  /// least kGraceForeignMin.
  std::chrono::milliseconds grace_foreign = std::chrono::hours(72);
  /// For tests: no writer is running, so that shorter times do no harm.
  bool allow_short_grace = false;
  /// Only says what would go.
  bool dry_run = false;
};

/// Files that were removed, or would be.
struct CollectReport {
  std::vector<std::string> data_files;  ///< below data/: rows, deletes
  std::vector<std::string> manifests;   ///< below metadata/: manifests, and statistics
  std::vector<std::string> manifest_lists;
  std::vector<std::string> other_files;  ///< merged history, markers of the dead, temporary files
  int64_t size_bytes = 0;
  int64_t live_files = 0;     ///< files that snapshots need
  int64_t kept_files = 0;     ///< needed by none, but too young, or in use by a writer
  int64_t unknown_files = 0;  ///< below metadata/, of a kind nobody here knows: left alone
  int64_t snapshots_read = 0;
};

}  // namespace datashard
