#include "collect/collector.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "base/error.h"
#include "catalog/history.h"
#include "catalog/old_versions.h"
#include "catalog/version_names.h"
#include "collect/file_names.h"
#include "collect/file_walk.h"
#include "collect/writers_files.h"
#include "commit/archive.h"
#include "commit/lease.h"
#include "storage/keys.h"

namespace datashard::collect {
namespace {

using catalog::VersionPtr;
using iceberg::TableMetadata;

constexpr std::string_view kScopes[] = {"data/", "metadata/"};

bool IsInScope(std::string_view key) {
  return std::any_of(std::begin(kScopes), std::end(kScopes), [&](std::string_view scope) { return key.starts_with(scope); });
}

Status CheckOptions(const CollectOptions& options) {
  if (options.grace_own.count() < 0 || options.grace_foreign.count() < 0)
    return InvalidArgument("grace periods are {} and {} ms; neither may be negative", options.grace_own.count(),
                           options.grace_foreign.count());
  if (options.allow_short_grace) return {};
  if (options.grace_own < CollectOptions::kGraceOwnMin || options.grace_foreign < CollectOptions::kGraceForeignMin) {
    return InvalidArgument("grace periods of {} ms for our files and {} ms for others are too short for writers that are still "
                           "at work: expected at least {} and {}", options.grace_own.count(), options.grace_foreign.count(),
                           CollectOptions::kGraceOwnMin.count(), CollectOptions::kGraceForeignMin.count());
  }
  return {};
}

/// Forbidden where the table's owner does, because other tables name its files. (Tables with an archive forbid it to others
/// than us.)
Status CheckAllowed(const TableMetadata& metadata) {
  const auto gc = metadata.properties.find("gc.enabled");
  if (gc == metadata.properties.end() || metadata.properties.contains(std::string(commit::kGcProperty))) return {};
  // As Java reads a truth value.
  const bool is_true = std::ranges::equal(gc->second, std::string_view("true"),
                                          [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
  if (is_true) return {};
  return Unsupported("the table at {} has gc.enabled={}: other tables may need its files, so nothing is collected", metadata.location,
                     gc->second);
}

/// Publishes that files are about to go. Whatever versions came since `walked` are looked through for them once more: a file
/// that nobody named may be named now.
class Fence final : public commit::Change {
 public:
  Fence(ObjectStore& store, FileWalk& walk, const TableMetadata& walked, const std::set<std::string>& garbage, std::string mark)
      : store_(store), walk_(walk), walked_(walked), garbage_(garbage), mark_(std::move(mark)) {
    for (const auto& snapshot : walked.snapshots) seen_.insert(snapshot->snapshot_id);
  }

  Status Apply(commit::Draft& draft) override {
    DS_RETURN_IF_ERROR(LookForGarbage(draft));
    draft.metadata.properties[std::string(commit::kCollectedProperty)] = mark_;
    draft.metadata.last_updated_ms = draft.now_ms();
    draft.changed = true;
    return {};
  }

 private:
  Status LookForGarbage(const commit::Draft& draft) {
    const TableMetadata& base = draft.metadata;
    const FileWalk::Visit refuse = [&](const std::string& key) -> Status {
      if (!garbage_.contains(key)) return {};
      return Conflict("collection of {}: version {} or one shortly before it names {}, which nothing named before and which is "
                      "older than the grace period; nothing was removed. Collect again with a longer one", base.location,
                      draft.version - 1, key);
    };
    DS_RETURN_IF_ERROR(walk_.VisitStatistics(base, refuse));
    DS_ASSIGN_OR_RETURN(const iceberg::HistoryRoot root, iceberg::HistoryOf(base));
    DS_RETURN_IF_ERROR(walk_.VisitHistory(root, refuse));
    return catalog::ForEachSnapshot(store_, base, [&](const Snapshot& snapshot) -> Result<bool> {
      const bool is_new = snapshot.sequence_number > walked_.last_sequence_number || !seen_.contains(snapshot.snapshot_id);
      if (is_new && looked_.insert(snapshot.snapshot_id).second) {
        DS_RETURN_IF_ERROR(walk_.VisitSnapshot(base, snapshot, refuse));
      }
      return true;
    }, walked_.last_sequence_number);
  }

  ObjectStore& store_;
  FileWalk& walk_;
  const TableMetadata& walked_;
  const std::set<std::string>& garbage_;
  const std::string mark_;
  std::set<int64_t> seen_;    // in the window of `walked`
  std::set<int64_t> looked_;  // since
};

/// One run: what is live, what is not.
class Run {
 public:
  Run(ObjectStore& store, Random& random, const CollectOptions& options, Instant start)
      : store_(store), random_(random), options_(options), start_(start), walk_(store, random) {}

  /// Everything `head` needs, and the archives of older versions that may still be read.
  Status ReadLive(const VersionPtr& head) {
    const auto add = [&](const std::string& key) -> Status {
      if (IsInScope(key)) live_.Add(key);
      return {};
    };
    DS_RETURN_IF_ERROR(VisitAll(walk_, head->metadata, add));
    DS_RETURN_IF_ERROR(VisitOlderArchives(head, add));
    live_.Seal();
    report_.live_files = live_.size();
    report_.snapshots_read = walk_.snapshots_read();
    return {};
  }

  /// Sorts what lies there. Errors: kUnsupported: something that makes names ambiguous; kCorruption: a live file is missing.
  Status FindGarbage(const VersionPtr& head, const WritersFiles& writers) {
    KeySet listed;
    for (const std::string_view scope : kScopes) {
      DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> files, store_.List(scope));
      for (const ObjectInfo& file : files) {
        listed.Add(file.key);
        DS_RETURN_IF_ERROR(CheckPlain(file));
        Judge(file, writers);
      }
    }
    listed.Seal();
    const KeySet missing = live_.Without(listed);
    return missing.size() == 0 ? Status() : Status(NameMissing(head, missing));
  }

  /// Removes the garbage; a file that has changed since it was listed is somebody's, and stays.
  Status Remove() {
    for (const ObjectInfo& file : garbage_) {
      const Result<ObjectInfo> now = store_.Head(file.key);
      if (!now.ok() && now.kind() != ErrorKind::kNotFound) return now.error();
      if (now.ok() && (now->modified != file.modified || now->size_bytes != file.size_bytes)) {
        ++report_.kept_files;
        continue;
      }
      if (now.ok()) DS_RETURN_IF_ERROR(store_.Delete(file.key));
      Count(file);
    }
    return {};
  }
  void CountOnly() {
    for (const ObjectInfo& file : garbage_) Count(file);
  }
  Status Leftovers() {
    DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> found,
                        store_.RemoveLeftovers({.older_than = start_ - options_.grace_foreign, .only_list = options_.dry_run}));
    for (const ObjectInfo& file : found) Count(file);
    return {};
  }

  FileWalk& walk() { return walk_; }
  std::set<std::string> GarbageKeys() const {
    std::set<std::string> keys;
    for (const ObjectInfo& file : garbage_) keys.insert(file.key);
    return keys;
  }
  CollectReport TakeReport() { return std::move(report_); }

 private:
  Status VisitAll(FileWalk& walk, const TableMetadata& metadata, const FileWalk::Visit& visit) {
    DS_RETURN_IF_ERROR(walk.VisitStatistics(metadata, visit));
    DS_ASSIGN_OR_RETURN(const iceberg::HistoryRoot root, iceberg::HistoryOf(metadata));
    DS_RETURN_IF_ERROR(walk.VisitHistory(root, visit));
    return catalog::ForEachSnapshot(store_, metadata, [&](const Snapshot& snapshot) -> Result<bool> {
      DS_RETURN_IF_ERROR(walk.VisitSnapshot(metadata, snapshot, visit));
      return true;
    });
  }

  Status VisitOlderArchives(const VersionPtr& head, const FileWalk::Visit& visit) {
    DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> files, store_.List("metadata/"));
    for (const ObjectInfo& file : files) {
      const std::optional<int64_t> number = catalog::NumberOfKey(file.key);
      if (!number || *number == head->number || catalog::IsTombstone(file)) continue;
      const Result<Bytes> body = store_.Get(file.key);
      if (!body.ok() && body.kind() != ErrorKind::kNotFound) return body.error();
      if (!body.ok() || *body == catalog::kTombstone) continue;  // dropped since
      DS_ASSIGN_OR_RETURN(const TableMetadata older, iceberg::DecodeTableMetadata(*body, file.key));
      DS_ASSIGN_OR_RETURN(const iceberg::HistoryRoot root, iceberg::HistoryOf(older));
      DS_RETURN_IF_ERROR(walk_.VisitHistory(root, visit));
    }
    return {};
  }

