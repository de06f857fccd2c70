#include "commit/merge_files.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "base/error.h"
#include "commit/committer.h"
#include "commit/manifest_tiers.h"
#include "iceberg/manifest.h"

namespace datashard::commit {
namespace {

using Entries = std::vector<ManifestEntry>;

/// Of the last collection of garbage.
std::string CollectedAt(const iceberg::TableMetadata& metadata) {
  const auto found = metadata.properties.find(std::string(kCollectedProperty));
  return found == metadata.properties.end() ? std::string() : found->second;
}

int64_t RowsOf(const Entries& entries) {
  int64_t rows = 0;
  for (const ManifestEntry& entry : entries) rows += entry.data_file.record_count;
  return rows;
}

int64_t BytesOf(const Entries& entries) {
  int64_t bytes = 0;
  for (const ManifestEntry& entry : entries) bytes += entry.data_file.file_size_in_bytes;
  return bytes;
}

Entries WithStatus(Entries entries, EntryStatus status) {
  for (ManifestEntry& entry : entries) entry.status = status;
  return entries;
}

/// Makes manifests of one attempt.
class ManifestMaker {
 public:
  ManifestMaker(const Draft& draft, const iceberg::PartitionSpec& spec, const ChangeIds& ids)
      : draft_(draft), header_{.schema = draft.metadata.current_schema(), .partition_spec = spec}, ids_(ids) {}

  struct Made {
    ManifestFile line;
    NewFile file;
  };
  /// `entries` with all their numbers, but for the file sequence number of added ones. `role` makes the name unique.
  Result<Made> Make(const Entries& entries, std::string_view role) const {
    const int64_t sequence_number = draft_.metadata.last_sequence_number + 1;
    Made made;
    made.file = {.key = fmt::format("{}/{}-{}-{}.avro", ManifestDirectory(draft_.version), ids_.commit_uuid, draft_.attempt, role),
                 .bound_to_base = true};
    DS_ASSIGN_OR_RETURN(made.file.body, iceberg::EncodeManifest(header_, entries));
    DS_ASSIGN_OR_RETURN(made.line, iceberg::Summarize(header_, entries));
    made.line.manifest_path = fmt::format("{}/{}", draft_.root_uri, made.file.key);
    made.line.manifest_length = static_cast<int64_t>(made.file.body.size());
    made.line.partition_spec_id = header_.partition_spec.spec_id;
    made.line.sequence_number = sequence_number;
    made.line.min_sequence_number = sequence_number;
    for (const ManifestEntry& entry : entries) {
      if (entry.status == EntryStatus::kDeleted) continue;
      made.line.min_sequence_number = std::min(made.line.min_sequence_number, entry.sequence_number.value_or(0));
    }
    made.line.added_snapshot_id = ids_.snapshot_id;
    return made;
  }

