#include "shardread/read_manifest.h"

#include <utility>
#include <vector>

#include "base/error.h"

namespace datashard::shardread {
namespace {

bool IsDamage(const Error& error) { return error.kind() == ErrorKind::kCorruption || error.kind() == ErrorKind::kNotFound; }

Result<std::shared_ptr<const Generation>> ReadOlder(ManifestStore& manifests, const FirstGenerationOptions& options, const std::string& current,
                                                    const Error& reason, const MakeGeneration& make) {
  DS_ASSIGN_OR_RETURN(const std::vector<ManifestRef> listed, manifests.ListManifests(int64_t{options.max_fallback_attempts} + 1));
  int attempts = 0;
  for (const ManifestRef& ref : listed) {
    if (ref.ref == current) continue;
    if (attempts++ == options.max_fallback_attempts) break;
    auto older = ReadGeneration(manifests, ref, make);
    if (older.ok() || !IsDamage(older.error())) return older;
  }
  return Corruption("{}: the current manifest cannot be read ({}), nor can the {} older ones that were tried; publish the snapshot again, or make an intact "
                    "manifest current",
                    options.prefix, reason.message(), attempts);
}

}  // namespace

Result<std::shared_ptr<const Generation>> ReadGeneration(ManifestStore& manifests, const ManifestRef& ref, const MakeGeneration& make) {
  DS_ASSIGN_OR_RETURN(ShardedManifest manifest, manifests.LoadManifest(ref.ref));
  return make(ref, std::move(manifest));
}

Result<std::shared_ptr<const Generation>> ReadFirstGeneration(ManifestStore& manifests, const FirstGenerationOptions& options,
                                                              const MakeGeneration& make) {
  if (options.pinned_ref) {
    DS_ASSIGN_OR_RETURN(ShardedManifest manifest, manifests.LoadManifest(*options.pinned_ref));
    const ManifestRef ref{.ref = *options.pinned_ref, .run_id = manifest.build.run_id, .published_at = manifest.build.created_at};
    return make(ref, std::move(manifest));
  }
  DS_ASSIGN_OR_RETURN(const std::optional<ManifestRef> current, manifests.LoadCurrent());
  if (!current) return NotFound("nothing was published below {}; write a snapshot there first", options.prefix);
  auto newest = ReadGeneration(manifests, *current, make);
  if (newest.ok() || !IsDamage(newest.error()) || options.max_fallback_attempts == 0) return newest;
  return ReadOlder(manifests, options, current->ref, newest.error(), make);
}

}  // namespace datashard::shardread
