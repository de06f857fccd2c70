// The newest version as a leader leaves it in the ring for the next one: metadata and manifest list as they lie in storage,
// so that the next leader reads neither, and when it was published.
#pragma once

#include <memory>
#include <vector>

#include "base/bytes.h"
#include "catalog/directory_catalog.h"
#include "commit/committer.h"
#include "datashard/manifest.h"

namespace datashard::commit {

Bytes EncodeBase(const Committed& committed);

struct DecodedBase {
  std::shared_ptr<catalog::Version> version;  // nobody else has it yet
  std::vector<ManifestFile> manifests;  // of its current snapshot
};
/// Errors: kCorruption, kUnsupported: go to storage instead.
Result<DecodedBase> DecodeBase(int64_t number, ByteView blob);

/// The metadata in a blob that DecodeBase has accepted.
ByteView MetadataOf(ByteView blob);

}  // namespace datashard::commit