 private:
  const Draft& draft_;
  const iceberg::ManifestHeader header_;
  const ChangeIds& ids_;
};

}  // namespace

bool HasRecentForeignCommit(const iceberg::TableMetadata& metadata, Instant now) {
  return std::any_of(metadata.snapshots.begin(), metadata.snapshots.end(), [&](const auto& snapshot) {
    return snapshot->timestamp_ms > ToMillis(now) - kForeignQuiet.count() && !IsOurs(*snapshot);
  });
}

MergeFiles::MergeFiles(std::vector<ManifestEntry> inputs, DataFile merged, const iceberg::TableMetadata& planned_on,
                       Random& random, MergeLimits limits, SeenManifests& seen)
    : inputs_(std::move(inputs)),
      merged_(std::move(merged)),
      schema_(planned_on.current_schema()),
      collected_(CollectedAt(planned_on)),
      ids_(NewChangeIds(random)),
      settled_ids_(NewChangeIds(random)),
      limits_(limits),
      seen_(seen) {}

Status MergeFiles::Apply(Draft& draft) {
  DS_CHECK(!inputs_.empty() && RowsOf(inputs_) == merged_.record_count);
  DS_ASSIGN_OR_RETURN(withdrawn_, WhyNot(draft));
  if (!withdrawn_.empty()) return {};
  DS_ASSIGN_OR_RETURN(const std::optional<Place> place, Find(draft));
  if (place) return Replace(draft, *place);
  withdrawn_ = "its files are no longer live neighbours";
  return {};
}

Result<std::string> MergeFiles::WhyNot(const Draft& draft) const {
  const iceberg::TableMetadata& metadata = draft.metadata;
  DS_ASSIGN_OR_RETURN(const bool may_merge, MayMerge(metadata));
  if (!may_merge) return std::string("merges were switched off");
  if (metadata.current_schema_id != schema_.schema_id || !SameFields(metadata.current_schema(), schema_))
    return std::string("the schema is another one now");
  if (CollectedAt(metadata) != collected_) return std::string("files were collected since its file was written");
  if (HasDeletes(draft.manifests)) return std::string("rows of the table were deleted");
  if (HasRecentForeignCommit(metadata, draft.now)) return std::string("another engine has written");
  return std::string();
}

Result<std::optional<MergeFiles::Place>> MergeFiles::Find(const Draft& draft) const {
  const int64_t sequence_number_min = inputs_.front().sequence_number.value_or(0);
  const int64_t sequence_number_max = inputs_.back().sequence_number.value_or(0);
  const int64_t reads_max = seen_.reads() + limits_.manifests_read_max;
  Place place;
  size_t matched = 0;
  for (size_t i = 0; i < draft.manifests.size(); ++i) {
    const ManifestFile& manifest = draft.manifests[i];
    if (LiveFiles(manifest) == 0) continue;
    const bool may_hold = HoldsCandidates(draft.metadata, manifest) && manifest.min_sequence_number <= sequence_number_max &&
                          manifest.sequence_number >= sequence_number_min;
    SeenManifests::Entries entries;
    if (may_hold) {
      if (!seen_.Find(manifest) && seen_.reads() >= reads_max) return std::optional<Place>();
      DS_ASSIGN_OR_RETURN(entries, seen_.Get(manifest, draft.read_manifest));
    }
    if (entries == nullptr) {
      if (matched > 0) return std::optional<Place>();
      continue;
    }
    for (size_t k = 0; k < entries->size(); ++k) {
      const bool is_next = (*entries)[k].data_file.file_path == inputs_[matched].data_file.file_path;
      if (!is_next && matched > 0) return std::optional<Place>();
      if (!is_next) continue;
      if (matched++ == 0) place = {.first = i, .first_begin = k};
      if (matched < inputs_.size()) continue;
      place.last = i;
      place.last_end = k + 1;
      return std::optional(place);
    }
  }
  return std::optional<Place>();
}

/// The merged file takes the inputs' place in the list: files before it, itself, files after it, each in a manifest of their
/// own, so that the next merge does not touch the first two. What is gone is said by a last manifest, which names no live file:
/// by it other engines notice that files they are deleting rows of were replaced. Only one snapshot has it. The released package
/// takes every entry for a live file, and must not find it in the current one, so a second snapshot follows without it.
Status MergeFiles::Replace(Draft& draft, const Place& place) {
  const std::vector<ManifestFile> base = std::move(draft.manifests);
  const iceberg::PartitionSpec& spec = *draft.metadata.FindSpec(base[place.first].partition_spec_id);
  const int64_t sequence_number = draft.metadata.last_sequence_number + 1;
  const ManifestMaker maker(draft, spec, ids_);
  std::vector<NewFile> files;
  const auto add = [&](std::vector<ManifestFile>& list, const Entries& entries, std::string_view role) -> Status {
    if (entries.empty()) return {};
    DS_ASSIGN_OR_RETURN(ManifestMaker::Made made, maker.Make(entries, role));
    list.push_back(std::move(made.line));
    files.push_back(std::move(made.file));
    return {};
  };
  const auto live = [](const ManifestFile& manifest) { return LiveFiles(manifest) > 0; };
  const Entries& first = **seen_.Find(base[place.first]);
  const Entries& last = **seen_.Find(base[place.last]);
  const auto at = [](size_t index) { return static_cast<std::ptrdiff_t>(index); };

  std::vector<ManifestFile> list;
  std::copy_if(base.begin(), base.begin() + at(place.first), std::back_inserter(list), live);
  const Entries before = WithStatus({first.begin(), first.begin() + at(place.first_begin)}, EntryStatus::kExisting);
  DS_RETURN_IF_ERROR(add(list, before, "before"));
  const std::string before_path = list.empty() ? std::string() : list.back().manifest_path;
  DS_ASSIGN_OR_RETURN(std::vector<NewFile> merged_manifests,
                      MergeManifests(draft.metadata, list,
                                     {.directory = ManifestDirectory(draft.version),
                                      .root_uri = draft.root_uri,
                                      .name = fmt::format("{}-{}", ids_.commit_uuid, draft.attempt),
                                      .snapshot_id = ids_.snapshot_id,
                                      .sequence_number = sequence_number},
                                     [&](const ManifestFile& manifest) -> Result<Entries> {
                                       if (!before.empty() && manifest.manifest_path == before_path) return before;
                                       return draft.read_manifest(manifest);
                                     }));
  // Merged at once, it never was a file.
  if (!before.empty() && (list.empty() || list.back().manifest_path != before_path)) files.clear();
  std::move(merged_manifests.begin(), merged_manifests.end(), std::back_inserter(files));

  // The newest of the inputs' sequence numbers: a delete of equal rows that somebody plans now gets a higher one, and so
  // applies to all of them as it would have before; none that is lower is live.
  const ManifestEntry merged{.status = EntryStatus::kAdded,
                             .snapshot_id = ids_.snapshot_id,
                             .sequence_number = inputs_.back().sequence_number,
                             .data_file = merged_};
  DS_RETURN_IF_ERROR(add(list, {merged}, "added"));
  DS_RETURN_IF_ERROR(add(list, WithStatus({last.begin() + at(place.last_end), last.end()}, EntryStatus::kExisting), "after"));
  std::copy_if(base.begin() + at(place.last + 1), base.end(), std::back_inserter(list), live);
  Entries gone = WithStatus(inputs_, EntryStatus::kDeleted);
  for (ManifestEntry& entry : gone) entry.snapshot_id = ids_.snapshot_id;
  DS_RETURN_IF_ERROR(add(list, gone, "deleted"));

  draft.manifests = std::move(list);
  std::move(files.begin(), files.end(), std::back_inserter(draft.files));
  draft.added_bytes += merged_.file_size_in_bytes;
  const std::string rows = std::to_string(merged_.record_count);
  DS_RETURN_IF_ERROR(AddSnapshot(draft, ids_,
                     {{"operation", "replace"},
                      {"added-data-files", "1"},
                      {"deleted-data-files", std::to_string(inputs_.size())},
                      {"added-records", rows},
                      {"deleted-records", rows},
                      {"added-files-size", std::to_string(merged_.file_size_in_bytes)},
                      {"removed-files-size", std::to_string(BytesOf(inputs_))}}));
  draft.manifests.pop_back();
  return AddSnapshot(draft, settled_ids_,
                     {{"operation", "replace"},
                      {"manifests-created", "0"},
                      {"manifests-kept", std::to_string(draft.manifests.size())},
                      {"manifests-replaced", "1"}});
}

}  // namespace datashard::commit
