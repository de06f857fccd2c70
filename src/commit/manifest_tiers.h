// Keeps manifest lists short: small manifests at the end of a list become one, again and again, as the digits of a number
// carry. Source: docs/design/0004-flat-history.md.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "commit/change.h"
#include "datashard/manifest.h"
#include "datashard/result.h"
#include "iceberg/metadata.h"

namespace datashard::commit {

/// Manifests that are merged at once, at least; also the base of the tiers.
inline constexpr int64_t kTierFanOut = 8;
/// A merge in the commit path names at most this many files.
inline constexpr int64_t kMergedFilesMax = 8192;

/// Where manifests and lists of a version lie: a directory of a million names would slow every commit down.
std::string ManifestDirectory(int64_t version);

/// Of the commit that merges. Merged manifests are of its first snapshot.
struct MergeContext {
  std::string directory;
  std::string root_uri;
  std::string name;  // new in every attempt
  int64_t snapshot_id = 0;
  int64_t sequence_number = 0;
};

/// Merges the end of `manifests`: with the tier of a manifest = the digits of its live files to base 8, the manifests of
/// tier t and below at the end become one as soon as they are eight and hold 8^(t+1) files, so that each file is written
/// once per tier. Only data manifests of one partition spec; entries keep their order, their snapshot and their sequence
/// numbers; deleted ones are dropped. What cannot be written anew (kUnsupported) is left as it is.
/// \return the new manifests, bound to the base. Errors: those of `read`.
Result<std::vector<NewFile>> MergeManifests(const iceberg::TableMetadata& metadata, std::vector<ManifestFile>& manifests,
                                            const MergeContext& context, const ReadEntries& read);

}  // namespace datashard::commit
