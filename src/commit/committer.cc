#include "commit/committer.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/stopwatch.h"
#include "catalog/table_files.h"
#include "commit/across_hosts.h"
#include "commit/archive.h"
#include "commit/small_files.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kTimeoutProperty = "datashard.commit.timeout";
constexpr std::string_view kDurabilityProperty = "datashard.durability";
// A base whose clock is further ahead than this is worth a word: new snapshots carry its time until ours catches up.
constexpr int64_t kClockSkewMsMax = 60'000;
// Every commit would add an entry for ever, and every version carries them all; readers only want the recent ones.
constexpr size_t kMetadataLogEntriesMax = 20;

/// Notices a commit during which files were collected and which has taken so long that its own may be among them.
class CollectionWatch {
 public:
  explicit CollectionWatch(Clock& clock) : clock_(clock), wall_(clock.Now()), monotonic_(clock.Monotonic()) {}
  /// To be asked about the base of every attempt.
  Status Check(const iceberg::TableMetadata& base, std::string_view root_uri) {
    const auto found = base.properties.find(std::string(kCollectedProperty));
    const std::string collected = found == base.properties.end() ? "" : found->second;
    if (!first_) first_ = collected;
    // A machine that was suspended knows by the wall clock only.
    const auto taken = std::max(clock_.Monotonic() - monotonic_, clock_.Now() - wall_);
    if (collected == *first_ || taken <= kCommitTimeBesideCollection) return {};
    return Conflict("append to {}: it was held up for {} s, and files that nothing named were collected meanwhile, its own "
                    "perhaps among them; nothing was committed. Try again", root_uri,
                    std::chrono::duration_cast<std::chrono::seconds>(taken).count());
  }

 private:
  Clock& clock_;
  const Instant wall_;
  const std::chrono::microseconds monotonic_;
  std::optional<std::string> first_;
};

/// The files one commit has made, and what becomes of them.
class CommitFiles {
 public:
  CommitFiles(catalog::DirectoryCatalog& catalog, WriteGroup& group) : catalog_(catalog), group_(group) {}

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
  /// After a success: what only lost attempts used goes.
  void DropUnused(const std::vector<NewFile>& used) {
    std::set<std::string> unused = keys_;
    for (const NewFile& file : used) unused.erase(file.key);
    for (const std::string& key : unused) Drop(key);
  }
  /// After a certain failure: nothing names these files, nothing ever will.
  void DropAll() {
    while (!keys_.empty()) Drop(std::string(*keys_.begin()));
    bound_.clear();
  }

 private:
  void Drop(const std::string& key) {
    catalog_.DropUnnamed(key);
    keys_.erase(key);
  }

  catalog::DirectoryCatalog& catalog_;
  WriteGroup& group_;
  std::set<std::string> keys_;
  std::vector<std::string> bound_;
};

}  // namespace

Result<CommitSettings> SettingsOf(const iceberg::TableMetadata& metadata) {
  CommitSettings settings;
  DS_RETURN_IF_ERROR(MayMerge(metadata));
  DS_RETURN_IF_ERROR(MayMeetOtherHosts(metadata));
  const auto& properties = metadata.properties;
  if (const auto found = properties.find(std::string(kDurabilityProperty)); found != properties.end()) {
    if (found->second != "sync" && found->second != "os") {
      return InvalidArgument("table property {} is '{}'; expected 'sync' or 'os'", kDurabilityProperty, found->second);
    }
    settings.leave_to_os = found->second == "os";
  }
  if (const auto found = properties.find(std::string(kTimeoutProperty)); found != properties.end()) {
    const std::string& text = found->second;
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc{} || end != text.data() + text.size() || !(seconds > 0) || seconds > 1e9) {
      return InvalidArgument("table property {} is '{}'; expected a positive number of seconds", kTimeoutProperty, text);
    }
    settings.timeout = std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6));
  }
  return settings;
}

