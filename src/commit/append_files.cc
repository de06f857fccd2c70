#include "commit/append_files.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"
#include "commit/manifest_tiers.h"
#include "commit/new_snapshot.h"
#include "iceberg/manifest.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kNameMapping = "schema.name-mapping.default";
/// Makes `schema` the current one of a table that has none; the placeholder without fields goes.
void Adopt(iceberg::TableMetadata& metadata, Schema schema) {
  metadata.schemas.clear();
  metadata.current_schema_id = schema.schema_id;
  metadata.last_column_id = std::max(metadata.last_column_id, schema.HighestFieldId());
  metadata.properties[std::string(kNameMapping)] = iceberg::EncodeNameMapping(schema);
  metadata.schemas.push_back(std::move(schema));
}

/// The spec rows are appended with. Errors: kUnsupported for partitioned tables.
Result<const iceberg::PartitionSpec*> SpecForAppend(const iceberg::TableMetadata& metadata) {
  const iceberg::PartitionSpec* spec = metadata.FindSpec(metadata.default_spec_id);
  if (spec == nullptr || !spec->fields.empty()) {
    return Unsupported("{} is partitioned; rows cannot be appended to partitioned tables yet", metadata.location);
  }
  return spec;
}

}  // namespace

Error SchemaChanged(const iceberg::TableMetadata& now) {
  return InvalidArgument("the schema of {} changed while rows for its earlier schema were being appended. Nothing was "
                         "committed; append again with the columns of schema {}",
                         now.location, now.current_schema_id)
      .About(ErrorSubject::kSchema);
}

Result<MadeManifest> MakeManifest(const std::vector<DataFile>& files, const Schema& schema,
                                  const iceberg::PartitionSpec& spec, std::string_view root_uri, std::string key,
                                  std::optional<int64_t> snapshot_id) {
  DS_CHECK(!files.empty());
  MadeManifest made{.file = {.key = std::move(key)}};
  std::vector<ManifestEntry> entries;
  for (const DataFile& file : files) {
    entries.push_back({.status = EntryStatus::kAdded, .snapshot_id = snapshot_id, .data_file = file});
    made.written.added_bytes += file.file_size_in_bytes;
  }
  const iceberg::ManifestHeader header{.schema = schema, .partition_spec = spec};
  DS_ASSIGN_OR_RETURN(made.file.body, iceberg::EncodeManifest(header, entries));
  DS_ASSIGN_OR_RETURN(made.written.line, iceberg::Summarize(header, entries));
  made.written.line.manifest_path = fmt::format("{}/{}", root_uri, made.file.key);
  made.written.line.manifest_length = static_cast<int64_t>(made.file.body.size());
  made.written.line.partition_spec_id = spec.spec_id;
  return made;
}

AppendFiles::AppendFiles(std::vector<AppendPart> parts, Schema schema, ChangeIds ids)
    : parts_(std::move(parts)), schema_(std::move(schema)), ids_(std::move(ids)) {}

Status AppendFiles::Apply(Draft& draft) {
  DS_CHECK(!parts_.empty());
  iceberg::TableMetadata& next = draft.metadata;
  if (IsSchemaless(next)) {
    Adopt(next, schema_);
  } else if (!SameFields(next.current_schema(), schema_)) {
    return SchemaChanged(next);
  }
  DS_ASSIGN_OR_RETURN(const iceberg::PartitionSpec* const spec, SpecForAppend(next));

  const int64_t sequence_number = next.last_sequence_number + 1;
  const std::string directory = ManifestDirectory(draft.version);
  // Only of the base: what an earlier change has added to this version is not written yet.
  if (draft.read_manifest && !draft.changed) {
    DS_ASSIGN_OR_RETURN(std::vector<NewFile> merged,
                        MergeManifests(next, draft.manifests,
                                       {.directory = directory,
                                        .root_uri = draft.root_uri,
                                        .name = fmt::format("{}-{}", ids_.commit_uuid, draft.attempt),
                                        .snapshot_id = ids_.snapshot_id,
                                        .sequence_number = sequence_number},
                                       draft.read_manifest));
    std::move(merged.begin(), merged.end(), std::back_inserter(draft.files));
  }
  int64_t added_files = 0;
  int64_t added_rows = 0;
  int64_t added_bytes = 0;
  for (size_t i = 0; i < parts_.size(); ++i) {
    WrittenManifest written;
    if (const auto* files = std::get_if<std::vector<DataFile>>(&parts_[i])) {
      DS_ASSIGN_OR_RETURN(MadeManifest made, MakeManifest(*files, next.current_schema(), *spec, draft.root_uri,
                                                          fmt::format("{}/{}-m{}.avro", directory, ids_.commit_uuid, i),
                                                          ids_.snapshot_id));
      draft.files.push_back(std::move(made.file));
      written = std::move(made.written);
    } else {
      written = std::get<WrittenManifest>(parts_[i]);
      if (written.line.partition_spec_id != spec->spec_id) {
        return InvalidArgument("{}: a manifest was written for partition spec {}, now the spec is {}. Nothing was committed; "
                               "append again", next.location, written.line.partition_spec_id, spec->spec_id);
      }
    }
    ManifestFile& line = written.line;
    line.sequence_number = sequence_number;
    line.min_sequence_number = sequence_number;
    line.added_snapshot_id = ids_.snapshot_id;
    added_files += line.added_files_count;
    added_rows += line.added_rows_count;
    added_bytes += written.added_bytes;
    draft.manifests.push_back(std::move(line));
  }
  draft.added_bytes += added_bytes;

  return AddSnapshot(draft, ids_,
                     {{"operation", "append"},
                      {"added-data-files", std::to_string(added_files)},
                      {"added-records", std::to_string(added_rows)},
                      {"added-files-size", std::to_string(added_bytes)}});
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
  // By default Spark gives up after 4 lost races, and waits ever longer in between, up to a minute: it would not come back
  // while we give way (catalog/foreign_writers.h). The released Python package forgets versions after 10.
  metadata.properties.try_emplace("commit.retry.num-retries", "100");
  metadata.properties.try_emplace("commit.retry.max-wait-ms", "100");
  metadata.properties.try_emplace("write.metadata.previous-versions-max", "100000");
  if (schema) {
    Adopt(metadata, *schema);
  } else {
    metadata.schemas.push_back(Schema{});
  }
  return metadata;
}

}  // namespace datashard::commit