  Status CheckPlain(const ObjectInfo& file) const {
    if (file.is_link) {
      return Unsupported("collection of {}: {} is a symbolic link, so that the file it leads to has a second name which cannot be "
                         "followed; nothing was removed. Put the file in its place", store_.root_uri(), file.key);
    }
    if (IsVersionOfAnotherTable(file.key)) {
      return Unsupported("collection of {}: {} is a table inside this one; nothing was removed. Move it elsewhere",
                         store_.root_uri(), file.key);
    }
    return {};
  }

  void Judge(const ObjectInfo& file, const WritersFiles& writers) {
    const NameKind kind = KindOf(file.key);
    report_.unknown_files += kind == NameKind::kUnknown;
    if (kind == NameKind::kKept || kind == NameKind::kUnknown || live_.Contains(file.key)) return;
    const std::optional<std::string> checked = CheckedKey(file.key);
    if (checked && live_.Contains(*checked)) return;
    if (file.modified >= start_ - GraceOf(file, kind) || (kind != NameKind::kMarker && writers.Hold(file))) {
      ++report_.kept_files;
      return;
    }
    garbage_.push_back(file);
  }

  Instant::duration GraceOf(const ObjectInfo& file, NameKind kind) const {
    if (kind == NameKind::kOwn) return options_.grace_own;
    if (kind == NameKind::kForeign) return options_.grace_foreign;
    if (commit::IsLeaseKey(file.key)) return commit::kLeaseTime;
    return std::max<Instant::duration>(commit::kLeaseTime, options_.grace_foreign);
  }

