#include "collect/file_walk.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "catalog/history.h"
#include "catalog/table_files.h"
#include "iceberg/json_reader.h"

namespace datashard::collect {
namespace {

uint64_t HashOf(std::string_view text) { return std::hash<std::string_view>{}(text); }

}  // namespace

FileWalk::Print FileWalk::PrintOf(const std::string& key) const {
  return {.a = HashOf(fmt::format("{}a{}", salt_, key)), .b = HashOf(fmt::format("{}b{}", salt_, key))};
}

Status FileWalk::VisitSnapshot(const iceberg::TableMetadata& metadata, const Snapshot& snapshot, const Visit& visit) {
  ++snapshots_read_;
  DS_ASSIGN_OR_RETURN(const std::vector<ManifestFile> manifests, catalog::ReadManifestListOf(store_, metadata, snapshot));
  DS_ASSIGN_OR_RETURN(const std::string list_key, catalog::KeyOf(store_, metadata.location, snapshot.manifest_list));
  DS_RETURN_IF_ERROR(visit(list_key));
  for (const ManifestFile& manifest : manifests) {
    DS_ASSIGN_OR_RETURN(const std::string manifest_key, catalog::KeyOf(store_, metadata.location, manifest.manifest_path));
    if (!manifests_.insert(PrintOf(manifest_key)).second) continue;
    DS_RETURN_IF_ERROR(visit(manifest_key));
    DS_ASSIGN_OR_RETURN(const std::vector<ManifestEntry> entries, catalog::ReadManifestOf(store_, metadata, manifest));
    for (const ManifestEntry& entry : entries) {
      DS_ASSIGN_OR_RETURN(const std::string key, catalog::KeyOf(store_, metadata.location, entry.data_file.file_path));
      DS_RETURN_IF_ERROR(visit(key));
    }
  }
  return {};
}

Status FileWalk::VisitHistory(const iceberg::HistoryRoot& root, const Visit& visit) {
  for (const iceberg::HistoryEntry& entry : root.entries) {
    DS_RETURN_IF_ERROR(visit(entry.key()));
    // The same index under a higher floor has fewer segments, which were visited with the lower one.
    if (!entry.is_index() || !indexes_.insert(fmt::format("{} {}", entry.uuid, root.floor_sequence)).second) continue;
    DS_ASSIGN_OR_RETURN(const Bytes file, catalog::ReadHistoryFile(store_, entry));
    DS_ASSIGN_OR_RETURN(const std::vector<iceberg::HistoryLine> lines, catalog::LinesOf(store_, entry, file));
    for (const iceberg::HistoryLine& line : lines) {
      if (!root.is_below_floor(line.segment)) DS_RETURN_IF_ERROR(visit(line.segment.key()));
    }
  }
  return {};
}

Status FileWalk::VisitStatistics(const iceberg::TableMetadata& metadata, const Visit& visit) {
  for (const auto* statistics : {&metadata.statistics, &metadata.partition_statistics}) {
    if (!*statistics) continue;
    DS_ASSIGN_OR_RETURN(const auto document, iceberg::JsonDocument::Parse(**statistics, metadata.location + ": statistics",
                                                                          iceberg::kMetadataBytesMax));
    DS_RETURN_IF_ERROR(document.root().ForEach([&](const iceberg::JsonValue& item) -> Status {
      DS_ASSIGN_OR_RETURN(iceberg::JsonObject members, iceberg::JsonObject::Of(item));
      DS_ASSIGN_OR_RETURN(const std::string path, members.String("statistics-path"));
      DS_ASSIGN_OR_RETURN(const std::string key, catalog::KeyOf(store_, metadata.location, path));
      return visit(key);
    }));
  }
  return {};
}

void KeySet::Add(std::string_view key) {
  prints_.push_back(HashOf(key));
  if (prints_.size() < compact_at_) return;
  Compact();
  compact_at_ = std::max(compact_at_, prints_.size() * 2);
}

void KeySet::Compact() {
  std::sort(prints_.begin(), prints_.end());
  prints_.erase(std::unique(prints_.begin(), prints_.end()), prints_.end());
}

bool KeySet::Contains(std::string_view key) const { return std::binary_search(prints_.begin(), prints_.end(), HashOf(key)); }

KeySet KeySet::Without(const KeySet& other) const {
  KeySet left;
  std::set_difference(prints_.begin(), prints_.end(), other.prints_.begin(), other.prints_.end(),
                      std::back_inserter(left.prints_));
  return left;
}

}  // namespace datashard::collect
