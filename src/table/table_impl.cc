#include "table/table_impl.h"

#include <atomic>

#include "base/error.h"
#include "base/uri.h"
#include "catalog/history.h"
#include "catalog/table_files.h"
#include "commit/append_files.h"
#include "commit/small_files.h"

namespace datashard {
namespace {

constexpr size_t kCachedFilesMax = 200'000;
// As many as there are idle connections kept. Fifty small files then come in one round trip; each has a thread that waits.
constexpr int32_t kRequestsMax = 64;

Error SchemaDiffers(std::string_view where, const Schema& table, const Schema& given) {
  std::string difference = fmt::format("the table has {} fields, {} were given", table.fields.size(), given.fields.size());
  for (size_t i = 0; i < std::min(table.fields.size(), given.fields.size()); ++i) {
    const Field& a = table.fields[i];
    const Field& b = given.fields[i];
    if (a.id == b.id && a.name == b.name && a.type == b.type && a.required == b.required) continue;
    const auto text = [](const Field& field) {
      return fmt::format("{}: {} {}{}", field.id, field.name, field.type.ToString(), field.required ? " required" : "");
    };
    difference = fmt::format("field {} of the table is '{}', given was '{}'", i + 1, text(a), text(b));
    break;
  }
  return AlreadyExists("the table at {} exists with another schema: {}. Open it without a schema, or create the new one "
                       "at another path",
                       where, difference)
      .About(ErrorSubject::kSchema);
}

}  // namespace

ManifestCache::Entries ManifestCache::Find(const std::string& path) const {
  const auto cached = cached_.Lock();
  const auto found = cached->by_path.find(path);
  return found == cached->by_path.end() ? nullptr : found->second;
}

void ManifestCache::Add(const std::string& path, Entries entries) {
  const auto cached = cached_.Lock();
  if (cached->files + entries->size() > kCachedFilesMax) *cached = {};
  const size_t count = entries->size();
  if (cached->by_path.emplace(path, std::move(entries)).second) cached->files += count;
}

std::optional<std::vector<ManifestFile>> ManifestCache::FindList(const std::string& path) const {
  const auto cached = cached_.Lock();
  return cached->list_path == path ? std::optional(cached->list) : std::nullopt;
}

void ManifestCache::AddList(const std::string& path, std::vector<ManifestFile> manifests) {
  const auto cached = cached_.Lock();
  cached->list_path = path;
  cached->list = std::move(manifests);
}

TableImpl::TableImpl(std::string path, std::shared_ptr<ObjectStore> store,
                     std::unique_ptr<TableSurroundings> surroundings, Outside outside, catalog::VersionLimits limits)
    : path(std::move(path)),
      store(std::move(store)),
      surroundings_(std::move(surroundings)),
      outside(outside),
      catalog(this->store, outside, limits),
      committer(this->store, catalog, outside) {
  if (surroundings_ == nullptr) return;
  const auto make_merger = [this](Metrics& metrics) {
    const catalog::VersionPtr known = Known();
    return std::make_unique<SmallFileMerger>(this->store, Outside{this->outside.clock, this->outside.random, metrics, this->outside.log},
                                             known == nullptr ? commit::OpenRing() : RingOpener(known->metadata), commit::MergeLimits{},
                                             requests_max());
  };
  merges_ = std::make_unique<BackgroundMerges>(make_merger, outside.log);
}

Status TableImpl::Open() {
  DS_ASSIGN_OR_RETURN(catalog::VersionPtr version, catalog.Load());
  const Result<std::string> written_at = PathOfUri(version->metadata.location);
  const Result<std::string> found_at = PathOfUri(store->root_uri());
  if (found_at.ok() && (!written_at.ok() || *written_at != *found_at)) {
    outside.log.Write(LogLevel::kWarning,
                      fmt::format("the table at {} says it lies at {}: it was moved. It is read and written here; other "
                                  "engines will not find its files",
                                  store->root_uri(), version->metadata.location));
  }
  table_uuid_ = version->metadata.table_uuid;
  Remember(version);
  return {};
}

Status TableImpl::Create(CreateOptions options) {
  Status opened = Open();
  if (!opened.ok()) {
    if (opened.kind() != ErrorKind::kNotFound) return opened;
    iceberg::TableMetadata first =
        commit::FirstVersion(RandomUuid(outside.random), store->root_uri(), options.schema, options.properties,
                             outside.clock.Now());
    DS_RETURN_IF_ERROR(commit::SettingsOf(first));
    const std::unique_ptr<WriteGroup> group = store->NewWriteGroup();
    DS_ASSIGN_OR_RETURN(const auto prepared, catalog.Prepare(1, std::move(first), *group));
    DS_RETURN_IF_ERROR(group->Sync());
    DS_ASSIGN_OR_RETURN(const catalog::Published published, catalog.Publish(prepared, /*base=*/nullptr));
    if (published == catalog::Published::kWon) {
      catalog.AdvanceHint(1);
      table_uuid_ = prepared.version->metadata.table_uuid;
      Remember(prepared.version);
      created = true;
      return {};
    }
    DS_RETURN_IF_ERROR(Open());  // somebody else made it at the same moment
  }
  if (!options.open_existing) {
    return AlreadyExists("a table exists at {}; open it, or create the new one at another path", store->root_uri())
        .About(ErrorSubject::kTable);
  }
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, Current());
  if (options.schema && !SameFields(version->metadata.current_schema(), *options.schema)) {
    return SchemaDiffers(store->root_uri(), version->metadata.current_schema(), *options.schema);
  }
  return {};
}

