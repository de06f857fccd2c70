#include "datashard/table.h"

#include "base/error.h"
#include "base/uri.h"
#include "catalog/history.h"
#include "catalog/table_files.h"
#include "commit/append_files.h"
#include "data/data_file.h"
#include "iceberg/manifest.h"
#include "table/open_store.h"
#include "table/table_impl.h"

namespace datashard {
namespace {

Result<std::shared_ptr<TableImpl>> ImplAt(std::string_view path, bool create) {
  DS_RETURN_IF_ERROR(data::StartAllocator());
  auto surroundings = std::make_unique<TableSurroundings>();
  const Outside outside = surroundings->outside;
  DS_ASSIGN_OR_RETURN(TablePlace place, OpenTablePlace(path, create, ProcessEnvironment(), surroundings->outside));
  auto impl = std::make_shared<TableImpl>(std::string(path), std::move(place.store), std::move(surroundings), outside);
  impl->place_identity = std::move(place.identity);
  impl->bucket = std::move(place.bucket);
  return impl;
}

Result<std::unique_ptr<Table>> Created(std::shared_ptr<TableImpl> impl, CreateOptions options) {
  DS_RETURN_IF_ERROR(impl->Create(std::move(options)));
  return std::make_unique<Table>(std::move(impl));
}

Result<std::unique_ptr<Table>> Opened(std::shared_ptr<TableImpl> impl) {
  DS_RETURN_IF_ERROR(impl->Open());
  return std::make_unique<Table>(std::move(impl));
}

}  // namespace

Table::Table(std::shared_ptr<TableImpl> impl) : impl_(std::move(impl)) {}
Table::~Table() = default;

Result<std::unique_ptr<Table>> Table::Create(std::string_view path, CreateOptions options) {
  if (options.schema) DS_RETURN_IF_ERROR(options.schema->Validate());
  DS_ASSIGN_OR_RETURN(std::shared_ptr<TableImpl> impl, ImplAt(path, /*create=*/true));
  return Created(std::move(impl), std::move(options));
}

Result<std::unique_ptr<Table>> Table::Open(std::string_view path) {
  DS_ASSIGN_OR_RETURN(std::shared_ptr<TableImpl> impl, ImplAt(path, /*create=*/false));
  return Opened(std::move(impl));
}

Result<std::unique_ptr<Table>> CreateTableOn(std::shared_ptr<ObjectStore> store, Outside outside, CreateOptions options,
                                             catalog::VersionLimits limits) {
  if (options.schema) DS_RETURN_IF_ERROR(options.schema->Validate());
  std::string path = store->root_uri();
  return Created(std::make_shared<TableImpl>(std::move(path), std::move(store), nullptr, outside, limits),
                 std::move(options));
}

Result<std::unique_ptr<Table>> OpenTableOn(std::shared_ptr<ObjectStore> store, Outside outside,
                                           catalog::VersionLimits limits) {
  std::string path = store->root_uri();
  return Opened(std::make_shared<TableImpl>(std::move(path), std::move(store), nullptr, outside, limits));
}

bool Table::created() const { return impl_->created; }
const std::string& Table::path() const { return impl_->path; }
const std::string& Table::location() const { return impl_->store->root_uri(); }

Result<int64_t> Table::version() const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  return version->number;
}

Result<std::string> Table::uuid() const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  return version->metadata.table_uuid;
}

Result<std::optional<Schema>> Table::schema() const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  if (commit::IsSchemaless(version->metadata)) return std::optional<Schema>();
  return std::optional(version->metadata.current_schema());
}

Result<Properties> Table::properties() const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  return version->metadata.properties;
}

Result<std::string> Table::metadata_json() const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  DS_ASSIGN_OR_RETURN(Bytes file, impl_->store->Get(version->key));
  return iceberg::UnpackMetadata(std::move(file), fmt::format("{}/{}", location(), version->key));
}

Result<std::optional<Snapshot>> Table::current_snapshot() const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  const Snapshot* current = version->metadata.current_snapshot();
  return current == nullptr ? std::nullopt : std::optional(*current);
}

Result<std::optional<Snapshot>> Table::snapshot_by_id(int64_t snapshot_id) const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  return catalog::FindSnapshotById(*impl_->store, version->metadata, snapshot_id);
}

Result<std::optional<Snapshot>> Table::snapshot_as_of(int64_t timestamp_ms) const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  return catalog::FindSnapshotAsOf(*impl_->store, version->metadata, timestamp_ms);
}

