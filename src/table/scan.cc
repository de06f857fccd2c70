// Planning a scan: snapshot, columns and filter to the data files that may hold matching rows.
#include <set>

#include "base/error.h"
#include "base/executor.h"
#include "catalog/table_files.h"
#include "data/data_file.h"
#include "table/table_impl.h"

namespace datashard {
namespace {

/// The schema the rows of `snapshot` are shown in: its own where it names one.
const Schema& SchemaOf(const iceberg::TableMetadata& metadata, const std::optional<Snapshot>& snapshot) {
  if (snapshot && snapshot->schema_id) {
    if (const Schema* schema = metadata.FindSchema(*snapshot->schema_id)) return *schema;
  }
  return metadata.current_schema();
}

std::string NamesOf(const Schema& schema) {
  std::string names;
  for (const Field& field : schema.fields) names += (names.empty() ? "" : ", ") + field.name;
  return names;
}

Result<std::vector<int32_t>> ResolveColumns(const Schema& schema, const std::optional<std::vector<std::string>>& names) {
  std::vector<int32_t> ids;
  if (!names) {
    for (const Field& field : schema.fields) ids.push_back(field.id);
    return ids;
  }
  std::set<std::string_view> seen;
  for (const std::string& name : *names) {
    const Field* field = schema.Find(name);
    if (field == nullptr) {
      return InvalidArgument("no column '{}' to read; the table has: {}", name, NamesOf(schema)).About(ErrorSubject::kColumn);
    }
    if (!seen.insert(name).second) {
      return InvalidArgument("column '{}' is asked for twice", name).About(ErrorSubject::kColumn);
    }
    ids.push_back(field->id);
  }
  return ids;
}

void CountScan(const data::ReadPlan& plan, Metrics& metrics) {
  int64_t bytes = 0;
  for (const data::ScanFile& file : plan.files) bytes += file.file.file_size_in_bytes;
  metrics.Add("datashard_scans_total", 1);
  metrics.Add("datashard_scan_files_total", static_cast<double>(plan.files.size()));
  metrics.Add("datashard_scan_files_pruned_total", static_cast<double>(plan.files_pruned));
  metrics.Add("datashard_scan_files_bytes_total", static_cast<double>(bytes));
}

}  // namespace

Result<data::ReadPlan> TableImpl::PlanScan(const catalog::VersionPtr& version, const ScanOptions& options) {
  DS_ASSIGN_OR_RETURN(const std::optional<Snapshot> snapshot, FindSnapshot(version, options.snapshot_id));
  data::ReadPlan plan;
  plan.schema = SchemaOf(version->metadata, snapshot);
  DS_ASSIGN_OR_RETURN(plan.column_ids, ResolveColumns(plan.schema, options.columns));
  DS_ASSIGN_OR_RETURN(plan.filter, data::BindFilter(options.filter, plan.schema));
  plan.threads = options.threads == 0 ? CoreCount() : options.threads;
  plan.requests = requests_max();
  plan.batch_rows = options.batch_rows;
  plan.verify = options.verify;
  if (!snapshot) return plan;

  std::optional<std::string> name_mapping;
  const auto mapping = version->metadata.properties.find("schema.name-mapping.default");
  if (mapping != version->metadata.properties.end()) name_mapping = mapping->second;

  DS_RETURN_IF_ERROR(ForEachDataFile(version, *snapshot, [&](const DataFile& file) -> Status {
    if (!data::MayMatch(plan.filter, plan.schema, file)) {
      ++plan.files_pruned;
      return {};
    }
    DS_ASSIGN_OR_RETURN(std::string key, catalog::KeyOf(*store, version->metadata.location, file.file_path));
    plan.files.push_back({.key = std::move(key), .file = file, .name_mapping = name_mapping});
    return {};
  }));
  return plan;
}

Result<ArrowStream> TableImpl::Scan(const ScanOptions& options) {
  if (options.threads < 0) return InvalidArgument("threads is {}; expected 0 (one per core) or more", options.threads);
  if (options.batch_rows < 0) return InvalidArgument("batch_rows is {}; expected 0 or more", options.batch_rows);
  DS_ASSIGN_OR_RETURN(data::ReadPlan plan, OnNewest<data::ReadPlan>([&](const catalog::VersionPtr& version) {
                        return PlanScan(version, options);
                      }));
  CountScan(plan, outside.metrics);
  return data::ReadDataFiles(store, std::move(plan));
}

}  // namespace datashard
