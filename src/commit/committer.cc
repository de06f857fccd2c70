#include "commit/committer.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/error.h"
#include "catalog/table_files.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kTimeoutProperty = "datashard.commit.timeout";
// A base whose clock is further ahead than this is worth a word: new snapshots carry its time until ours catches up.
constexpr int64_t kClockSkewMsMax = 60'000;

/// The files one commit has made, and what becomes of them.
class CommitFiles {
 public:
  CommitFiles(ObjectStore& store, WriteGroup& group) : store_(store), group_(group) {}

  /// Everything new joins what the group already holds.
  Status Write(const std::vector<NewFile>& files) {
    for (const NewFile& file : files) {
      if (!keys_.insert(file.key).second) continue;  // made by an earlier attempt, with the same content
      if (file.bound_to_base) bound_.push_back(file.key);
      DS_RETURN_IF_ERROR(group_.Put(file.key, file.body));
    }
    return {};
  }
  /// After a certain loss: what only this attempt's base could use goes.
  void DropBound() {
    for (const std::string& key : bound_) Drop(key);
    bound_.clear();
  }
  /// After a certain failure: nothing names these files, nothing ever will.
  void DropAll() {
    while (!keys_.empty()) Drop(std::string(*keys_.begin()));
    bound_.clear();
  }

 private:
  void Drop(const std::string& key) {
    // A file that cannot be removed is litter that collection finds; it never becomes visible.
    const Status dropped = store_.Delete(key);
    static_cast<void>(dropped);
    keys_.erase(key);
  }

  ObjectStore& store_;
  WriteGroup& group_;
  std::set<std::string> keys_;
  std::vector<std::string> bound_;
};

}  // namespace

Result<CommitSettings> SettingsOf(const iceberg::TableMetadata& metadata) {
  CommitSettings settings;
  const auto found = metadata.properties.find(std::string(kTimeoutProperty));
  if (found == metadata.properties.end()) return settings;
  const std::string& text = found->second;
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size() || !(seconds > 0) || seconds > 1e9) {
    return InvalidArgument("table property {} is '{}'; expected a positive number of seconds", kTimeoutProperty, text);
  }
  settings.timeout = std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6));
  return settings;
}

Committer::Committer(std::shared_ptr<ObjectStore> store, catalog::DirectoryCatalog& catalog, Outside outside)
    : store_(std::move(store)), catalog_(catalog), outside_(outside) {}

Result<Base> Committer::LoadBase(catalog::VersionPtr version) const {
  Base base{.version = std::move(version)};
  const iceberg::TableMetadata& metadata = base.metadata();
  const Snapshot* current = metadata.current_snapshot();
  if (current == nullptr) return base;
  {
    std::lock_guard lock(mutex_);
    if (current->manifest_list == remembered_list_) {
      base.manifests = remembered_manifests_;
      return base;
    }
  }
  DS_ASSIGN_OR_RETURN(base.manifests, catalog::ReadManifestListOf(*store_, metadata, *current));
  return base;
}

void Committer::RememberManifests(const Snapshot& snapshot, std::vector<ManifestFile> manifests) {
  std::lock_guard lock(mutex_);
  remembered_list_ = snapshot.manifest_list;
  remembered_manifests_ = std::move(manifests);
}

Result<catalog::VersionPtr> Committer::Commit(const Change& change, catalog::VersionPtr known, WriteGroup& group,
                                              const std::function<Status()>& interrupted) {
  DS_ASSIGN_OR_RETURN(const CommitSettings settings, SettingsOf(known->metadata));
  const auto deadline = outside_.clock.Monotonic() + settings.timeout;
  CommitFiles files(*store_, group);
  PlanIds ids{.snapshot_id = RandomId63(outside_.random),
              .commit_uuid = RandomUuid(outside_.random),
              .root_uri = store_->root_uri()};
  const auto give_up = [&](Error error) -> Error {
    files.DropAll();
    return error;
  };

  for (;; ++ids.attempt) {
    outside_.metrics.Add("datashard_commit_attempts_total", 1);
    Result<catalog::VersionPtr> newest = catalog_.Refresh(known);
    if (!newest.ok()) return give_up(std::move(newest).error());
    known = *std::move(newest);
    Result<Base> base = LoadBase(known);
    if (!base.ok()) return give_up(std::move(base).error());
    ids.now = outside_.clock.Now();
    if (known->metadata.last_updated_ms > ToMillis(ids.now) + kClockSkewMsMax) {
      outside_.log.Write(LogLevel::kWarning,
                         fmt::format("{}: version {} is stamped {} s in the future; check the clocks of the writers",
                                     store_->root_uri(), known->number,
                                     (known->metadata.last_updated_ms - ToMillis(ids.now)) / 1000));
    }

    Result<CommitPlan> plan = change.Plan(*base, ids);
    if (!plan.ok()) return give_up(std::move(plan).error());
    if (Status written = files.Write(plan->files); !written.ok()) return give_up(std::move(written).error());
    auto prepared = catalog_.Prepare(known->number + 1, std::move(plan->next), group);
    if (!prepared.ok()) return give_up(std::move(prepared).error());
    if (Status synced = group.Sync(); !synced.ok()) return give_up(std::move(synced).error());

    const Result<catalog::Published> published = catalog_.Publish(*prepared);
    if (!published.ok()) {
      if (published.kind() == ErrorKind::kCommitUnknown) return published.error();
      return give_up(published.error());
    }
    if (*published == catalog::Published::kWon) {
      catalog_.AdvanceHint(known->number + 1);
      outside_.metrics.Add("datashard_commits_total", 1);
      RememberManifests(*prepared->version->metadata.current_snapshot(), std::move(plan->manifests));
      return std::move(prepared->version);
    }

    files.DropBound();
    outside_.metrics.Add("datashard_commit_conflicts_total", 1);
    if (interrupted) {
      if (Status go_on = interrupted(); !go_on.ok()) return give_up(std::move(go_on).error());
    }
    if (outside_.clock.Monotonic() >= deadline) {
      return give_up(Conflict("append to {}: lost {} races for the next version in {} s; nothing was committed. Try "
                              "again, or raise table property {}",
                              store_->root_uri(), ids.attempt,
                              std::chrono::duration_cast<std::chrono::seconds>(settings.timeout).count(), kTimeoutProperty));
    }
    // Full jitter: losers spread out instead of meeting again.
    const auto ceiling = std::min(settings.backoff_max,
                                  settings.backoff_first * (int64_t{1} << std::min<int64_t>(ids.attempt - 1, 10)));
    outside_.clock.Sleep(std::chrono::microseconds(
        static_cast<int64_t>(RandomUnit(outside_.random) * static_cast<double>(ceiling.count()))));
  }
}

}  // namespace datashard::commit
