// What other engines are told so that they read a table's files by themselves.
#include "base/error.h"
#include "base/uri.h"
#include "catalog/table_files.h"
#include "datashard/table.h"
#include "s3/duckdb_secret.h"
#include "table/table_impl.h"

namespace datashard {
namespace {

/// The root as other programs open it: a path, for they disagree about file:// URIs, or the s3:// URI.
std::string RootOf(const ObjectStore& store) {
  Result<std::string> directory = PathOfUri(store.root_uri());
  return directory.ok() ? std::move(directory).value() : store.root_uri();
}

}  // namespace

Result<std::vector<std::string>> Table::DataFilePaths(std::optional<int64_t> snapshot_id) const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  DS_ASSIGN_OR_RETURN(const std::optional<Snapshot> snapshot, impl_->FindSnapshot(version, snapshot_id));
  std::vector<std::string> paths;
  if (!snapshot) return paths;
  const std::string root = RootOf(*impl_->store);
  DS_RETURN_IF_ERROR(impl_->ForEachDataFile(version, *snapshot, [&](const DataFile& file) -> Status {
    DS_ASSIGN_OR_RETURN(const std::string key, catalog::KeyOf(*impl_->store, version->metadata.location, file.file_path));
    paths.push_back(fmt::format("{}/{}", root, key));
    return {};
  }));
  return paths;
}

Result<std::string> Table::MetadataPath() const {
  DS_ASSIGN_OR_RETURN(const catalog::VersionPtr version, impl_->Current());
  return fmt::format("{}/{}", RootOf(*impl_->store), version->key);
}

Result<std::string> Table::DuckDbSecretSql(std::string_view name) const {
  if (!impl_->bucket) {
    return InvalidArgument("the table at {} lies in a directory, where DuckDB needs no secret: read_parquet() takes its paths as they are",
                           location());
  }
  return s3::DuckDbSecret(*impl_->bucket, name);
}

}  // namespace datashard
