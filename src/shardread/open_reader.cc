// ShardedReader::Open: the reader of this process, with its clock and its environment.
#include "base/environment.h"
#include "shardread/reader.h"

namespace datashard {

Result<std::unique_ptr<ShardedReader>> ShardedReader::Open(ShardedReaderSettings settings, ManifestStore* manifests) {
  const Outside& outside = generation::ProcessOutside();
  DS_ASSIGN_OR_RETURN(auto place, generation::SnapshotPlace::Open(settings.prefix, settings.s3, ProcessEnvironment(), outside));
  std::shared_ptr<ManifestStore> used(std::shared_ptr<ManifestStore>(), manifests);  // borrowed
  if (manifests == nullptr) {
    DS_ASSIGN_OR_RETURN(used, OpenManifestStore(settings.prefix, settings.s3, "manifest", settings.current_key));
  }
  return shardread::OpenReader(std::move(settings), std::move(used), std::move(place), outside.clock);
}

}  // namespace datashard