  /// Walks again, to say which one it is.
  Error NameMissing(const VersionPtr& head, const KeySet& missing) {
    FileWalk again(store_, random_);
    const Status walked = VisitAll(again, head->metadata, [&](const std::string& key) -> Status {
      if (!IsInScope(key) || !missing.Contains(key)) return {};
      return Corruption("collection of {}: {} is needed by a snapshot, but is not among the files that are listed; it is missing, "
                        "behind a symbolic link, or was removed this moment. Nothing was removed; expire the snapshots that need "
                        "it, or restore it", store_.root_uri(), key).About(ErrorSubject::kMetadata);
    });
    if (!walked.ok()) return walked.error();
    return Conflict("collection of {}: {} files of archived history were removed this moment; nothing was removed here. Collect "
                    "again", store_.root_uri(), missing.size());
  }

  void Count(const ObjectInfo& file) {
    const std::string_view name = SplitKey(file.key).second;
    const bool is_history = file.key.starts_with("metadata/history/");
    auto& files = file.key.starts_with("data/") && !IsTemporaryName(name)    ? report_.data_files
                  : is_history || KindOf(file.key) == NameKind::kMarker ||
                          !file.key.starts_with("metadata/") || IsTemporaryName(name) || name.ends_with(".json")
                      ? report_.other_files
                  : name.starts_with("snap-") ? report_.manifest_lists
                                              : report_.manifests;
    files.push_back(file.key);
    report_.size_bytes += file.size_bytes;
  }

  ObjectStore& store_;
  Random& random_;
  const CollectOptions& options_;
  const Instant start_;
  FileWalk walk_;
  KeySet live_;
  std::vector<ObjectInfo> garbage_;
  CollectReport report_;
};

}  // namespace

Result<CollectReport> CollectGarbage(ObjectStore& store, const catalog::DirectoryCatalog& catalog, const Outside& outside,
                                     const VersionPtr& known, const CollectOptions& options, const Publish& publish) {
  DS_RETURN_IF_ERROR(CheckOptions(options));
  DS_ASSIGN_OR_RETURN(const Instant start, store.ServerTime());
  DS_ASSIGN_OR_RETURN(const WritersFiles writers, WritersFiles::Read(store, known->metadata.location, start));
  DS_ASSIGN_OR_RETURN(const VersionPtr head, catalog.Refresh(known));
  DS_RETURN_IF_ERROR(CheckAllowed(head->metadata));
  Run run(store, outside.random, options, start);
  DS_RETURN_IF_ERROR(run.ReadLive(head));
  DS_RETURN_IF_ERROR(run.FindGarbage(head, writers));
  const std::set<std::string> garbage = run.GarbageKeys();
  if (options.dry_run) {
    run.CountOnly();
  } else if (!garbage.empty()) {
    Fence fence(store, run.walk(), head->metadata, garbage,
                fmt::format("{}-{}", ToMillis(start), RandomHex(outside.random, 8)));
    DS_ASSIGN_OR_RETURN(const commit::Committed fenced, publish(fence, head));
    DS_RETURN_IF_ERROR(run.Remove());
  }
  DS_RETURN_IF_ERROR(run.Leftovers());
  return run.TakeReport();
}

}  // namespace datashard::collect
