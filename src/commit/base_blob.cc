#include "commit/base_blob.h"

#include <cstring>

#include "base/error.h"
#include "iceberg/manifest.h"

namespace datashard::commit {
namespace {

constexpr std::string_view kObject = "the base another process left in the ring";

struct Start {
  uint64_t metadata_bytes = 0;
  int64_t seen_us = 0;  // Version::seen_us: the processes of a host share the clock
};

}  // namespace

Bytes EncodeBase(const Committed& committed) {
  const Start start{.metadata_bytes = committed.metadata_body.size(), .seen_us = committed.version->seen_us};
  Bytes blob(sizeof start, '\0');
  std::memcpy(blob.data(), &start, sizeof start);
  blob.reserve(blob.size() + start.metadata_bytes + committed.list_body.size());
  return blob.append(committed.metadata_body).append(committed.list_body);
}

ByteView MetadataOf(ByteView blob) {
  Start start;
  std::memcpy(&start, blob.data(), sizeof start);
  return blob.substr(sizeof start, start.metadata_bytes);
}

Result<DecodedBase> DecodeBase(int64_t number, ByteView blob) {
  Start start;
  if (blob.size() < sizeof start) return Corruption("{}: {} bytes are too few", kObject, blob.size());
  std::memcpy(&start, blob.data(), sizeof start);
  blob.remove_prefix(sizeof start);
  if (start.metadata_bytes > blob.size()) return Corruption("{}: it is cut off", kObject);
  DecodedBase base;
  auto version = std::make_shared<catalog::Version>();
  version->number = number;
  version->key = catalog::VersionKey(number);
  version->seen_us = start.seen_us;
  DS_ASSIGN_OR_RETURN(version->metadata, iceberg::DecodeTableMetadata(blob.substr(0, start.metadata_bytes), kObject));
  blob.remove_prefix(start.metadata_bytes);
  if (blob.empty() && version->metadata.current_snapshot() != nullptr) return Corruption("{}: no manifest list", kObject);
  if (!blob.empty()) {
    DS_ASSIGN_OR_RETURN(base.manifests, iceberg::DecodeManifestList(blob, kObject));
  }
  base.version = std::move(version);
  return base;
}

}  // namespace datashard::commit
