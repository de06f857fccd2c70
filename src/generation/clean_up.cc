#include "generation/clean_up.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/uri.h"
#include "generation/manifest_rules.h"
#include "generation/pointer.h"
#include "generation/run_record.h"
#include "generation/object_run_registry.h"
#include "generation/shard_path.h"

namespace datashard::generation {
namespace {

/// Young objects may be those of a writer that nothing else tells of.
constexpr std::chrono::hours kYoung{1};
constexpr std::string_view kManifests = "manifests/";
constexpr std::string_view kRunSegment = "run_id=";

constexpr size_t kDeletedAtOnce = 1000;
constexpr size_t kRunsAtOnce = 16;  // their manifests are in memory meanwhile
constexpr std::chrono::milliseconds kPauseFirst{200};
constexpr std::chrono::milliseconds kPauseMax{5'000};

/// With pauses between tries where the store does not answer.
Status DeleteKeys(ObjectStore& store, const std::vector<std::string>& keys, int max_retries, const Outside& outside) {
  for (size_t done = 0; done < keys.size(); done += kDeletedAtOnce) {
    const std::span<const std::string> some = std::span(keys).subspan(done, std::min(kDeletedAtOnce, keys.size() - done));
    std::chrono::milliseconds pause = kPauseFirst;
    for (int attempt = 0;; ++attempt) {
      const Status deleted = store.DeleteMany(some);
      if (deleted.ok()) break;
      // Deleting again what is gone is no error, so that it does not matter what became of the first try.
      const bool again = deleted.kind() == ErrorKind::kUnavailable || deleted.kind() == ErrorKind::kCommitUnknown;
      if (!again || attempt >= max_retries) return deleted;
      outside.clock.Sleep(pause);
      pause = std::min(pause * 2, kPauseMax);
    }
  }
  return {};
}

struct Directory {
  std::vector<std::string> keys;
  Instant newest;
  void Add(const ObjectInfo& object) {
    keys.push_back(object.key);
    newest = std::max(newest, object.modified);
  }
};

class Cleaner {
 public:
  Cleaner(SnapshotPlace& place, ObjectStore& store, ManifestStore& manifests, const CleanupOptions& options, const Outside& outside)
      : place_(place), store_(store), manifests_(manifests), options_(options), outside_(outside) {}

  Result<std::vector<CleanupAction>> Run() {
    DS_ASSIGN_OR_RETURN(const std::optional<ManifestRef> current, manifests_.LoadCurrent());
    if (!current) return NotFound("nothing was published below {}: there is no current manifest", place_.url());
    current_ = *current;
    DS_ASSIGN_OR_RETURN(current_manifest_, manifests_.LoadManifest(current_.ref));
    DS_RETURN_IF_ERROR(CheckKey(current_manifest_.build.shard_prefix));
    DS_ASSIGN_OR_RETURN(now_, store_.ServerTime());
    DS_ASSIGN_OR_RETURN(listed_, manifests_.ListManifests(INT64_MAX));
    DS_RETURN_IF_ERROR(RemoveStaleAttempts());
    if (options_.include_old_runs || options_.older_than || options_.keep_last) DS_RETURN_IF_ERROR(RemoveOldRuns());
    return std::move(actions_);
  }

 private:
  Status RemoveStaleAttempts();
  Status RemoveOldRuns();
  Result<std::map<std::string, int32_t>> DbDirectories(const std::string& run_prefix) const;
  Result<std::set<std::string>> Winners() const;
  Result<std::set<std::string>> KeptByRule(const std::map<std::string, Directory>& runs) const;
  Status AddReferenced(std::set<std::string>& kept) const;
  Result<std::set<std::string>> LiveRuns(const std::map<std::string, std::vector<ObjectInfo>>& records) const;
  bool Lives(const RunRecord& record, Instant written) const;
  struct Doomed {
    std::string run_id;
    std::vector<std::string> shards, manifests, records;
  };
  Status RemoveSome(std::span<const Doomed> runs);
  Result<std::vector<Doomed>> MarkRemoved(std::span<const Doomed> runs) const;
  Status RemoveManifests(const std::vector<Doomed>& runs) const;
  bool IsPublishedAndKept(const std::string& run_id, size_t rank, const std::map<std::string, Directory>& runs) const;
  Status Remove(const std::vector<std::string>& keys) {
    return options_.dry_run ? Status() : DeleteKeys(store_, keys, options_.max_retries, outside_);
  }
  Status CheckStillCurrent();
  Error Moved() const { return Conflict("{} was current when clean-up began and is not any more; run it again", current_.ref); }
  std::string UrlOf(std::string_view key) const { return fmt::format("{}/{}", place_.url(), key); }

  SnapshotPlace& place_;
  ObjectStore& store_;
  ManifestStore& manifests_;
  const CleanupOptions& options_;
  const Outside outside_;
  ManifestRef current_;
  ShardedManifest current_manifest_;
  std::vector<ManifestRef> listed_;  ///< newest first
  Instant now_;                      ///< by the store's clock
  std::vector<CleanupAction> actions_;
};

/// A rollback may have made current what is about to go.
Status Cleaner::CheckStillCurrent() {
  DS_ASSIGN_OR_RETURN(const std::optional<ManifestRef> now, manifests_.LoadCurrent());
  return now == current_ ? Status() : Status(Moved());
}

/// Directories of shards of the current run by what their paths are.
Result<std::map<std::string, int32_t>> Cleaner::DbDirectories(const std::string& run_prefix) const {
  std::map<std::string, int32_t> directories;
  for (int32_t db_id = 0; db_id < current_manifest_.build.num_dbs; ++db_id) {
    DS_ASSIGN_OR_RETURN(const std::string path, FormatDbPath(current_manifest_.build.db_path_template, db_id));
    directories.emplace(run_prefix + path, db_id);
  }
  return directories;
}

/// Directories that a manifest of the current run names: there may be several of them.
Result<std::set<std::string>> Cleaner::Winners() const {
  std::set<std::string> winners;
  const auto add = [&](const ShardedManifest& manifest) {
    for (const ShardMeta& shard : manifest.shards)
      if (std::optional<std::string> key = place_.KeyOf(shard.db_url.value_or(""))) winners.insert(*std::move(key));
  };
  add(current_manifest_);
  for (const ManifestRef& ref : listed_) {
    if (ref.ref == current_.ref || ref.run_id != current_.run_id) continue;
    DS_ASSIGN_OR_RETURN(const ShardedManifest manifest, manifests_.LoadManifest(ref.ref));
    add(manifest);
  }
  return winners;
}

Status Cleaner::RemoveStaleAttempts() {
  const std::string run_prefix = RunKeyPrefix(current_manifest_.build.shard_prefix, current_manifest_.build.run_id);
  DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, store_.List(run_prefix));
  DS_ASSIGN_OR_RETURN(const auto directories, DbDirectories(run_prefix));
  DS_ASSIGN_OR_RETURN(const std::set<std::string> winners, Winners());
  std::map<std::string, Directory> stale;
  for (const ObjectInfo& object : objects) {
    const std::optional<std::string_view> attempt = AttemptOf(object.key);
    if (attempt && !winners.contains(std::string(*attempt))) stale[std::string(*attempt)].Add(object);
  }
  for (const auto& [attempt, directory] : stale) {
    const auto db = directories.find(attempt.substr(0, attempt.rfind('/')));
    // What the template does not explain was not written by this run's shards.
    if (db == directories.end()) continue;
    DS_RETURN_IF_ERROR(CheckStillCurrent());
    DS_RETURN_IF_ERROR(Remove(directory.keys));
    actions_.push_back({.kind = CleanupAction::Kind::kStaleAttempt, .prefix_url = UrlOf(attempt), .db_id = db->second,
                        .run_id = current_manifest_.build.run_id, .objects_deleted = static_cast<int64_t>(directory.keys.size())});
  }
  return {};
}

/// Is it in all of the sets that the options name? `rank`: 0 is the newest published run.
bool Cleaner::IsPublishedAndKept(const std::string& run_id, size_t rank, const std::map<std::string, Directory>& runs) const {
  if (options_.keep_last && static_cast<int64_t>(rank) >= *options_.keep_last) return false;
  if (!options_.older_than) return true;
  const auto run = runs.find(run_id);
  return run == runs.end() || run->second.newest >= now_ - *options_.older_than;
}

Result<std::set<std::string>> Cleaner::KeptByRule(const std::map<std::string, Directory>& runs) const {
  std::set<std::string> kept = {current_.run_id, current_manifest_.build.run_id};
  std::set<std::string> seen;
  for (const ManifestRef& ref : listed_) {
    if (!seen.insert(ref.run_id).second) continue;
    if (IsPublishedAndKept(ref.run_id, seen.size() - 1, runs)) kept.insert(ref.run_id);
  }
  for (const auto& [run_id, directory] : runs) {
    const bool too_young = directory.newest > now_ - kYoung;
    const bool unpublished_in_time = !seen.contains(run_id) && options_.older_than && directory.newest >= now_ - *options_.older_than;
    if (too_young || unpublished_in_time) kept.insert(run_id);
  }
  return kept;
}

/// Manifests that are kept may name shards of other runs.
Status Cleaner::AddReferenced(std::set<std::string>& kept) const {
  std::set<std::string> referenced;
  const auto add = [&](const ShardedManifest& manifest) {
    for (const ShardMeta& shard : manifest.shards) {
      const std::string& url = shard.db_url.value_or("");
      for (size_t start = 0; start < url.size();) {
        const size_t end = std::min(url.find('/', start), url.size());
        const std::string_view segment = std::string_view(url).substr(start, end - start);
        if (segment.starts_with(kRunSegment)) referenced.emplace(segment.substr(kRunSegment.size()));
        start = end + 1;
      }
    }
  };
  add(current_manifest_);
  for (const ManifestRef& ref : listed_) {
    if (ref.ref == current_.ref || !kept.contains(ref.run_id)) continue;
    DS_ASSIGN_OR_RETURN(const ShardedManifest manifest, manifests_.LoadManifest(ref.ref));
    add(manifest);
  }
  kept.merge(referenced);
  return {};
}

/// The writer's clock may be wrong: its lease also lasts from the moment that the store says the record was written.
bool Cleaner::Lives(const RunRecord& record, Instant written) const {
  if (record.status != RunRecord::Status::kRunning) return false;
  return record.lease_expires_at > now_ || written + (record.lease_expires_at - record.updated_at) > now_;
}

/// Runs whose record says so, or cannot be read.
Result<std::set<std::string>> Cleaner::LiveRuns(const std::map<std::string, std::vector<ObjectInfo>>& records) const {
  std::set<std::string> live;
  for (const auto& [run_id, objects] : records) {
    for (const ObjectInfo& object : objects) {
      const Result<Bytes> text = store_.Get(object.key);
      if (!text.ok() && text.kind() == ErrorKind::kNotFound) continue;
      if (!text.ok()) return text.error();
      const Result<RunRecord> record = ReadRunRecord(*text);
      if (!record.ok() || Lives(*record, object.modified)) live.insert(run_id);
    }
  }
  return live;
}

/// A writer that was stopped for long may go on now. It stores its manifest, and then looks for its shards and for a mark; here the mark is
/// made, and then manifests are listed again. So one of the two sees the other. \return all but those that have a new manifest.
Result<std::vector<Cleaner::Doomed>> Cleaner::MarkRemoved(std::span<const Doomed> runs) const {
  const std::string& prefix = current_manifest_.build.shard_prefix;
  for (const Doomed& run : runs) DS_RETURN_IF_ERROR(store_.Replace(RemovalMarkKey(prefix, run.run_id), ""));
  DS_ASSIGN_OR_RETURN(const std::vector<ManifestRef> listed, manifests_.ListManifests(INT64_MAX));
  std::vector<Doomed> marked;
  std::vector<std::string> taken_back;
  for (const Doomed& run : runs) {
    if (std::ranges::count(listed, run.run_id, &ManifestRef::run_id) <= std::ranges::count(listed_, run.run_id, &ManifestRef::run_id)) {
      marked.push_back(run);
    } else {
      taken_back.push_back(RemovalMarkKey(prefix, run.run_id));
    }
  }
  DS_RETURN_IF_ERROR(DeleteKeys(store_, taken_back, options_.max_retries, outside_));
  return marked;
}

/// A manifest whose shards are gone would be a trap for a rollback. One that goes on meanwhile finds no manifest, or the pointer that it saw
/// was touched here, or it has moved the pointer before: then the manifests are put back.
Status Cleaner::RemoveManifests(const std::vector<Doomed>& runs) const {
  std::vector<std::string> keys;
  for (const Doomed& run : runs) keys.insert(keys.end(), run.manifests.begin(), run.manifests.end());
  if (keys.empty()) return {};
  std::map<std::string, Bytes> kept;
  for (const std::string& key : keys) {
    DS_ASSIGN_OR_RETURN(kept[key], store_.Get(key));
  }
  Status fenced = DeleteKeys(store_, keys, options_.max_retries, outside_);
  if (fenced.ok()) {
    fenced = manifests_.SetCurrent(current_.ref, [&](const std::optional<ManifestRef>& now) -> Status {
      return now == current_ ? Status() : Status(Moved());
    });
  }
  if (fenced.ok()) return {};
  for (const auto& [key, body] : kept) {
    const Status back = store_.Replace(key, body);
    if (!back.ok()) outside_.log.Write(LogLevel::kWarning, fmt::format("manifest {} was removed and cannot be put back: {}", UrlOf(key), back.error().message()));
  }
  return fenced;
}

Status Cleaner::RemoveSome(std::span<const Doomed> runs) {
  DS_RETURN_IF_ERROR(CheckStillCurrent());
  std::vector<Doomed> marked(runs.begin(), runs.end());
  if (!options_.dry_run) {
    DS_ASSIGN_OR_RETURN(marked, MarkRemoved(runs));
    DS_RETURN_IF_ERROR(RemoveManifests(marked));
  }
  const std::string& prefix = current_manifest_.build.shard_prefix;
  for (const Doomed& run : marked) {
    DS_RETURN_IF_ERROR(CheckStillCurrent());
    DS_RETURN_IF_ERROR(Remove(run.shards));
    DS_RETURN_IF_ERROR(Remove(run.records));
    DS_RETURN_IF_ERROR(Remove({RemovalMarkKey(prefix, run.run_id)}));  // last: until then nobody publishes the run
    actions_.push_back({.kind = CleanupAction::Kind::kOldRun, .prefix_url = UrlOf(fmt::format("{}/{}{}", prefix, kRunSegment, run.run_id)),
                        .db_id = std::nullopt, .run_id = run.run_id, .objects_deleted = static_cast<int64_t>(run.shards.size())});
  }
  return {};
}

Status Cleaner::RemoveOldRuns() {
  DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, store_.List(""));
  const std::string shards = current_manifest_.build.shard_prefix + "/" + std::string(kRunSegment);
  std::map<std::string, Directory> runs;
  std::map<std::string, std::vector<ObjectInfo>> records;
  std::map<std::string, std::vector<std::string>> manifests;
  for (const ObjectInfo& object : objects) {
    const std::string_view key = object.key;
    const size_t slash = key.starts_with(shards) ? key.find('/', shards.size()) : std::string_view::npos;
    if (slash != std::string_view::npos) runs[std::string(key.substr(shards.size(), slash - shards.size()))].Add(object);
    if (const std::optional<std::string> run = RunOfRecordKey(key)) records[*run].push_back(object);
    const std::optional<NamedRun> named = key.starts_with(kManifests) ? RunOfRef(key) : std::nullopt;
    if (named) manifests[named->run_id].push_back(object.key);
  }
  DS_ASSIGN_OR_RETURN(std::set<std::string> kept, KeptByRule(runs));
  DS_RETURN_IF_ERROR(AddReferenced(kept));
  DS_ASSIGN_OR_RETURN(const std::set<std::string> live, LiveRuns(records));
  std::vector<Doomed> doomed;
  for (auto& [run_id, directory] : runs) {
    if (kept.contains(run_id) || live.contains(run_id)) continue;
    Doomed& run = doomed.emplace_back(Doomed{run_id, std::move(directory.keys), std::move(manifests[run_id]), {}});
    std::erase(run.shards, RemovalMarkKey(current_manifest_.build.shard_prefix, run_id));  // of a clean-up that was cut off
    for (const ObjectInfo& record : records[run_id]) run.records.push_back(record.key);
  }
  for (size_t done = 0; done < doomed.size(); done += kRunsAtOnce)
    DS_RETURN_IF_ERROR(RemoveSome(std::span(doomed).subspan(done, std::min(kRunsAtOnce, doomed.size() - done))));
  return {};
}

}  // namespace

