#include "shardwrite/publish_run.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "generation/remove_attempt.h"
#include "generation/shard_path.h"

namespace datashard::shardwrite {
namespace {

constexpr int kPointerRetries = 3;
constexpr std::chrono::seconds kPointerBackoff{1};  // then twice as long, and twice that
constexpr std::chrono::seconds kCleanUpGrace{10};   // a caller who interrupts waits for the removal of what failed, and for a pointer's outcome
constexpr int64_t kManifestsLooked = 1'000;         // the newest; one request

std::vector<std::string> UrlsOf(const std::vector<ShardMeta>& attempts) {
  std::set<std::string> urls;
  for (const ShardMeta& attempt : attempts) {
    if (attempt.db_url) urls.insert(*attempt.db_url);
  }
  return {urls.begin(), urls.end()};
}

// After storing it failed: is there certainly no manifest of the run?
Status RemoveManifestsOf(const std::string& run_id, const PublishParts& parts) {
  DS_ASSIGN_OR_RETURN(const std::vector<ManifestRef> listed, parts.manifests.ListManifests(kManifestsLooked));
  for (const ManifestRef& manifest : listed) {
    if (manifest.run_id != run_id) continue;
    const std::optional<std::string> key = parts.manifests_in_place ? parts.place.KeyOf(manifest.ref) : std::nullopt;
    if (!key) return Unavailable("manifest {} is listed and cannot be removed from here", manifest.ref);
    DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, parts.place.ToWrite());
    DS_RETURN_IF_ERROR(store->Delete(*key));
  }
  return {};
}

// Shards go only once no manifest can lead to them.
void GiveUp(const std::string& run_id, const std::vector<ShardMeta>& attempts, const PublishParts& parts) {
  const InterruptScope grace({}, kCleanUpGrace);
  if (const Status gone = RemoveManifestsOf(run_id, parts); !gone.ok()) {
    parts.outside.log.Write(LogLevel::kWarning, fmt::format("run {} failed and its shards are kept, because of its manifest: {}; clean-up removes them",
                                                            run_id, gone.error().message()));
    return;
  }
  RemoveAttempts(parts.place, UrlsOf(attempts), parts.outside.log, parts.events);
}

// A process that was stopped for long may have been taken for dead, and its shards removed. Looked at once the manifest is stored: clean-up makes its
// mark and then looks for manifests, so that one of the two sees the other.
Status CheckIsStillThere(const ShardedManifest& manifest, const PublishParts& parts) {
  const std::string& run_id = manifest.build.run_id;
  DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, parts.place.ToRead());
  const std::string directory = generation::RunKeyPrefix(manifest.build.shard_prefix, run_id);
  const Result<std::vector<ObjectInfo>> objects = store->List(directory);
  if (!objects.ok() && objects.kind() == ErrorKind::kDenied) {
    parts.outside.log.Write(LogLevel::kWarning, fmt::format("run {} is published without a look at its shards: {}", run_id, objects.error().message()));
    return {};
  }
  if (!objects.ok()) return objects.error();
  std::map<std::string_view, int64_t> sizes;
  for (const ObjectInfo& object : *objects) sizes.emplace(object.key, object.size_bytes);
  const auto removed = [&](std::string_view what) {
    return Unavailable("run {} is not published: {}, so that clean-up has taken it for dead; write it again, and let no writer stop for as long as its lease",
                       run_id, what);
  };
  const std::string mark = generation::RemovalMarkKey(manifest.build.shard_prefix, run_id);
  if (sizes.contains(mark)) return removed(fmt::format("{}/{} is there", parts.place.url(), mark));
  for (const ShardMeta& shard : manifest.shards) {
    const std::string key = parts.place.KeyOf(*shard.db_url).value_or("");
    if (!key.starts_with(directory)) continue;
    for (const ShardObject& object : shard.objects) {
      const auto found = sizes.find(key + "/" + object.name);
      if (found == sizes.end()) return removed(fmt::format("{}/{} is gone", *shard.db_url, object.name));
      if (found->second != object.size_bytes) {
        return removed(fmt::format("{}/{} has {} bytes and had {}", *shard.db_url, object.name, found->second, object.size_bytes));
      }
    }
  }
  return {};
}

struct PointerMove {
  Status moved;
  bool refused = false;  // by the guard
};

PointerMove MovePointer(const std::string& ref, const PublishParts& parts) {
  PointerMove move;
  const CurrentGuard guard = [&](const std::optional<ManifestRef>& current) -> Status {
    Status allowed = parts.guard ? parts.guard(current) : Status();
    move.refused = !allowed.ok();
    return allowed;
  };
  std::chrono::microseconds backoff = kPointerBackoff;
  for (int retry = 0;; ++retry, backoff *= 2) {
    {
      const InterruptScope grace({}, kCleanUpGrace);
      move.moved = parts.manifests.SetCurrent(ref, parts.guard ? guard : CurrentGuard());
    }
    if (move.moved.ok() || move.refused || move.moved.kind() != ErrorKind::kUnavailable || retry == kPointerRetries) return move;
    const std::string problem = fmt::format("making {} current: {}; trying again", ref, move.moved.error().message());
    parts.outside.log.Write(LogLevel::kWarning, problem);
    parts.events.Emit("write.current_retried", {{"attempt", retry}}, problem);
    if (Status slept = SleepInterruptibly(parts.outside.clock, backoff); !slept.ok()) {
      move.moved = std::move(slept);
      return move;
    }
  }
}

}  // namespace