Result<Until> UntilOf(const iceberg::TableMetadata& metadata, Clock& clock, std::function<Status()> interrupted) {
  DS_ASSIGN_OR_RETURN(const CommitSettings settings, SettingsOf(metadata));
  return Until{.deadline = clock.Monotonic() + settings.timeout, .interrupted = std::move(interrupted)};
}

Committer::Committer(std::shared_ptr<ObjectStore> store, catalog::DirectoryCatalog& catalog, Outside outside)
    : store_(std::move(store)), catalog_(catalog), outside_(outside) {}

Result<Base> Committer::LoadBase(catalog::VersionPtr version) const {
  Base base{.version = std::move(version)};
  const iceberg::TableMetadata& metadata = base.metadata();
  const Snapshot* current = metadata.current_snapshot();
  if (current == nullptr) return base;
  {
    const auto remembered = remembered_.Lock();
    if (current->manifest_list == remembered->list_uri) {
      base.manifests = remembered->manifests;
      return base;
    }
  }
  DS_ASSIGN_OR_RETURN(base.manifests, catalog::ReadManifestListOf(*store_, metadata, *current));
  return base;
}

void Committer::RememberManifests(const std::string& list_uri, std::vector<ManifestFile> manifests) {
  *remembered_.Lock() = {.list_uri = list_uri, .manifests = std::move(manifests)};
}

Draft Committer::DraftOn(const Base& base, int64_t attempt) const {
  Draft draft{.version = base.version->number + 1,
              .attempt = attempt,
              .root_uri = store_->root_uri(),
              .now = outside_.clock.Now(),
              .metadata = base.metadata(),
              .manifests = base.manifests};
  const int64_t base_ms = base.metadata().last_updated_ms;
  if (base_ms > ToMillis(draft.now) + kClockSkewMsMax) {
    outside_.log.Write(LogLevel::kWarning,
                       fmt::format("{}: version {} is stamped {} s in the future; check the clocks of the writers",
                                   store_->root_uri(), base.version->number, (base_ms - ToMillis(draft.now)) / 1000));
  }
  auto& log = draft.metadata.metadata_log;
  log.push_back({.timestamp_ms = base_ms, .metadata_file = fmt::format("{}/{}", store_->root_uri(), base.version->key)});
  if (log.size() > kMetadataLogEntriesMax) log.erase(log.begin(), log.end() - kMetadataLogEntriesMax);
  return draft;
}

