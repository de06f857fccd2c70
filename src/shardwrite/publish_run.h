// The results of all attempts of a run become a generation: winners are chosen, the manifest is stored, the pointer moved, losers removed.
#pragma once

#include <string>
#include <vector>

#include "base/outside.h"
#include "datashard/sharded_manifest.h"
#include "generation/run_heartbeat.h"
#include "generation/snapshot_place.h"
#include "shardwrite/write_events.h"

namespace datashard::shardwrite {

/// In messages about results that are no shards of the snapshot.
inline constexpr std::string_view kCoveragePrefix = "shard coverage: ";

struct Winners {
  std::vector<ShardMeta> shards;          ///< ascending by db_id; those without pairs are not among them
  std::vector<std::string> losing_urls;  ///< of attempts that are not, each once
};
/// Of the attempts at one shard the least by (attempt, task attempt, URL) wins. Errors: kInvalidArgument with kCoveragePrefix: a shard that the snapshot
/// has not.
Result<Winners> SelectWinners(std::vector<ShardMeta> attempts, int32_t num_dbs);

struct PublishParts {
  generation::SnapshotPlace& place;
  ManifestStore& manifests;
  bool manifests_in_place = true;  ///< is a manifest an object below the place, which may be removed?
  const CurrentGuard& guard;       ///< may be empty
  generation::RunHeartbeat* record = nullptr;
  Outside outside;
  WriteEvents& events;
};

struct PublishedRun {
  std::string manifest_ref;
  std::vector<ShardMeta> winners;
};

/// `manifest`: all but its shards. Errors: nothing was published, and attempts and manifest are removed with the place's credentials, except
/// kCommitUnknown, and what the guard answers: the manifest stays listed and is not current. What cannot be removed for certain stays, with a warning.
Result<PublishedRun> PublishRun(ShardedManifest manifest, std::vector<ShardMeta> attempts, const PublishParts& parts);

/// Removes what lies below each URL; what cannot be removed is told in the log. For attempts that no manifest names.
void RemoveAttempts(generation::SnapshotPlace& place, const std::vector<std::string>& urls, Log& log, WriteEvents& events);

}  // namespace datashard::shardwrite
