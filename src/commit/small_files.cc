#include "commit/small_files.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kProperty = "datashard.auto-merge";

/// Takes files in commit order and keeps the first run that is worth a merge.
class RunFinder {
 public:
  explicit RunFinder(const MergeLimits& limits) : limits_(limits) {}

  void Add(const ManifestEntry& entry, int32_t spec_id) {
    const DataFile& file = entry.data_file;
    const bool follows = run_.empty() || (spec_id == spec_id_ && entry.sequence_number >= run_.back().sequence_number);
    const bool fits = static_cast<int64_t>(run_.size()) < limits_.files_max &&
                      bytes_ + file.file_size_in_bytes <= limits_.bytes_max && rows_ + file.record_count <= limits_.rows_max;
    if (!follows || !fits) End();
    if (done_) return;
    spec_id_ = spec_id;
    bytes_ += file.file_size_in_bytes;
    rows_ += file.record_count;
    run_.push_back(entry);
  }
  /// What comes next is no neighbour of what was added.
  void End() {
    done_ = done_ || static_cast<int64_t>(run_.size()) >= limits_.files_min;
    if (done_) return;
    run_.clear();
    bytes_ = 0;
    rows_ = 0;
  }

  bool done() const { return done_; }
  std::vector<ManifestEntry> Take() && { return std::move(run_); }

 private:
  const MergeLimits& limits_;
  std::vector<ManifestEntry> run_;
  int32_t spec_id_ = 0;
  int64_t bytes_ = 0;
  int64_t rows_ = 0;
  bool done_ = false;
};

}  // namespace

Result<bool> MayMerge(const iceberg::TableMetadata& metadata) {
  const auto found = metadata.properties.find(std::string(kProperty));
  if (found == metadata.properties.end() || found->second == "on") return true;
  if (found->second == "off") return false;
  return InvalidArgument("table property {} is '{}'; expected 'on' or 'off'", kProperty, found->second);
}

bool IsSmall(const DataFile& file, const MergeLimits& limits) {
  const std::string_view path = file.file_path;
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const auto is_parquet = [](std::string_view format) {
    return format.size() == 7 && std::equal(format.begin(), format.end(), "PARQUET", [](char a, char b) { return (a & ~0x20) == b; });
  };
  return file.content == FileContent::kData && is_parquet(file.file_format) && !file.key_metadata && file.partition.empty() &&
         file.record_count > 0 && file.file_size_in_bytes < limits.small_file_bytes && !name.starts_with(kMergedFilePrefix);
}

std::optional<SeenManifests::Entries> SeenManifests::Find(const ManifestFile& manifest) const {
  const auto found = by_path_.find(manifest.manifest_path);
  return found == by_path_.end() ? std::nullopt : std::optional(found->second);
}

Result<SeenManifests::Entries> SeenManifests::Get(const ManifestFile& manifest, const ReadEntries& read) {
  if (std::optional<Entries> seen = Find(manifest)) return *seen;
  DS_ASSIGN_OR_RETURN(std::vector<ManifestEntry> entries, read(manifest));
  ++reads_;
  const bool has_small = std::any_of(entries.begin(), entries.end(),
                                     [&](const ManifestEntry& entry) { return IsSmall(entry.data_file, limits_); });
  Entries kept = has_small ? std::make_shared<const std::vector<ManifestEntry>>(std::move(entries)) : nullptr;
  by_path_[manifest.manifest_path] = kept;
  return kept;
}

void SeenManifests::KeepOnly(const std::vector<ManifestFile>& manifests) {
  std::set<std::string_view> paths;
  for (const ManifestFile& manifest : manifests) paths.insert(manifest.manifest_path);
  std::erase_if(by_path_, [&](const auto& seen) { return !paths.contains(seen.first); });
}

bool HoldsCandidates(const iceberg::TableMetadata& metadata, const ManifestFile& manifest) {
  const iceberg::PartitionSpec* spec = metadata.FindSpec(manifest.partition_spec_id);
  return manifest.content == ManifestContent::kData && !manifest.key_metadata && spec != nullptr && spec->fields.empty();
}

bool HasDeletes(const std::vector<ManifestFile>& manifests) {
  return std::any_of(manifests.begin(), manifests.end(), [](const ManifestFile& manifest) {
    return manifest.content == ManifestContent::kDeletes && LiveFiles(manifest) > 0;
  });
}

Result<SmallFiles> FindSmallFiles(const iceberg::TableMetadata& metadata, const std::vector<ManifestFile>& manifests,
                                  const MergeLimits& limits, SeenManifests& seen, const ReadEntries& read,
                                  const std::function<bool(const DataFile&)>& refused) {
  SmallFiles found;
  RunFinder finder(limits);
  const int64_t reads_max = seen.reads() + limits.manifests_read_max;
  const auto is_enough = [&] { return finder.done() && found.count > limits.trigger_files; };
  for (const ManifestFile& manifest : manifests) {
    if (LiveFiles(manifest) == 0) continue;
    if (!HoldsCandidates(metadata, manifest)) {
      finder.End();
      continue;
    }
    if (!seen.Find(manifest) && seen.reads() >= reads_max) return found;
    DS_ASSIGN_OR_RETURN(const SeenManifests::Entries entries, seen.Get(manifest, read));
    if (entries == nullptr) {
      finder.End();
      continue;
    }
    for (const ManifestEntry& entry : *entries) {
      if (IsSmall(entry.data_file, limits) && !refused(entry.data_file)) {
        ++found.count;
        finder.Add(entry, manifest.partition_spec_id);
      } else {
        finder.End();
      }
      if (is_enough()) break;
    }
    if (is_enough()) break;
  }
  found.complete = !is_enough();
  finder.End();
  if (finder.done() && found.count > limits.trigger_files) found.run = std::move(finder).Take();
  return found;
}

}  // namespace datashard::commit