Result<Committed> Committer::Commit(Change& change, catalog::VersionPtr known, WriteGroup& group,
                                    const CommitOptions& options) {
  DS_ASSIGN_OR_RETURN(const CommitSettings settings, SettingsOf(known->metadata));
  if (settings.leave_to_os) group.LeaveToOs();
  const Until until = options.until.value_or(
      Until{.deadline = outside_.clock.Monotonic() + settings.timeout, .interrupted = {}});
  CollectionWatch collections(outside_.clock);
  CommitFiles files(catalog_, group);
  const auto give_up = [&](Error error) -> Error {
    files.DropAll();
    return error;
  };

  for (int64_t attempt = 1;; ++attempt) {
    outside_.metrics.Add("datashard_commit_attempts_total", 1);
    if (options.alive) options.alive();
    Stopwatch watch(outside_);
    const bool guess = attempt == 1 && (options.known_is_newest || catalog_.MayBeNewest(known));
    if (!guess) {
      Result<catalog::VersionPtr> newest = attempt == 2 ? catalog_.RefreshAfterLoss(known) : catalog_.Refresh(known);
      if (!newest.ok()) return give_up(std::move(newest).error());
      known = *std::move(newest);
    }
    if (Status go_on = collections.Check(known->metadata, store_->root_uri()); !go_on.ok()) return give_up(std::move(go_on).error());
    Result<Base> base = LoadBase(known);
    if (!base.ok()) return give_up(std::move(base).error());
    Draft draft = DraftOn(*base, attempt);
    watch.Lap("datashard_commit_base_seconds");

    draft.read_manifest = [&](const ManifestFile& manifest) {
      return catalog::ReadManifestOf(*store_, known->metadata, manifest);
    };
    if (options.before_plan) options.before_plan(known, attempt);
    if (Status applied = change.Apply(draft); !applied.ok()) return give_up(std::move(applied).error());
    if (!draft.changed) {
      if (guess && !draft.settled) continue;  // "nothing to do" needs a look
      files.DropAll();
      return Committed{.version = known};
    }
    Result<std::vector<NewFile>> archived = ArchiveOverflow(
        *store_, draft.metadata, {.now = draft.now, .random = outside_.random, .log = outside_.log});
    if (!archived.ok()) return give_up(std::move(archived).error());
    std::move(archived->begin(), archived->end(), std::back_inserter(draft.files));
    watch.Lap("datashard_commit_plan_seconds");
    if (Status written = files.Write(draft.files); !written.ok()) return give_up(std::move(written).error());
    auto prepared = catalog_.Prepare(draft.version, std::move(draft.metadata), group);
    if (!prepared.ok()) return give_up(std::move(prepared).error());
    watch.Lap("datashard_commit_write_seconds");
    if (Status synced = group.Sync(); !synced.ok()) return give_up(std::move(synced).error());
    watch.Lap("datashard_commit_sync_seconds");

    const auto publishing = outside_.clock.Monotonic();
    const Result<catalog::Published> published = catalog_.Publish(*prepared, known, options.alive);
    if (!published.ok()) {
      if (published.kind() == ErrorKind::kCommitUnknown) return published.error();
      return give_up(published.error());
    }
    watch.Lap("datashard_commit_publish_seconds");
    if (*published == catalog::Published::kWon) {
      catalog_.AdvanceHint(draft.version);
      watch.Lap("datashard_commit_hint_seconds");
      outside_.metrics.Add("datashard_commits_total", 1);
      outside_.metrics.Add("datashard_committed_bytes_total", static_cast<double>(draft.added_bytes));
      if (attempt > 1) files.DropUnused(draft.files);
      Committed committed{.version = std::move(prepared->version), .metadata_body = std::move(prepared->body)};
      if (const Snapshot* current = committed.version->metadata.current_snapshot()) {
        RememberManifests(current->manifest_list, std::move(draft.manifests));
        for (NewFile& file : draft.files) {
          if (current->manifest_list.ends_with(file.key)) committed.list_body = std::move(file.body);
        }
      }
      return committed;
    }

    files.DropBound();
    outside_.metrics.Add("datashard_commit_conflicts_total", 1);
    if (attempt == options.races_max) {
      files.DropAll();
      return Committed{};
    }
    if (until.interrupted) {
      if (Status go_on = until.interrupted(); !go_on.ok()) return give_up(std::move(go_on).error());
    }
    if (outside_.clock.Monotonic() >= until.deadline) {
      return give_up(Conflict("append to {}: lost {} races for the next version in {} s; nothing was committed. Try "
                              "again, or raise table property {}",
                              store_->root_uri(), attempt,
                              std::chrono::duration_cast<std::chrono::seconds>(settings.timeout).count(), kTimeoutProperty));
    }
    outside_.clock.Sleep(BackOff(settings, attempt, outside_.clock.Monotonic() - publishing));
  }
}

/// Full jitter: losers spread out instead of meeting again.
std::chrono::microseconds Committer::BackOff(const CommitSettings& settings, int64_t attempt,
                                             std::chrono::microseconds publishing) const {
  const bool remote = store_->is_remote();
  const auto first = remote ? publishing * settings.remote_backoff_first : settings.backoff_first;
  const auto most = remote ? publishing * settings.remote_backoff_max : settings.backoff_max;
  const auto ceiling = std::min(most, first * (int64_t{1} << std::min<int64_t>(attempt - 1, 10)));
  return std::chrono::microseconds(static_cast<int64_t>(RandomUnit(outside_.random) * static_cast<double>(ceiling.count())));
}

}  // namespace datashard::commit