Result<std::vector<CleanupAction>> CleanUp(SnapshotPlace& place, ManifestStore& manifests, const CleanupOptions& options, const Outside& outside) {
  if (options.keep_last && *options.keep_last < 0) return InvalidArgument("keep_last is {}; expected 0 or more", *options.keep_last);
  if (options.older_than && options.older_than->count() < 0)
    return InvalidArgument("older_than is {} seconds; expected 0 or more", options.older_than->count());
  if (options.max_retries < 0) return InvalidArgument("max_retries is {}; expected 0 or more", options.max_retries);
  const Result<std::shared_ptr<ObjectStore>> store = place.ToRead();
  if (!store.ok()) return store.error();
  return Cleaner(place, **store, manifests, options, outside).Run();
}

}  // namespace datashard::generation

namespace datashard {

Result<std::vector<CleanupAction>> CleanUpSnapshot(const std::string& prefix, ManifestStore& manifests, const CleanupOptions& options,
                                                   const SnapshotS3Options& s3) {
  const Outside& outside = generation::ProcessOutside();
  DS_ASSIGN_OR_RETURN(const std::shared_ptr<generation::SnapshotPlace> place,
                      generation::SnapshotPlace::Open(prefix, s3, ProcessEnvironment(), outside));
  return generation::CleanUp(*place, manifests, options, outside);
}

}  // namespace datashard