catalog::VersionPtr TableImpl::Known() {
  catalog::VersionPtr committed;
  if (const auto group = group_.Lock(); *group != nullptr) committed = (*group)->newest();
  if (committed != nullptr) Remember(committed);
  return *current_.Lock();
}

Result<catalog::VersionPtr> TableImpl::Current() {
  const catalog::VersionPtr known = Known();
  if (known != nullptr) {
    DS_ASSIGN_OR_RETURN(catalog::VersionPtr newest, catalog.Refresh(known));
    if (newest != known) Remember(newest);
    return newest;
  }
  DS_ASSIGN_OR_RETURN(catalog::VersionPtr newest, catalog.Load());
  DS_RETURN_IF_ERROR(catalog.CheckSameTable(table_uuid_, *newest));
  Remember(newest);
  return newest;
}

void TableImpl::Remember(const catalog::VersionPtr& version) {
  const auto current = current_.Lock();
  if (*current == nullptr || version->number > (*current)->number) *current = version;
}

std::map<std::string, double> TableImpl::ReadMetrics() const {
  std::map<std::string, double> sums;
  if (surroundings_ == nullptr) return sums;
  for (const auto& [name, sum] : surroundings_->metrics.Read()) sums[name] = sum;
  merges_->AddMetrics(sums);
  return sums;
}

Result<std::optional<Snapshot>> TableImpl::FindSnapshot(const catalog::VersionPtr& version,
                                                        std::optional<int64_t> snapshot_id) const {
  if (!snapshot_id) {
    const Snapshot* current = version->metadata.current_snapshot();
    return current == nullptr ? std::nullopt : std::optional(*current);
  }
  DS_ASSIGN_OR_RETURN(std::optional<Snapshot> found, catalog::FindSnapshotById(*store, version->metadata, *snapshot_id));
  if (found) return found;
  return InvalidArgument("the table at {} has no snapshot {}; snapshots() lists those it has", store->root_uri(),
                         *snapshot_id)
      .About(ErrorSubject::kSnapshot);
}

Error TableImpl::Distrusted(Error error, const catalog::VersionPtr& version, std::string_view path) {
  const Result<std::string> key = catalog::KeyOf(*store, version->metadata.location, path);
  if (error.kind() == ErrorKind::kCorruption && key.ok()) store->Forget(*key);
  return error;
}

int32_t TableImpl::requests_max() const { return surroundings_ != nullptr && store->is_remote() ? kRequestsMax : 1; }

