#include "commit/base_blob.h"

#include <cstring>

#include "base/error.h"
#include "iceberg/manifest.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kObject = "the base another process left in the ring";

}  // namespace

Bytes EncodeBase(const Committed& committed) {
  const uint64_t metadata_bytes = committed.metadata_body.size();
  Bytes blob(sizeof metadata_bytes, '\0');
  std::memcpy(blob.data(), &metadata_bytes, sizeof metadata_bytes);
  blob.reserve(blob.size() + metadata_bytes + committed.list_body.size());
  return blob.append(committed.metadata_body).append(committed.list_body);
}

ByteView MetadataOf(ByteView blob) {
  uint64_t metadata_bytes = 0;
  std::memcpy(&metadata_bytes, blob.data(), sizeof metadata_bytes);
  return blob.substr(sizeof metadata_bytes, metadata_bytes);
}

Result<DecodedBase> DecodeBase(int64_t number, ByteView blob) {
  uint64_t metadata_bytes = 0;
  if (blob.size() < sizeof metadata_bytes) return Corruption("{}: {} bytes are too few", kObject, blob.size());
  std::memcpy(&metadata_bytes, blob.data(), sizeof metadata_bytes);
  blob.remove_prefix(sizeof metadata_bytes);
  if (metadata_bytes > blob.size()) return Corruption("{}: it is cut off", kObject);
  DecodedBase base;
  auto version = std::make_shared<catalog::Version>();
  version->number = number;
  version->key = catalog::VersionKey(number);
  DS_ASSIGN_OR_RETURN(version->metadata, iceberg::DecodeTableMetadata(blob.substr(0, metadata_bytes), kObject));
  blob.remove_prefix(metadata_bytes);
  if (blob.empty() && version->metadata.current_snapshot() != nullptr) return Corruption("{}: no manifest list", kObject);
  if (!blob.empty()) {
    DS_ASSIGN_OR_RETURN(base.manifests, iceberg::DecodeManifestList(blob, kObject));
  }
  base.version = std::move(version);
  return base;
}

}  // namespace datashard::commit
