#include "commit/append_files.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"
#include "iceberg/manifest.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kNameMapping = "schema.name-mapping.default";
// Every commit would add an entry for ever; readers only want the recent ones.
constexpr size_t kMetadataLogEntriesMax = 100;
// Manifests and lists of this many versions share a directory: huge directories slow every commit down.
constexpr int64_t kVersionsPerDirectory = 10'000;

/// Makes `schema` the current one of a table that has none; the placeholder without fields goes.
void Adopt(iceberg::TableMetadata& metadata, Schema schema) {
  metadata.schemas.clear();
  metadata.current_schema_id = schema.schema_id;
  metadata.last_column_id = std::max(metadata.last_column_id, schema.HighestFieldId());
  metadata.properties[std::string(kNameMapping)] = iceberg::EncodeNameMapping(schema);
  metadata.schemas.push_back(std::move(schema));
}

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

AppendFiles::AppendFiles(std::vector<DataFile> files, Schema schema) : files_(std::move(files)), schema_(std::move(schema)) {}

Result<CommitPlan> AppendFiles::Plan(const Base& base, const PlanIds& ids) const {
  DS_CHECK(!files_.empty());
  CommitPlan plan;
  plan.next = base.metadata();
  iceberg::TableMetadata& next = plan.next;

  if (IsSchemaless(next)) {
    Adopt(next, schema_);
  } else if (!SameFields(next.current_schema(), schema_)) {
    return InvalidArgument("the schema of {} changed while rows for its earlier schema were being appended. Nothing was "
                           "committed; append again with the columns of schema {}",
                           next.location, next.current_schema_id)
        .About(ErrorSubject::kSchema);
  }
  const iceberg::PartitionSpec* spec = next.FindSpec(next.default_spec_id);
  if (spec == nullptr || !spec->fields.empty()) {
    return Unsupported("{} is partitioned; rows cannot be appended to partitioned tables yet", next.location);
  }

  const int64_t sequence_number = next.last_sequence_number + 1;
  const int64_t now_ms = std::max(ToMillis(ids.now), next.last_updated_ms);
  const std::string directory = fmt::format("metadata/m/{}", (base.version->number + 1) / kVersionsPerDirectory);

  // The manifest leaves sequence numbers to be inherited, so that it serves every attempt.
  std::vector<ManifestEntry> entries;
  for (const DataFile& file : files_) {
    entries.push_back({.status = EntryStatus::kAdded, .snapshot_id = ids.snapshot_id, .data_file = file});
  }
  const iceberg::ManifestHeader header{.schema = next.current_schema(), .partition_spec = *spec};
  NewFile manifest_file{.key = fmt::format("{}/{}-m0.avro", directory, ids.commit_uuid)};
  DS_ASSIGN_OR_RETURN(manifest_file.body, iceberg::EncodeManifest(header, entries));
  DS_ASSIGN_OR_RETURN(ManifestFile line, iceberg::Summarize(header, entries));
  line.manifest_path = fmt::format("{}/{}", ids.root_uri, manifest_file.key);
  line.manifest_length = static_cast<int64_t>(manifest_file.body.size());
  line.partition_spec_id = spec->spec_id;
  line.sequence_number = sequence_number;
  line.min_sequence_number = sequence_number;
  line.added_snapshot_id = ids.snapshot_id;
  std::vector<ManifestFile> manifests = base.manifests;
  manifests.push_back(line);

  NewFile list_file{.key = fmt::format("{}/snap-{}-{}-{}.avro", directory, ids.snapshot_id, ids.attempt, ids.commit_uuid),
                    .bound_to_base = true};
  DS_ASSIGN_OR_RETURN(list_file.body, iceberg::EncodeManifestList({.snapshot_id = ids.snapshot_id,
                                                                   .parent_snapshot_id = next.current_snapshot_id,
                                                                   .sequence_number = sequence_number},
                                                                  manifests));

  int64_t added_bytes = 0;
  for (const DataFile& file : files_) added_bytes += file.file_size_in_bytes;
  const Totals totals = TotalsOf(manifests);
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->snapshot_id = ids.snapshot_id;
  snapshot->parent_snapshot_id = next.current_snapshot_id;
  snapshot->sequence_number = sequence_number;
  snapshot->timestamp_ms = now_ms;
  snapshot->manifest_list = fmt::format("{}/{}", ids.root_uri, list_file.key);
  snapshot->schema_id = next.current_schema_id;
  snapshot->summary = {{"operation", "append"},
                       {"added-data-files", std::to_string(files_.size())},
                       {"added-records", std::to_string(line.added_rows_count)},
                       {"added-files-size", std::to_string(added_bytes)},
                       {"total-data-files", std::to_string(totals.files)},
                       {"total-records", std::to_string(totals.rows)}};

  next.metadata_log.push_back({.timestamp_ms = base.metadata().last_updated_ms,
                               .metadata_file = fmt::format("{}/{}", ids.root_uri, base.version->key)});
  if (next.metadata_log.size() > kMetadataLogEntriesMax) {
    next.metadata_log.erase(next.metadata_log.begin(), next.metadata_log.end() - kMetadataLogEntriesMax);
  }
  next.last_sequence_number = sequence_number;
  next.last_updated_ms = now_ms;
  next.current_snapshot_id = ids.snapshot_id;
  next.snapshots.push_back(std::move(snapshot));
  next.snapshot_log.push_back({.timestamp_ms = now_ms, .snapshot_id = ids.snapshot_id});
  auto& main = next.refs["main"];
  main.snapshot_id = ids.snapshot_id;
  main.type = "branch";
  plan.files = {std::move(manifest_file), std::move(list_file)};
  plan.manifests = std::move(manifests);
  return plan;
}

iceberg::TableMetadata FirstVersion(std::string table_uuid, std::string location, const std::optional<Schema>& schema,
                                    std::map<std::string, std::string> properties, Instant now) {
  iceberg::TableMetadata metadata;
  metadata.table_uuid = std::move(table_uuid);
  metadata.location = std::move(location);
  metadata.last_updated_ms = ToMillis(now);
  metadata.partition_specs.push_back({.spec_id = 0});
  metadata.sort_orders.push_back({.order_id = 0});
  metadata.properties = std::move(properties);
  // Spark gives up after 4 lost races by default, and the released Python package forgets versions after 10.
  metadata.properties.try_emplace("commit.retry.num-retries", "100");
  metadata.properties.try_emplace("write.metadata.previous-versions-max", "100000");
  if (schema) {
    Adopt(metadata, *schema);
  } else {
    metadata.schemas.push_back(Schema{});
  }
  return metadata;
}

}  // namespace datashard::commit
