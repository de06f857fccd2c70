#include "shardread/reader.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/executor.h"
#include "base/fork.h"
#include "shardread/generation.h"
#include "shardread/generation_guard.h"
#include "shardread/merged_scan.h"
#include "shardread/multi_get.h"
#include "shardread/read_manifest.h"
#include "shardread/workers.h"

namespace datashard::shardread {
namespace {

using Guard = GenerationGuard<CurrentGeneration>;

Error IsClosed() { return Fenced("the reader is closed; open another"); }

PinnedValue Pin(kv::PinnedBytes value, const CurrentGeneration& now) {
  return {value.bytes, value.owner != nullptr ? std::move(value.owner) : now.Owner()};
}

// The first key behind all that start with `prefix`; none where there is no such key.
std::optional<std::string> EndOfPrefix(std::string_view prefix) {
  std::string end(prefix.substr(0, prefix.find_last_not_of('\xff') + 1));
  if (end.empty()) return std::nullopt;
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

// Each waits for one request after the other: a bucket answers as many as these side by side before it answers any more slowly.
constexpr size_t kWaitingAtOnce = 16;

Workers::Limits WorkersOf(int max_workers) {
  if (max_workers > 0) return {.computing = static_cast<size_t>(max_workers), .waiting = static_cast<size_t>(max_workers)};
  const auto cores = static_cast<size_t>(CoreCount());
  return {.computing = cores, .waiting = std::max(cores, kWaitingAtOnce)};
}

class Reader final : public ShardedReader {
 public:
  Reader(ShardedReaderSettings settings, std::shared_ptr<ManifestStore> manifests, std::shared_ptr<ShardSource> source, GenerationSettings generation_settings,
         FirstGeneration first, Clock& clock)
      : settings_(std::move(settings)), manifests_(std::move(manifests)), source_(std::move(source)), generation_settings_(generation_settings), clock_(clock),
        workers_(std::make_shared<Workers>(WorkersOf(settings_.max_workers))), skipped_(std::move(first.skipped)),
        guard_(std::make_unique<CurrentGeneration>(std::move(first.generation), /*closed=*/false)) {}

  Result<std::optional<PinnedValue>> Get(KeyView key, const RoutingContext* context) override {
    std::optional<PinnedValue> value;
    DS_RETURN_IF_ERROR(WithCurrent([&](const CurrentGeneration& now) -> Status {
      DS_ASSIGN_OR_RETURN(kv::Lookup found, Find(now, key, kv::Residency::kAnywhere, context));
      if (found.outcome == kv::Lookup::Outcome::kFound) value.emplace(Pin(std::move(found.value), now));
      return {};
    }));
    return value;
  }

  Result<LookupOutcome> Visit(KeyView key, LookupReach reach, const std::function<void(std::string_view)>& sink, const RoutingContext* context) override {
    const auto residency = reach == LookupReach::kResidentOnly ? kv::Residency::kResidentOnly : kv::Residency::kAnywhere;
    LookupOutcome outcome = LookupOutcome::kAbsent;
    DS_RETURN_IF_ERROR(WithCurrent([&](const CurrentGeneration& now) -> Status {
      DS_ASSIGN_OR_RETURN(const kv::Lookup found, Find(now, key, residency, context));
      if (found.outcome == kv::Lookup::Outcome::kNotResident) outcome = LookupOutcome::kNotResident;
      if (found.outcome == kv::Lookup::Outcome::kFound) {
        outcome = LookupOutcome::kFound;
        sink(found.value.bytes);
      }
      return {};
    }));
    return outcome;
  }

  Result<std::vector<std::optional<PinnedValue>>> MultiGet(std::span<const KeyView> keys, const RoutingContext* context) override {
    std::vector<std::optional<PinnedValue>> values(keys.size());
    DS_RETURN_IF_ERROR(WithCurrent([&](const CurrentGeneration& now) -> Status {
      const auto sink = [&](size_t at, kv::Lookup found) {
        values[at].reset();
        if (found.outcome == kv::Lookup::Outcome::kFound) values[at].emplace(Pin(std::move(found.value), now));
      };
      return FindAll(*now.generation, keys, context, *workers_, sink);
    }));
    return values;
  }

  Result<std::unique_ptr<ShardedScan>> Scan(std::string_view start, std::optional<std::string_view> end) override {
    // Not under the guard: a scan has a share of its generation.
    for (bool again = false;; again = true) {
      DS_ASSIGN_OR_RETURN(std::shared_ptr<const Generation> generation, Held());
      const std::string ref = generation->ref();
      auto scan = OpenMergedScan(std::move(generation), start, end, workers_);
      if (scan.ok() || scan.kind() != ErrorKind::kNotFound) return scan;
      if (again || !HasMovedFrom(ref)) return Gone(std::move(scan).error(), ref);
    }
  }
  Result<std::unique_ptr<ShardedScan>> ScanPrefix(std::string_view prefix) override { return Scan(prefix, EndOfPrefix(prefix)); }

  Result<std::optional<int32_t>> Route(KeyView key, const RoutingContext* context) override {
    const auto now = guard_.Enter();
    if (now->is_closed) return IsClosed();
    DS_ASSIGN_OR_RETURN(const Generation::Target target, now->generation->Find(key, context));
    return target.db_id < 0 ? std::nullopt : std::optional(target.db_id);
  }

  std::shared_ptr<const ShardedManifest> manifest() const override { return guard_.Enter()->generation->manifest(); }
  std::string manifest_ref() const override { return guard_.Enter()->generation->ref(); }

  const std::vector<SkippedManifest>& skipped_manifests() const override { return skipped_; }

  std::vector<ShardDetail> shard_details() const override {
    const std::shared_ptr<const ShardedManifest> is = manifest();
    std::vector<ShardDetail> details(static_cast<size_t>(is->build.num_dbs));
    for (size_t i = 0; i < details.size(); ++i) details[i].db_id = static_cast<int32_t>(i);
    for (const ShardMeta& shard : is->shards) {
      details[static_cast<size_t>(shard.db_id)] = {shard.db_id, shard.row_count, shard.min_key, shard.max_key, shard.db_url};
    }
    return details;
  }

  ReaderHealth health(std::optional<std::chrono::microseconds> staleness_threshold) const override {
    const auto now = guard_.Enter();
    ReaderHealth health;
    health.manifest_ref = now->generation->ref();
    health.manifest_age = std::max(clock_.Now() - now->generation->published_at(), std::chrono::microseconds(0));
    health.num_shards = now->generation->manifest()->build.num_dbs;
    health.is_closed = now->is_closed;
    if (staleness_threshold && health.manifest_age > *staleness_threshold) health.status = ReaderHealth::Status::kDegraded;
    if (now->is_closed) health.status = ReaderHealth::Status::kUnhealthy;
    return health;
  }

  Result<bool> Refresh(std::optional<Error>* problem) override {
    if (problem != nullptr) problem->reset();
    const auto refreshing = refreshing_.Lock();
    std::optional<Error> unread;
    Result<bool> moved = LookForNewer(&unread);
    if (problem != nullptr) *problem = std::move(unread);
    ReleaseWithPatience();
    return moved;
  }

  void Close() override {
    for (;;) {
      const CurrentGeneration* seen = nullptr;
      std::unique_ptr<CurrentGeneration> closed;
      {
        const auto now = guard_.Enter();
        if (now->is_closed) break;
        seen = &*now;
        closed = std::make_unique<CurrentGeneration>(now->generation->WithoutShards(), /*closed=*/true);
      }
      if (guard_.Replace(seen, std::move(closed))) break;
    }
    ReleaseWithPatience();
  }

 private:
  static constexpr int kPatience = 20;  // times half a millisecond: a lookup that lasts longer waits for storage

  static Result<kv::Lookup> Find(const CurrentGeneration& now, KeyView key, kv::Residency residency, const RoutingContext* context) {
    DS_ASSIGN_OR_RETURN(const Generation::Target target, now.generation->Find(key, context));
    if (target.slot == nullptr) return kv::Lookup::Absent();
    const OpenedShard* shard = target.slot->opened();
    if (shard == nullptr) {
      if (residency == kv::Residency::kResidentOnly) return kv::Lookup::NotResident();
      DS_ASSIGN_OR_RETURN(shard, target.slot->Open());
    }
    return shard->database->Find(target.key.bytes(), residency);
  }

  // Calls `look` with the current generation, and where a shard of it turns out to be gone, once more with the one after it.
  template <typename Look>
  Status WithCurrent(const Look& look) {
    std::string ref;
    for (bool again = false;; again = true) {
      Status looked;
      {
        const auto now = guard_.Enter();
        if (now->is_closed) return IsClosed();
        looked = look(*now);
        if (looked.ok()) return looked;
        if (looked.kind() == ErrorKind::kNotFound) ref = now->generation->ref();
      }
      (void)guard_.ReleaseRetired();
      if (looked.kind() != ErrorKind::kNotFound) return looked;
      if (again || !HasMovedFrom(ref)) return Gone(std::move(looked).error(), ref);
    }
  }

  Result<std::shared_ptr<const Generation>> Held() const {
    const auto now = guard_.Enter();
    if (now->is_closed) return IsClosed();
    return now->generation;
  }

  // Is there another generation than `ref`, now or after a look at the pointer? What keeps it from being found does not matter to
  // the caller, who has an error already.
  bool HasMovedFrom(const std::string& ref) {
    const auto refreshing = refreshing_.Lock();
    if (manifest_ref() != ref) return true;
    std::optional<Error> unread;
    const Result<bool> moved = LookForNewer(&unread);
    return moved.ok() && *moved;
  }

  Error Gone(Error error, const std::string& ref) const {
    return NotFound("{}; an object of the generation {} is gone, and {}: publish the snapshot again, and let clean-up keep what readers use",
                    error.message(), ref, settings_.pinned_ref ? "the reader is pinned to it" : "the pointer leads to no newer one that can be read");
  }

  // With `refreshing_` held.
  Result<bool> LookForNewer(std::optional<Error>* unread) {
    const CurrentGeneration* seen = nullptr;
    std::shared_ptr<const Generation> before;
    {
      const auto now = guard_.Enter();
      if (now->is_closed) return IsClosed();
      seen = &*now;
      before = now->generation;
    }
    if (settings_.pinned_ref) return false;
    const auto pointer = manifests_->LoadCurrent();
    if (!pointer.ok()) return Unread(pointer.error(), unread);
    if (!*pointer) return NotFound("{}: there is no pointer to a current manifest any more; publish the snapshot again", settings_.prefix);
    if ((*pointer)->ref == before->ref()) return false;
    auto next = ReadGeneration(*manifests_, **pointer, [&](ManifestRef ref, ShardedManifest manifest) {
      return Generation::Make(std::move(ref), std::make_shared<const ShardedManifest>(std::move(manifest)), generation_settings_, source_, before.get());
    });
    if (!next.ok()) return Unread(next.error(), unread);
    // Nobody else replaces a generation but Close.
    if (!guard_.Replace(seen, std::make_unique<CurrentGeneration>(std::move(*next), /*closed=*/false))) return IsClosed();
    return true;
  }
  static Result<bool> Unread(const Error& error, std::optional<Error>* unread) {
    if (error.kind() == ErrorKind::kUnavailable || error.kind() == ErrorKind::kDenied) return error;
    *unread = error;
    return false;
  }

  // Most lookups end at once. What one that waits for storage holds is released by whoever comes next.
  void ReleaseWithPatience() {
    for (int i = 0; guard_.ReleaseRetired() != 0 && i < kPatience; ++i) clock_.Sleep(std::chrono::microseconds(500));
  }

  const ShardedReaderSettings settings_;
  const std::shared_ptr<ManifestStore> manifests_;
  const std::shared_ptr<ShardSource> source_;
  const GenerationSettings generation_settings_;
  Clock& clock_;
  const std::shared_ptr<Workers> workers_;
  const std::vector<SkippedManifest> skipped_;
  Guard guard_;
  struct Refreshing {};
  PerProcess<Refreshing> refreshing_;
};

Result<std::optional<ShardFormat>> FormatOf(const std::optional<std::string>& name) {
  if (!name) return std::optional<ShardFormat>();
  if (*name == "sqlite") return std::optional(ShardFormat::kSqlite);
  if (*name == "slatedb") return std::optional(ShardFormat::kSlateDb);
  return InvalidArgument("shard_format is \"{}\"; it is \"sqlite\", \"slatedb\" or not given", *name);
}

Status CheckSettings(const ShardedReaderSettings& settings) {
  const std::pair<std::string_view, int64_t> numbers[] = {
      {"max_fallback_attempts", settings.max_fallback_attempts},
      {"sqlite_auto_per_shard_bytes", settings.sqlite_auto_per_shard_bytes},
      {"sqlite_auto_total_bytes", settings.sqlite_auto_total_bytes},
      {"block_cache_bytes", settings.block_cache_bytes},
      {"local_bytes_max", settings.local_bytes_max},
      {"max_workers", settings.max_workers},
  };
  for (const auto& [name, value] : numbers) {
    if (value < 0) return InvalidArgument("{} is {}; it is 0 or more", name, value);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<ShardedReader>> OpenReader(ShardedReaderSettings settings, std::shared_ptr<ManifestStore> manifests,
                                                  std::shared_ptr<generation::SnapshotPlace> place, Clock& clock) {
  DS_RETURN_IF_ERROR(CheckSettings(settings));
  GenerationSettings how{.format = std::nullopt,
                         .sqlite_mode = settings.sqlite_mode,
                         .sqlite_auto_per_shard_bytes = settings.sqlite_auto_per_shard_bytes,
                         .sqlite_auto_total_bytes = settings.sqlite_auto_total_bytes,
                         .has_local_root = !settings.local_root.empty()};
  DS_ASSIGN_OR_RETURN(how.format, FormatOf(settings.shard_format));
  ShardSource::Settings sources{.local_root = settings.local_root,
                                .local_bytes_max = settings.local_bytes_max,
                                .block_cache_bytes = settings.block_cache_bytes,
                                .verify_checksums = settings.verify_checksums};
  auto source = std::make_shared<ShardSource>(std::move(sources), std::move(place), clock);
  const FirstGenerationOptions options{
      .prefix = settings.prefix, .pinned_ref = settings.pinned_ref, .max_fallback_attempts = settings.max_fallback_attempts};
  const auto make = [&](ManifestRef ref, ShardedManifest manifest) {
    return Generation::Make(std::move(ref), std::make_shared<const ShardedManifest>(std::move(manifest)), how, source, /*before=*/nullptr);
  };
  DS_ASSIGN_OR_RETURN(FirstGeneration first, ReadFirstGeneration(*manifests, options, make));
  return std::unique_ptr<ShardedReader>(std::make_unique<Reader>(std::move(settings), std::move(manifests), std::move(source), how, std::move(first), clock));
}

}  // namespace datashard::shardread
