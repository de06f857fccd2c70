#include "commit/new_snapshot.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "commit/manifest_tiers.h"
#include "iceberg/manifest.h"

namespace datashard::commit {
namespace {

/// Live files and rows a list names.
struct Totals {
  int64_t files = 0;
  int64_t rows = 0;
};
Totals TotalsOf(const std::vector<ManifestFile>& manifests) {
  Totals totals;
  for (const ManifestFile& manifest : manifests) {
    if (manifest.content != ManifestContent::kData) continue;
    totals.files += manifest.added_files_count + manifest.existing_files_count;
    totals.rows += manifest.added_rows_count + manifest.existing_rows_count;
  }
  return totals;
}

}  // namespace

ChangeIds NewChangeIds(Random& random) {
  return {.snapshot_id = RandomId63(random), .commit_uuid = RandomUuid(random)};
}

Status AddSnapshot(Draft& draft, const ChangeIds& ids, std::vector<std::pair<std::string, std::string>> summary) {
  iceberg::TableMetadata& next = draft.metadata;
  const int64_t sequence_number = next.last_sequence_number + 1;
  const int64_t now_ms = draft.now_ms();
  NewFile list_file{.key = fmt::format("{}/snap-{}-{}-{}.avro", ManifestDirectory(draft.version), ids.snapshot_id,
                                       draft.attempt, ids.commit_uuid),
                    .bound_to_base = true};
  DS_ASSIGN_OR_RETURN(list_file.body, iceberg::EncodeManifestList({.snapshot_id = ids.snapshot_id,
                                                                   .parent_snapshot_id = next.current_snapshot_id,
                                                                   .sequence_number = sequence_number},
                                                                  draft.manifests));

  const Totals totals = TotalsOf(draft.manifests);
  summary.emplace_back("total-data-files", std::to_string(totals.files));
  summary.emplace_back("total-records", std::to_string(totals.rows));
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->snapshot_id = ids.snapshot_id;
  snapshot->parent_snapshot_id = next.current_snapshot_id;
  snapshot->sequence_number = sequence_number;
  snapshot->timestamp_ms = now_ms;
  snapshot->manifest_list = fmt::format("{}/{}", draft.root_uri, list_file.key);
  snapshot->schema_id = next.current_schema_id;
  snapshot->summary = std::move(summary);

  next.last_sequence_number = sequence_number;
  next.last_updated_ms = now_ms;
  next.current_snapshot_id = ids.snapshot_id;
  next.snapshots.push_back(std::move(snapshot));
  next.snapshot_log.push_back({.timestamp_ms = now_ms, .snapshot_id = ids.snapshot_id});
  auto& main = next.refs["main"];
  main.snapshot_id = ids.snapshot_id;
  main.type = "branch";
  draft.files.push_back(std::move(list_file));
  draft.changed = true;
  return {};
}

bool IsOurs(const Snapshot& snapshot) {
  std::string_view path = snapshot.manifest_list;
  path = path.substr(0, std::min(path.rfind('/'), path.size()));
  while (!path.empty() && path.back() >= '0' && path.back() <= '9') path.remove_suffix(1);
  return path.ends_with("/metadata/m/");
}

}  // namespace datashard::commit