Result<std::vector<Snapshot>> Table::snapshots(SnapshotListOptions options) const {
  if (options.limit && *options.limit < 0) {
    return InvalidArgument("limit is {}; expected 0 or more snapshots, or none for all", *options.limit);
  }
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  if (options.limit) return catalog::NewestSnapshots(*impl_->store, version->metadata, *options.limit);
  std::vector<Snapshot> snapshots;
  DS_RETURN_IF_ERROR(catalog::ForEachSnapshot(*impl_->store, version->metadata, [&](const Snapshot& snapshot) {
    snapshots.push_back(snapshot);
    return Result<bool>(true);
  }));
  return snapshots;
}

Result<int64_t> Table::snapshot_count() const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  DS_ASSIGN_OR_RETURN(const iceberg::HistoryRoot archive, iceberg::HistoryOf(version->metadata));
  return static_cast<int64_t>(version->metadata.snapshots.size()) + archive.count();
}

Status Table::ForEachSnapshot(const std::function<Result<bool>(const Snapshot&)>& visit) const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  return catalog::ForEachSnapshot(*impl_->store, version->metadata, visit);
}

Result<int64_t> Table::row_count(std::optional<int64_t> snapshot_id) const {
  return impl_->OnNewest<int64_t>([&](const catalog::VersionPtr& version) -> Result<int64_t> {
    DS_ASSIGN_OR_RETURN(const std::optional<Snapshot> snapshot, impl_->FindSnapshot(version, snapshot_id));
    if (!snapshot) return 0;
    DS_ASSIGN_OR_RETURN(const std::vector<ManifestFile> manifests, impl_->DataManifests(version, *snapshot));
    int64_t rows = 0;
    for (const ManifestFile& manifest : manifests) rows += manifest.added_rows_count + manifest.existing_rows_count;
    return rows;
  });
}

Result<ArrowStream> Table::Scan(ScanOptions options) const { return impl_->Scan(options); }

Result<std::optional<CommittedSnapshot>> Table::Append(ArrowStream rows, const std::optional<Schema>& schema,
                                                       const Interrupted& interrupted) {
  return impl_->Append(std::move(rows), schema, interrupted);
}

Result<std::optional<Schema>> Table::schema_for_append() const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->KnownWithSchema());
  if (commit::IsSchemaless(version->metadata)) return std::optional<Schema>();
  return std::optional(version->metadata.current_schema());
}

std::map<std::string, double> Table::metrics() const { return impl_->ReadMetrics(); }

std::unique_ptr<Transaction> Table::NewTransaction() { return std::make_unique<Transaction>(impl_); }

Result<std::vector<ManifestFile>> Table::ReadManifestList(std::string_view path) const {
  DS_ASSIGN_OR_RETURN(const std::string key, impl_->KeyOfUserPath(path));
  DS_ASSIGN_OR_RETURN(const Bytes body, impl_->store->Get(key));
  return iceberg::DecodeManifestList(body, key);
}

Result<std::vector<ManifestEntry>> Table::ReadManifest(std::string_view path) const {
  DS_ASSIGN_OR_RETURN(const std::string key, impl_->KeyOfUserPath(path));
  DS_ASSIGN_OR_RETURN(const Bytes body, impl_->store->Get(key));
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  const iceberg::TableMetadata& metadata = version->metadata;
  const iceberg::PartitionSpec* spec = metadata.FindSpec(metadata.default_spec_id);
  DS_ASSIGN_OR_RETURN(iceberg::DecodedManifest decoded,
                      iceberg::DecodeManifest(body, metadata.current_schema(), *spec, key));
  std::erase_if(decoded.entries, [](const ManifestEntry& entry) { return entry.status == EntryStatus::kDeleted; });
  return std::move(decoded.entries);
}

Result<std::string> Table::RelativePath(std::string_view uri) const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  return catalog::KeyOf(*impl_->store, version->metadata.location, uri);
}

Result<bool> Table::FileExists(std::string_view path) const {
  DS_ASSIGN_OR_RETURN(const std::string key, impl_->KeyOfUserPath(path));
  const Result<ObjectInfo> info = impl_->store->Head(key);
  if (!info.ok() && info.kind() != ErrorKind::kNotFound) return info.error();
  return info.ok();
}

}  // namespace datashard
