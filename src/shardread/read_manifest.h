// Which generation a reader begins with: the current one, a pinned one, or, where that is damaged or missing, an older one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shardread/generation.h"

namespace datashard::shardread {

/// Makes a Generation of a manifest that was read.
using MakeGeneration = std::function<Result<std::shared_ptr<const Generation>>(ManifestRef ref, ShardedManifest manifest)>;

/// Errors: of LoadManifest and of `make`.
Result<std::shared_ptr<const Generation>> ReadGeneration(ManifestStore& manifests, const ManifestRef& ref, const MakeGeneration& make);

struct FirstGenerationOptions {
  std::string prefix;  ///< for messages
  std::optional<std::string> pinned_ref;
  int max_fallback_attempts = 0;
};
struct FirstGeneration {
  std::shared_ptr<const Generation> generation;
  std::vector<SkippedManifest> skipped;  ///< before it
};
/// Errors: kNotFound: nothing was published, or the only manifest asked for is missing; kCorruption: no manifest that can be read;
/// those of the store.
Result<FirstGeneration> ReadFirstGeneration(ManifestStore& manifests, const FirstGenerationOptions& options, const MakeGeneration& make);

}  // namespace datashard::shardread
