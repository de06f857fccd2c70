// Publishes changes: applies them to the newest version, makes all new files durable, the next version's content among them
// (first wave), gives that version its name exclusively (second wave), and starts again from whatever won when it lost.
// Source: docs/design/0002-numbered-versions.md.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fork.h"
#include "base/outside.h"
#include "catalog/directory_catalog.h"
#include "commit/change.h"
#include "storage/object_store.h"

namespace datashard::commit {

struct CommitSettings {
  std::chrono::microseconds timeout = std::chrono::minutes(10);
  std::chrono::microseconds backoff_first = std::chrono::microseconds(500);
  std::chrono::microseconds backoff_max = std::chrono::milliseconds(50);
  /// On a remote store both are multiples of what publishing took the loser.
  int64_t remote_backoff_first = 1;
  int64_t remote_backoff_max = 8;
  bool leave_to_os = false;  ///< acknowledge before the disk has it
  bool operator==(const CommitSettings&) const = default;
};

/// The timeout of property datashard.commit.timeout (seconds, e.g. "600" or "2.5"), default 10 minutes; whether property
/// datashard.durability is "os" instead of "sync", the default.
/// Errors: kInvalidArgument for any other value, and for any property of commits that says what it cannot.
Result<CommitSettings> SettingsOf(const iceberg::TableMetadata& metadata);

/// What ends a caller's wait. One for everything that one append does.
struct Until {
  std::chrono::microseconds deadline;  ///< of Clock::Monotonic
  std::function<Status()> interrupted;  ///< asked now and then; its error ends the wait
};
/// From now on for as long as the table says. Errors: as SettingsOf.
Result<Until> UntilOf(const iceberg::TableMetadata& metadata, Clock& clock, std::function<Status()> interrupted);

/// Every collection of garbage publishes a version with a new value of this property before it removes files. So whoever was
/// stopped in the middle of a commit loses his race, sees it, and does not name files that may be gone.
inline constexpr std::string_view kCollectedProperty = "datashard.collected";
/// A commit that has taken longer than this gives up where files were collected since it began. Half of the shortest grace
/// period (CollectOptions::kGraceOwnMin).
inline constexpr std::chrono::microseconds kCommitTimeBesideCollection = std::chrono::seconds(150);

struct CommitOptions {
  /// `known` is very likely the newest: the first attempt builds on it without a look.
  bool known_is_newest = false;
  /// Looked at between attempts; then nothing is published. None: the table's time-out.
  std::optional<Until> until = {};
  /// After so many lost races nothing is published, and Committed::version is null. 0: no limit.
  int64_t races_max = 0;
  /// Called before the change is applied to `base`, in every attempt (the first is 1).
  std::function<void(const catalog::VersionPtr& base, int64_t attempt)> before_plan = {};
  /// Called before every attempt and while foreign writers are waited for, every ForeignWriters::kLookMax at least.
  std::function<void()> alive = {};
};

/// What a commit has published.
struct Committed {
  catalog::VersionPtr version;  ///< null only after CommitOptions::races_max
  /// Its bytes and those of its manifest list; empty where the change had nothing to publish.
  Bytes metadata_body;
  Bytes list_body;
};

class Committer {
 public:
  Committer(std::shared_ptr<ObjectStore> store, catalog::DirectoryCatalog& catalog, Outside outside);

  /// Publishes `change` on top of `known` or what came after it.
  /// \param group  holds the files the change names, finished but not necessarily durable; synced here with the rest. Those
  /// that were written more than minutes ago need a Lease.
  /// \return the version that contains the change, durable; the base, where the change changed nothing.
  /// Errors: of Apply; kConflict (time-out after lost races, or kCommitTimeBesideCollection); of storage. After each of these
  /// nothing is published and the files made here are gone. kCommitUnknown: outcome open, every file is kept.
  Result<Committed> Commit(Change& change, catalog::VersionPtr known, WriteGroup& group, const CommitOptions& options = {});

  /// The newest version, given that `known` was one, and is likely still; on a remote store one request then.
  Result<catalog::VersionPtr> Next(const catalog::VersionPtr& known) const { return catalog_.Next(known); }

  /// What can wait until nobody waits any more, after version `number` was committed: bodies of old versions go.
  void Tidy(int64_t number) { catalog_.DropOldVersions(number); }

  /// The manifests of the current snapshot. Errors: kCorruption (kMetadata) where the list is missing or unreadable.
  Result<Base> LoadBase(catalog::VersionPtr version) const;
  /// The list of our own last commit is the likeliest base of the next one. Lists never change, so it cannot be stale.
  void RememberManifests(const std::string& list_uri, std::vector<ManifestFile> manifests);

 private:
  std::chrono::microseconds BackOff(const CommitSettings& settings, int64_t attempt, std::chrono::microseconds publishing) const;
  Draft DraftOn(const Base& base, int64_t attempt) const;

  struct Remembered {
    std::string list_uri;
    std::vector<ManifestFile> manifests;
  };
  mutable PerProcess<Remembered> remembered_;
  std::shared_ptr<ObjectStore> store_;
  catalog::DirectoryCatalog& catalog_;
  Outside outside_;
};

}  // namespace datashard::commit
