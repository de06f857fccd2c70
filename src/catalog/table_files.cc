#include "catalog/table_files.h"

#include "base/error.h"
#include "base/uri.h"
#include "iceberg/manifest.h"

namespace datashard::catalog {
namespace {

/// Reads what the metadata names. Missing is not "normal" here: it means the table is damaged.
Result<Bytes> GetNamed(ObjectStore& store, const std::string& key, std::string_view what) {
  Result<Bytes> body = store.Get(key);
  if (!body.ok() && body.kind() == ErrorKind::kNotFound) {
    return Corruption("the table is inconsistent: {} {}/{} is missing; restore the file, or read an earlier snapshot", what,
                      store.root_uri(), key)
        .About(ErrorSubject::kMetadata);
  }
  return body;
}

}  // namespace

Result<std::string> KeyOf(const ObjectStore& store, std::string_view location, std::string_view uri) {
  const std::string& root = store.root_uri();
  // Stores without paths compare URIs as they are; s3a: is Hadoop's name for s3:.
  if (!root.starts_with("file:")) {
    const bool hadoop = root.starts_with("s3:") && uri.starts_with("s3a:");
    return KeyBelow(root, hadoop ? fmt::format("s3:{}", uri.substr(4)) : std::string(uri));
  }
  DS_ASSIGN_OR_RETURN(const std::string path, PathOfUri(uri));
  DS_ASSIGN_OR_RETURN(const std::string root_path, PathOfUri(root));
  Result<std::string> key = KeyBelow(root_path, path);
  if (key.ok()) return key;
  const Result<std::string> old_root = PathOfUri(location);
  if (old_root.ok()) {
    Result<std::string> moved = KeyBelow(*old_root, path);
    if (moved.ok()) return moved;
  }
  return InvalidArgument("the table at {} names a file outside its root, '{}'; it is not followed", root, uri);
}

Result<std::vector<ManifestFile>> ReadManifestListOf(ObjectStore& store, const iceberg::TableMetadata& metadata,
                                                     const Snapshot& snapshot) {
  if (snapshot.manifest_list.empty()) {
    return Unsupported("snapshot {} of {} has no manifest list (format v1)", snapshot.snapshot_id, metadata.location);
  }
  DS_ASSIGN_OR_RETURN(const std::string key, KeyOf(store, metadata.location, snapshot.manifest_list));
  DS_ASSIGN_OR_RETURN(const Bytes body, GetNamed(store, key, "manifest list"));
  return iceberg::DecodeManifestList(body, fmt::format("{}/{}", store.root_uri(), key));
}

Result<std::vector<ManifestEntry>> ReadManifestOf(ObjectStore& store, const iceberg::TableMetadata& metadata,
                                                  const ManifestFile& manifest) {
  DS_ASSIGN_OR_RETURN(const std::string key, KeyOf(store, metadata.location, manifest.manifest_path));
  const std::string object = fmt::format("{}/{}", store.root_uri(), key);
  DS_ASSIGN_OR_RETURN(const Bytes body, GetNamed(store, key, "manifest"));
  if (manifest.manifest_length != static_cast<int64_t>(body.size())) {
    return Corruption("manifest {}: {} bytes, but its manifest list says {}", object, body.size(), manifest.manifest_length)
        .About(ErrorSubject::kMetadata);
  }
  const iceberg::PartitionSpec* spec = metadata.FindSpec(manifest.partition_spec_id);
  if (spec == nullptr) {
    return Corruption("manifest {}: partition spec {} is not in the table's metadata", object, manifest.partition_spec_id)
        .About(ErrorSubject::kMetadata);
  }
  DS_ASSIGN_OR_RETURN(iceberg::DecodedManifest decoded,
                      iceberg::DecodeManifest(body, metadata.current_schema(), *spec, object));
  DS_RETURN_IF_ERROR(iceberg::Inherit(manifest, decoded.entries));
  int64_t added = 0;
  int64_t existing = 0;
  std::erase_if(decoded.entries, [&](const ManifestEntry& entry) {
    added += entry.status == EntryStatus::kAdded;
    existing += entry.status == EntryStatus::kExisting;
    return entry.status == EntryStatus::kDeleted;
  });
  if (added != manifest.added_files_count || existing != manifest.existing_files_count) {
    return Corruption("manifest {}: {} added and {} existing files, but its manifest list says {} and {}", object, added,
                      existing, manifest.added_files_count, manifest.existing_files_count)
        .About(ErrorSubject::kMetadata);
  }
  return std::move(decoded.entries);
}

}  // namespace datashard::catalog
