#include "table/small_file_merger.h"

#include <algorithm>

#include "base/error.h"
#include "base/stopwatch.h"
#include "catalog/table_files.h"
#include "commit/append_files.h"
#include "data/merge_files.h"

namespace datashard {
namespace {

// The lead is asked for this often, a millisecond apart: under full load it is free a tenth of the time.
constexpr int kLeadTriesMax = 2000;
constexpr auto kLeadInterval = std::chrono::milliseconds(1);
// Only writers of other hosts and other engines can win a race against the holder of the lead.
constexpr int kRacesLostMax = 5;
constexpr size_t kRefusedMax = 20'000;

Error Stopped() { return Conflict("the merge of small files was abandoned: the table is being closed"); }

std::optional<std::string> NameMappingOf(const iceberg::TableMetadata& metadata) {
  const auto mapping = metadata.properties.find("schema.name-mapping.default");
  return mapping == metadata.properties.end() ? std::nullopt : std::optional(mapping->second);
}

int64_t FilesOf(const std::vector<ManifestFile>& manifests) {
  int64_t files = 0;
  for (const ManifestFile& manifest : manifests) files += commit::LiveFiles(manifest);
  return files;
}

}  // namespace

SmallFileMerger::SmallFileMerger(std::shared_ptr<ObjectStore> store, Outside outside, commit::OpenRing open_ring,
                                 commit::MergeLimits limits, int32_t requests)
    : store_(std::move(store)),
      outside_(outside),
      limits_(limits),
      requests_(requests),
      catalog_(store_, outside),
      committer_(store_, catalog_, outside),
      group_(store_, committer_, outside, std::move(open_ring)),
      seen_(limits) {}

Result<SmallFileMerger::Outcome> SmallFileMerger::MergeOnce(const std::function<bool()>& stopped) {
  DS_ASSIGN_OR_RETURN(known_, known_ == nullptr ? catalog_.Load() : catalog_.Refresh(known_));
  DS_ASSIGN_OR_RETURN(const bool may_merge, commit::MayMerge(known_->metadata));
  DS_ASSIGN_OR_RETURN(const commit::Base base, committer_.LoadBase(known_));
  Outcome outcome{.next_look_files = FilesOf(base.manifests) + kFilesBetweenLooks};
  if (!may_merge || commit::IsSchemaless(known_->metadata) || commit::HasDeletes(base.manifests)) return outcome;
  if (commit::HasRecentForeignCommit(known_->metadata, outside_.clock.Now())) return outcome;
  const std::optional<commit::HeldChores> chores = group_.TryChores();
  if (!chores && group_.has_ring()) return outcome;

  seen_.KeepOnly(base.manifests);
  DS_ASSIGN_OR_RETURN(commit::SmallFiles small,
                      commit::FindSmallFiles(
                          known_->metadata, base.manifests, limits_, seen_,
                          [&](const ManifestFile& manifest) { return catalog::ReadManifestOf(*store_, known_->metadata, manifest); },
                          [&](const DataFile& file) { return refused_.contains(file.file_path); }));
  if (small.run.empty()) {
    const int64_t missing = limits_.trigger_files + 1 - small.count;
    if (small.complete && missing > 0) outcome.next_look_files = FilesOf(base.manifests) + missing;
    return outcome;
  }
  Stopwatch watch(outside_);
  DS_ASSIGN_OR_RETURN(outcome.merged, Merge(base, std::move(small.run), stopped));
  watch.Lap("datashard_merge_seconds");
  if (!outcome.merged) outside_.metrics.Add("datashard_merges_given_up_total", 1);
  return outcome;
}

/// False where the merge gave way to somebody or its files cannot be read; nothing of it remains then.
Result<bool> SmallFileMerger::Merge(const commit::Base& base, std::vector<ManifestEntry> run,
                                    const std::function<bool()>& stopped) {
  const std::unique_ptr<WriteGroup> group = store_->NewWriteGroup();
  const std::string key = fmt::format("data/{}{}.parquet", commit::kMergedFilePrefix, RandomHex(outside_.random, 16));
  Result<DataFile> merged = Write(base, run, *group, key, stopped);
  if (!merged.ok()) {
    Drop(key);
    if (merged.kind() == ErrorKind::kUnavailable || stopped()) return std::move(merged).error();
    Refuse(run, merged.error());
    return false;
  }
  double bytes = 0;
  for (const ManifestEntry& entry : run) bytes += static_cast<double>(entry.data_file.file_size_in_bytes);
  const auto files = static_cast<double>(run.size());
  commit::MergeFiles change(std::move(run), *std::move(merged), known_->metadata,
                            outside_.random, limits_, seen_);
  const Result<bool> published = Publish(change, *group, stopped);
  // An open outcome keeps every file; in all other cases nothing names this one and nothing ever will.
  if (published.ok() ? !*published : published.kind() != ErrorKind::kCommitUnknown) Drop(key);
  if (published.ok() && *published) {
    outside_.metrics.Add("datashard_merges_total", 1);
    outside_.metrics.Add("datashard_merged_files_total", files);
    outside_.metrics.Add("datashard_merged_bytes_total", bytes);
  }
  return published;
}

/// The merged file, durable before the lead is taken, so that no append waits for it.
Result<DataFile> SmallFileMerger::Write(const commit::Base& base, const std::vector<ManifestEntry>& run, WriteGroup& group,
                                        const std::string& key, const std::function<bool()>& stopped) {
  const iceberg::TableMetadata& metadata = base.metadata();
  data::MergePlan plan{.schema = metadata.current_schema(), .key = key, .uri = fmt::format("{}/{}", store_->root_uri(), key),
                       .requests = requests_};
  const std::optional<std::string> name_mapping = NameMappingOf(metadata);
  for (const ManifestEntry& entry : run) {
    DS_ASSIGN_OR_RETURN(std::string file_key, catalog::KeyOf(*store_, metadata.location, entry.data_file.file_path));
    plan.files.push_back({.key = std::move(file_key), .file = entry.data_file, .name_mapping = name_mapping});
  }
  DS_ASSIGN_OR_RETURN(DataFile merged, data::MergeDataFiles(store_, std::move(plan), group, [&]() -> Status {
                        return stopped() ? Status(Stopped()) : Status();
                      }));
  DS_RETURN_IF_ERROR(group.Sync());
  return merged;
}

Result<bool> SmallFileMerger::Publish(commit::MergeFiles& change, WriteGroup& group, const std::function<bool()>& stopped) {
  int races_lost = 0;
  const auto go_on = [&]() -> Status {
    if (stopped()) return Stopped();
    if (++races_lost < kRacesLostMax) return {};
    return Conflict("the merge of small files lost {} races for the next version", races_lost);
  };
  DS_ASSIGN_OR_RETURN(const commit::Until until, commit::UntilOf(known_->metadata, outside_.clock, go_on));
  for (int tries = 0; tries < kLeadTriesMax; ++tries) {
    if (stopped()) return Stopped();
    Result<std::optional<commit::Committed>> committed =
        group_.TryCommit(change, known_, group, until, /*beside_the_leader=*/false);
    if (!committed.ok()) {
      if (committed.kind() == ErrorKind::kConflict) return false;
      return std::move(committed).error();
    }
    if (*committed) {
      known_ = (*committed)->version;
      return change.withdrawn().empty();
    }
    outside_.clock.Sleep(kLeadInterval);
  }
  return false;
}

/// They would fail again: they are left alone by this process.
void SmallFileMerger::Refuse(const std::vector<ManifestEntry>& run, const Error& error) {
  outside_.log.Write(LogLevel::kWarning, fmt::format("{} small files of {} are not merged: {}", run.size(), store_->root_uri(),
                                                     error.ToString()));
  if (refused_.size() >= kRefusedMax) refused_.clear();
  for (const ManifestEntry& entry : run) refused_.insert(entry.data_file.file_path);
}

void SmallFileMerger::Drop(const std::string& key) {
  // A file that cannot be removed is litter that collection finds; it never becomes visible.
  const Status dropped = store_->Delete(key);
  static_cast<void>(dropped);
}

}  // namespace datashard