Result<Winners> SelectWinners(std::vector<ShardMeta> attempts, int32_t num_dbs) {
  const auto rank = [](const ShardMeta& attempt) {
    return std::tuple(attempt.db_id, attempt.attempt, attempt.writer_info.task_attempt_id.value_or(INT64_MAX), attempt.db_url.value_or(""));
  };
  std::sort(attempts.begin(), attempts.end(), [&](const ShardMeta& a, const ShardMeta& b) { return rank(a) < rank(b); });
  Winners winners;
  std::set<std::string> winning_urls;
  for (size_t i = 0; i < attempts.size(); ++i) {
    const ShardMeta& attempt = attempts[i];
    if (attempt.db_id < 0 || attempt.db_id >= num_dbs) {
      return InvalidArgument("{}a result for shard {}, where the snapshot has the shards 0 .. {}", kCoveragePrefix, attempt.db_id, num_dbs - 1);
    }
    if ((i > 0 && attempts[i - 1].db_id == attempt.db_id) || !attempt.db_url) continue;
    winning_urls.insert(*attempt.db_url);
    winners.shards.push_back(attempt);
  }
  for (std::string& url : UrlsOf(attempts)) {
    if (!winning_urls.contains(url)) winners.losing_urls.push_back(std::move(url));
  }
  return winners;
}

void RemoveAttempts(generation::SnapshotPlace& place, const std::vector<std::string>& urls, Log& log, WriteEvents& events) {
  const InterruptScope grace({}, kCleanUpGrace);
  for (const std::string& url : urls) {
    const Result<int64_t> removed = generation::RemoveAttempt(place, url);
    if (removed.ok()) {
      events.Emit("write.loser.removed", {{"objects_deleted", static_cast<double>(*removed)}}, url);
      continue;
    }
    const std::string problem = fmt::format("attempt {} is not used and could not be removed: {}; clean-up removes it", url, removed.error().message());
    log.Write(LogLevel::kWarning, problem);
    events.Emit("write.loser.kept", {}, problem);
  }
}

Result<PublishedRun> PublishRun(ShardedManifest manifest, std::vector<ShardMeta> attempts, const PublishParts& parts) {
  const std::string& run_id = manifest.build.run_id;
  Result<Winners> winners = SelectWinners(attempts, manifest.build.num_dbs);
  if (!winners.ok()) {
    parts.events.Emit("write.coverage_mismatch", {}, winners.error().message());
    RemoveAttempts(parts.place, UrlsOf(attempts), parts.outside.log, parts.events);
    return std::move(winners).error();
  }
  for (const ShardMeta& shard : winners->shards) {
    parts.events.Emit("write.winner_selected",
                      {{"db_id", shard.db_id}, {"attempt", static_cast<double>(shard.attempt)}, {"row_count", static_cast<double>(shard.row_count)}}, *shard.db_url);
  }
  manifest.shards = winners->shards;
  const Result<std::string> ref = parts.manifests.Store(manifest);
  if (!ref.ok()) {
    parts.events.Emit("write.manifest_failed", {}, ref.error().message());
    GiveUp(run_id, attempts, parts);
    return Error(ref.error()).In(fmt::format("storing the manifest of run {}", run_id));
  }
  parts.events.Emit("write.manifest_published");
  if (parts.record != nullptr) parts.record->SetManifestRef(*ref);
  if (Status there = CheckIsStillThere(manifest, parts); !there.ok()) {
    GiveUp(run_id, attempts, parts);
    return std::move(there).error();
  }
  PointerMove pointer = MovePointer(*ref, parts);
  if (!pointer.moved.ok()) {
    if (pointer.refused) {
      RemoveAttempts(parts.place, winners->losing_urls, parts.outside.log, parts.events);
    } else if (pointer.moved.kind() != ErrorKind::kCommitUnknown) {
      GiveUp(run_id, attempts, parts);
    }
    return std::move(pointer.moved).error().In(fmt::format("making manifest {} current", *ref));
  }
  parts.events.Emit("write.current_published");
  RemoveAttempts(parts.place, winners->losing_urls, parts.outside.log, parts.events);
  parts.events.Emit("write.losers.removed", {{"num_losers", static_cast<double>(winners->losing_urls.size())}});
  return PublishedRun{*ref, std::move(winners->shards)};
}

}  // namespace datashard::shardwrite