Result<std::vector<ManifestFile>> TableImpl::DataManifests(const catalog::VersionPtr& version, const Snapshot& snapshot) {
  // Where it takes a request, an unchanged list is not read again.
  if (store->is_remote()) {
    if (auto known = manifests_.FindList(snapshot.manifest_list)) return *std::move(known);
  }
  Result<std::vector<ManifestFile>> read = catalog::ReadManifestListOf(*store, version->metadata, snapshot);
  if (!read.ok()) return Distrusted(std::move(read).error(), version, snapshot.manifest_list);
  std::vector<ManifestFile> manifests = *std::move(read);
  for (const ManifestFile& manifest : manifests) {
    if (manifest.content == ManifestContent::kDeletes && manifest.added_files_count + manifest.existing_files_count > 0) {
      return Unsupported("snapshot {} of {} has row-level delete files, which cannot be applied here yet; read the table "
                         "with another engine, or compact its deletes away there",
                         snapshot.snapshot_id, store->root_uri());
    }
  }
  // Nor is there a row in those that only say what is gone.
  std::erase_if(manifests, [](const ManifestFile& manifest) {
    return manifest.content == ManifestContent::kDeletes || commit::LiveFiles(manifest) == 0;
  });
  if (store->is_remote()) manifests_.AddList(snapshot.manifest_list, manifests);
  return manifests;
}

Result<std::vector<ManifestCache::Entries>> TableImpl::EntriesOf(const catalog::VersionPtr& version,
                                                                 std::span<const ManifestFile> manifests) {
  std::vector<ManifestCache::Entries> entries;
  std::vector<size_t> unknown;
  for (const ManifestFile& manifest : manifests) {
    entries.push_back(manifests_.Find(manifest.manifest_path));
    if (entries.back() == nullptr) unknown.push_back(entries.size() - 1);
  }
  std::vector<std::optional<Error>> errors(unknown.size());
  std::atomic<bool> failed = false;
  RunAll(unknown.size(), static_cast<size_t>(requests_max()), [&](size_t i) {
    if (failed) return;
    const ManifestFile& manifest = manifests[unknown[i]];
    Result<std::vector<ManifestEntry>> read = catalog::ReadManifestOf(*store, version->metadata, manifest);
    if (read.ok()) {
      entries[unknown[i]] = std::make_shared<const std::vector<ManifestEntry>>(*std::move(read));
      manifests_.Add(manifest.manifest_path, entries[unknown[i]]);
    } else {
      errors[i] = Distrusted(std::move(read).error(), version, manifest.manifest_path);
      failed = true;
    }
  });
  for (std::optional<Error>& error : errors) {
    if (error) return *std::move(error);
  }
  return entries;
}

Status TableImpl::ForEachDataFile(const catalog::VersionPtr& version, const Snapshot& snapshot,
                                  const std::function<Status(const DataFile&)>& visit) {
  DS_ASSIGN_OR_RETURN(const std::vector<ManifestFile> manifests, DataManifests(version, snapshot));
  DS_ASSIGN_OR_RETURN(const std::vector<ManifestCache::Entries> entries, EntriesOf(version, manifests));
  for (size_t i = 0; i < manifests.size(); ++i) {
    for (const ManifestEntry& entry : *entries[i]) {
      if (entry.data_file.content != FileContent::kData) {
        return Corruption("manifest {} holds data, but its entry {} is a delete file", manifests[i].manifest_path,
                          entry.data_file.file_path)
            .About(ErrorSubject::kMetadata);
      }
      DS_RETURN_IF_ERROR(visit(entry.data_file));
    }
  }
  return {};
}

Result<std::string> TableImpl::KeyOfUserPath(std::string_view user_path) {
  if (!user_path.starts_with('/') && user_path.find(':') == std::string_view::npos) {
    DS_RETURN_IF_ERROR(CheckKey(user_path));
    return std::string(user_path);
  }
  // The table's path as the user gave it may lead through symbolic links that its URI does not show.
  if (path.starts_with('/') && user_path.starts_with('/')) {
    Result<std::string> key = KeyBelow(path, user_path);
    if (key.ok()) return key;
  }
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, Current());
  return catalog::KeyOf(*store, version->metadata.location, user_path);
}

}  // namespace datashard
