// Publishes changes: applies them to the newest version, makes all new files durable, the next version's content among them
// (first wave), gives that version its name exclusively (second wave), and starts again from whatever won when it lost.
// Source: docs/design/0002-numbered-versions.md.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/outside.h"
#include "catalog/directory_catalog.h"
#include "commit/change.h"
#include "storage/object_store.h"

namespace datashard::commit {

struct CommitSettings {
  std::chrono::microseconds timeout = std::chrono::minutes(10);
  std::chrono::microseconds backoff_first = std::chrono::microseconds(500);
  std::chrono::microseconds backoff_max = std::chrono::milliseconds(50);
  bool operator==(const CommitSettings&) const = default;
};

/// The timeout of property datashard.commit.timeout (seconds, e.g. "600" or "2.5"), default 10 minutes.
/// Errors: kInvalidArgument for a value that is no positive number.
Result<CommitSettings> SettingsOf(const iceberg::TableMetadata& metadata);

/// Every collection of garbage publishes a version with a new value of this property before it removes files. So whoever was
/// stopped in the middle of a commit loses his race, sees it, and does not name files that may be gone.
inline constexpr std::string_view kCollectedProperty = "datashard.collected";
/// A commit that has taken longer than this gives up where files were collected since it began. Half of the shortest grace
/// period (CollectOptions::kGraceOwnMin).
inline constexpr std::chrono::microseconds kCommitTimeBesideCollection = std::chrono::seconds(150);

struct CommitOptions {
  /// `known` is very likely the newest: the first attempt builds on it without a look.
  bool known_is_newest = false;
  /// Asked between attempts; its error ends the commit, nothing published.
  std::function<Status()> interrupted;
};

/// What a commit has published.
struct Committed {
  catalog::VersionPtr version;
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
  /// Errors: of Apply; kConflict (time-out after lost races, or kCommitTimeBesideCollection); of storage. After each of these nothing is published and the
  /// files made here are gone. kCommitUnknown: outcome open, every file is kept.
  Result<Committed> Commit(Change& change, catalog::VersionPtr known, WriteGroup& group, const CommitOptions& options = {});

  /// What can wait until nobody waits any more, after version `number` was committed: bodies of old versions go.
  void Tidy(int64_t number) { catalog_.DropOldVersions(number); }

  /// The manifests of the current snapshot. Errors: kCorruption (kMetadata) where the list is missing or unreadable.
  Result<Base> LoadBase(catalog::VersionPtr version) const;
  /// The list of our own last commit is the likeliest base of the next one. Lists never change, so it cannot be stale.
  void RememberManifests(const std::string& list_uri, std::vector<ManifestFile> manifests);

 private:
  Draft DraftOn(const Base& base, int64_t attempt) const;

  mutable std::mutex mutex_;
  std::string remembered_list_;  // the list's URI
  std::vector<ManifestFile> remembered_manifests_;
  std::shared_ptr<ObjectStore> store_;
  catalog::DirectoryCatalog& catalog_;
  Outside outside_;
};

}  // namespace datashard::commit
