#include "commit/manifest_tiers.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"
#include "iceberg/manifest.h"

namespace datashard::commit {
namespace {

constexpr int64_t kVersionsPerDirectory = 10'000;

/// Live files; a manifest without any is as short as one of a single file.
int64_t FilesOf(const ManifestFile& manifest) {
  return std::max<int64_t>(1, int64_t{manifest.added_files_count} + manifest.existing_files_count);
}

/// Where the end of `manifests` that is due begins; none where nothing is.
std::optional<size_t> FirstDue(const std::vector<ManifestFile>& manifests) {
  for (int64_t files_min = kTierFanOut; files_min <= kMergedFilesMax; files_min *= kTierFanOut) {
    int64_t files = 0;
    size_t first = manifests.size();
    for (; first > 0; --first) {
      const ManifestFile& manifest = manifests[first - 1];
      const int64_t more = FilesOf(manifest);
      if (more >= files_min || files + more > kMergedFilesMax) break;
      if (manifest.content != ManifestContent::kData || manifest.key_metadata) break;
      if (manifest.partition_spec_id != manifests.back().partition_spec_id) break;
      files += more;
    }
    if (static_cast<int64_t>(manifests.size() - first) >= kTierFanOut && files >= files_min) return first;
  }
  return std::nullopt;
}

struct Merged {
  ManifestFile line;
  std::vector<ManifestEntry> entries;
  NewFile file;
};

}  // namespace

std::string ManifestDirectory(int64_t version) { return fmt::format("metadata/m/{}", version / kVersionsPerDirectory); }

Result<std::vector<NewFile>> MergeManifests(const iceberg::TableMetadata& metadata, std::vector<ManifestFile>& manifests,
                                            const MergeContext& context, const ReadEntries& read) {
  std::optional<Merged> last;  // it may be merged again at once, and then never was a file
  std::vector<NewFile> files;
  while (const std::optional<size_t> first = FirstDue(manifests)) {
    const iceberg::PartitionSpec* spec = metadata.FindSpec(manifests.back().partition_spec_id);
    if (spec == nullptr) break;
    Merged next;
    int64_t min_sequence_number = context.sequence_number;
    for (size_t i = *first; i < manifests.size(); ++i) {
      const ManifestFile& part = manifests[i];
      std::vector<ManifestEntry> entries;
      if (last && part.manifest_path == last->line.manifest_path) {
        entries = last->entries;
      } else {
        DS_ASSIGN_OR_RETURN(entries, read(part));
      }
      for (ManifestEntry& entry : entries) {
        entry.status = EntryStatus::kExisting;
        min_sequence_number = std::min(min_sequence_number, entry.sequence_number.value_or(0));
        next.entries.push_back(std::move(entry));
      }
    }
    const iceberg::ManifestHeader header{.schema = metadata.current_schema(), .partition_spec = *spec};
    next.file = {.key = fmt::format("{}/{}-merged.avro", context.directory, context.name), .bound_to_base = true};
    Result<Bytes> body = iceberg::EncodeManifest(header, next.entries);
    if (!body.ok() && body.kind() == ErrorKind::kUnsupported) break;
    if (!body.ok()) return std::move(body).error();
    next.file.body = std::move(body).value();
    DS_ASSIGN_OR_RETURN(next.line, iceberg::Summarize(header, next.entries));
    next.line.manifest_path = fmt::format("{}/{}", context.root_uri, next.file.key);
    next.line.manifest_length = static_cast<int64_t>(next.file.body.size());
    next.line.partition_spec_id = spec->spec_id;
    next.line.sequence_number = context.sequence_number;
    next.line.min_sequence_number = min_sequence_number;
    next.line.added_snapshot_id = context.snapshot_id;
    manifests.erase(manifests.begin() + static_cast<std::ptrdiff_t>(*first), manifests.end());
    // Nothing alive in any of them: no manifest is needed.
    if (!next.entries.empty()) manifests.push_back(next.line);
    last = std::move(next);
  }
  if (last && !last->entries.empty()) files.push_back(std::move(last->file));
  return files;
}

}  // namespace datashard::commit
