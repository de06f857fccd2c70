#include "shardread/read_manifest.h"

#include <utility>
#include <vector>

#include "base/error.h"

namespace datashard::shardread {
namespace {

bool IsDamage(const Error& error) { return error.kind() == ErrorKind::kCorruption || error.kind() == ErrorKind::kNotFound; }

Result<FirstGeneration> ReadOlder(ManifestStore& manifests, const FirstGenerationOptions& options, SkippedManifest current, const MakeGeneration& make) {
  DS_ASSIGN_OR_RETURN(const std::vector<ManifestRef> listed, manifests.ListManifests(int64_t{options.max_fallback_attempts} + 1));
  std::vector<SkippedManifest> skipped = {std::move(current)};
  for (const ManifestRef& ref : listed) {
    if (ref.ref == skipped[0].ref) continue;
    if (skipped.size() > static_cast<size_t>(options.max_fallback_attempts)) break;
    auto older = ReadGeneration(manifests, ref, make);
    if (older.ok()) return FirstGeneration{*std::move(older), std::move(skipped)};
    if (!IsDamage(older.error())) return std::move(older).error();
    skipped.push_back({ref.ref, older.error().message()});
  }
  return Corruption("{}: the current manifest cannot be read ({}), nor can the {} older ones that were tried; publish the snapshot again, or make an intact "
                    "manifest current",
                    options.prefix, skipped[0].problem, skipped.size() - 1);
}

}  // namespace

Result<std::shared_ptr<const Generation>> ReadGeneration(ManifestStore& manifests, const ManifestRef& ref, const MakeGeneration& make) {
  DS_ASSIGN_OR_RETURN(ShardedManifest manifest, manifests.LoadManifest(ref.ref));
  return make(ref, std::move(manifest));
}

Result<FirstGeneration> ReadFirstGeneration(ManifestStore& manifests, const FirstGenerationOptions& options, const MakeGeneration& make) {
  FirstGeneration first;
  if (options.pinned_ref) {
    DS_ASSIGN_OR_RETURN(ShardedManifest manifest, manifests.LoadManifest(*options.pinned_ref));
    const ManifestRef ref{.ref = *options.pinned_ref, .run_id = manifest.build.run_id, .published_at = manifest.build.created_at};
    DS_ASSIGN_OR_RETURN(first.generation, make(ref, std::move(manifest)));
    return first;
  }
  DS_ASSIGN_OR_RETURN(const std::optional<ManifestRef> current, manifests.LoadCurrent());
  if (!current) return NotFound("nothing was published below {}; write a snapshot there first", options.prefix);
  auto newest = ReadGeneration(manifests, *current, make);
  if (!newest.ok() && IsDamage(newest.error()) && options.max_fallback_attempts > 0) {
    return ReadOlder(manifests, options, {current->ref, newest.error().message()}, make);
  }
  DS_ASSIGN_OR_RETURN(first.generation, std::move(newest));
  return first;
}

}  // namespace datashard::shardread
