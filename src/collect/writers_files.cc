#include "collect/writers_files.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/uri.h"
#include "catalog/table_files.h"
#include "commit/lease.h"
#include "iceberg/json_reader.h"

namespace datashard::collect {
namespace {

constexpr int64_t kMarkerBytesMax = 1 << 20;
// Stores may stamp in whole seconds.
constexpr std::chrono::microseconds kStampError = std::chrono::seconds(2);

/// The file that a marker of the released package names. Errors: it says something else.
Result<std::string> FileOf(const ObjectStore& store, const std::string& location, ByteView body, std::string_view object) {
  DS_ASSIGN_OR_RETURN(const auto document, iceberg::JsonDocument::Parse(body, object, kMarkerBytesMax));
  DS_ASSIGN_OR_RETURN(iceberg::JsonObject members, iceberg::JsonObject::Of(document.root()));
  DS_ASSIGN_OR_RETURN(std::string path, members.String("file_path"));
  for (const std::string_view prefix : {"/data/", "/metadata/"}) {
    if (path.starts_with(prefix)) path.erase(0, 1);  // relative to the table, as that package writes it
  }
  if (!path.starts_with('/') && path.find(':') == std::string::npos) {
    DS_RETURN_IF_ERROR(CheckKey(path));
    return path;
  }
  return catalog::KeyOf(store, location, path);
}

}  // namespace

Result<WritersFiles> WritersFiles::Read(ObjectStore& store, const std::string& location, Instant now) {
  WritersFiles files;
  DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> markers, store.List(commit::kInflightPrefix));
  for (const ObjectInfo& marker : markers) {
    if (now - marker.modified > commit::kLeaseTime) continue;
    DS_RETURN_IF_ERROR(files.ReadMarker(store, location, marker));
  }
  return files;
}

Status WritersFiles::ReadMarker(ObjectStore& store, const std::string& location, const ObjectInfo& marker) {
  const Result<Bytes> body = store.Get(marker.key);
  if (!body.ok()) {
    if (body.kind() == ErrorKind::kNotFound) return {};  // its writer is done: what it has named is in the newest version
    return body.error();
  }
  if (commit::IsLeaseKey(marker.key)) {
    const Result<Instant> since = commit::ReadLease(*body, marker.key);
    // One that cannot be read may be of any age.
    HoldSince(since.ok() ? *since : Instant::min() + kStampError);
    return {};
  }
  Result<std::string> key = FileOf(store, location, *body, marker.key);
  if (key.ok()) {
    keys_.insert(*std::move(key));
  } else {
    HoldSince(marker.modified);
  }
  return {};
}

void WritersFiles::HoldSince(Instant instant) {
  instant -= kStampError;
  since_ = since_ ? std::min(*since_, instant) : instant;
}

bool WritersFiles::Hold(const ObjectInfo& file) const {
  return (since_ && file.modified >= *since_) || keys_.contains(file.key);
}

}  // namespace datashard::collect
