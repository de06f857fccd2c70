#include "shardread/generation.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "shardread/stored_boundaries.h"

namespace datashard::shardread {
namespace {

constexpr int32_t kShardsMax = 1 << 20;  // a manifest of a few bytes may claim more, and each costs memory

using Json = nlohmann::json;

Status RefuseVectors(const Json& custom, const std::string& ref) {
  const auto vector = custom.find("vector");
  if (vector == custom.end()) return {};
  const bool unified = vector->is_object() && vector->contains("unified") && vector->at("unified") == true;
  if (unified) return {};
  return Unsupported("manifest {}: a snapshot of vectors without keys and values (custom.vector is not unified); read it with a vector reader", ref);
}

Result<std::optional<ShardFormat>> FormatOf(const ShardedManifest& manifest, const Json& custom, const GenerationSettings& settings,
                                            const std::string& ref) {
  if (settings.format) return settings.format;
  if (manifest.shard_format == "sqlite") return std::optional(ShardFormat::kSqlite);
  if (manifest.shard_format == "slatedb") return std::optional(ShardFormat::kSlateDb);
  if (manifest.shard_format) {
    return Unsupported("manifest {}: shards of format \"{}\"; \"sqlite\" and \"slatedb\" are read here", ref, *manifest.shard_format);
  }
  if (custom.contains("sqlite_sidecar")) return std::optional(ShardFormat::kSqlite);
  return std::optional<ShardFormat>();
}

// A copy of everything is quick to read and slow to get: by the sizes in the manifest, ranges are read instead.
bool ByRanges(const ShardedManifest& manifest, const GenerationSettings& settings) {
  if (settings.sqlite_mode != SqliteMode::kAuto) return settings.sqlite_mode == SqliteMode::kRange;
  if (!settings.has_local_root) return true;
  int64_t left = settings.sqlite_auto_total_bytes;
  for (const ShardMeta& shard : manifest.shards) {
    if (shard.db_bytes >= settings.sqlite_auto_per_shard_bytes || shard.db_bytes >= left) return true;
    left -= std::max<int64_t>(shard.db_bytes, 0);
  }
  return false;
}

bool Named(const std::pair<std::string, CelValue>& column, const std::string& name) { return column.first == name; }

struct alignas(128) Share {  // two lines, so that the counts of two do not meet
  std::shared_ptr<const Generation> generation;
};

}  // namespace

Result<std::shared_ptr<const Generation>> Generation::Make(ManifestRef ref, std::shared_ptr<const ShardedManifest> manifest,
                                                           const GenerationSettings& settings, const std::shared_ptr<ShardSource>& source,
                                                           const Generation* before) {
  const Json custom = Json::parse(manifest->custom, nullptr, /*allow_exceptions=*/false);
  if (!custom.is_object()) return Corruption("manifest {}: its custom fields are no JSON object", ref.ref);
  DS_RETURN_IF_ERROR(RefuseVectors(custom, ref.ref));
  const int32_t count = manifest->build.num_dbs;
  if (count < 1) return Corruption("manifest {}: {} shards", ref.ref, count);
  if (count > kShardsMax) return Unsupported("manifest {}: {} shards; at most {} are read", ref.ref, count, kShardsMax);

  std::shared_ptr<Generation> made(new Generation);
  made->ref_ = std::move(ref);
  made->manifest_ = std::move(manifest);
  const ShardedManifest& is = *made->manifest_;
  auto router = routing::MakeRouter(is.build.sharding, count, is.range_boundaries);
  if (!router.ok()) {
    const ErrorKind kind = router.kind() == ErrorKind::kInvalidArgument ? ErrorKind::kCorruption : router.kind();
    return Error(kind, fmt::format("manifest {}: {}", made->ref(), router.error().message()));
  }
  made->router_ = std::move(*router);
  if (is.range_boundaries) made->stored_boundaries_ = StoredBoundaries(*is.range_boundaries, is.build.key_encoding);
  DS_ASSIGN_OR_RETURN(const std::optional<ShardFormat> format, FormatOf(is, custom, settings, made->ref()));
  DS_RETURN_IF_ERROR(made->FillSlots({.format = format, .by_ranges = ByRanges(is, settings)}, source, before));
  return std::shared_ptr<const Generation>(std::move(made));
}

std::shared_ptr<const Generation> Generation::WithoutShards() const {
  std::shared_ptr<Generation> bare(new Generation(*this));
  bare->slots_.clear();
  return bare;
}

Status Generation::FillSlots(const ShardRules& rules, const std::shared_ptr<ShardSource>& source, const Generation* before) {
  slots_.resize(static_cast<size_t>(manifest_->build.num_dbs));
  std::vector<bool> seen(slots_.size());
  for (const ShardMeta& shard : manifest_->shards) {
    const auto at = static_cast<size_t>(shard.db_id);
    if (shard.db_id < 0 || at >= slots_.size()) return Corruption("manifest {}: shard {} of {}", ref(), shard.db_id, slots_.size());
    if (seen[at]) return Corruption("manifest {}: shard {} is there twice", ref(), shard.db_id);
    seen[at] = true;
    if (!shard.db_url) continue;
    const bool is_open = before != nullptr && at < before->slots_.size() && before->slots_[at] != nullptr && before->slots_[at]->Serves(shard, rules);
    slots_[at] = is_open ? before->slots_[at] : std::make_shared<ShardSlot>(source, shard, rules);
  }
  return {};
}

Result<std::optional<int32_t>> Generation::Route(const KeyView& key, const RoutingContext* context) const {
  if (context == nullptr || !router_->needs_context()) return router_->Route(key);
  std::vector<CelValue> columns;
  for (const auto& [name, type] : *manifest_->build.sharding.cel_columns) {
    const auto found = std::ranges::find_if(*context, [&](const auto& column) { return Named(column, name); });
    if (found == context->end()) {
      return InvalidArgument("the routing rule of {} reads the column \"{}\", and the routing context does not name it", ref(), name);
    }
    columns.push_back(found->second);
  }
  return router_->RouteContext(columns);
}

Result<Generation::Target> Generation::Find(KeyView key, const RoutingContext* context) const {
  Target target;
  DS_ASSIGN_OR_RETURN(target.key, routing::EncodeLookupKey(key, manifest_->build.key_encoding));
  DS_ASSIGN_OR_RETURN(const std::optional<int32_t> shard, Route(key, context));
  if (!shard) return target;
  target.db_id = *shard;
  target.slot = slots_[static_cast<size_t>(*shard)].get();
  return target;
}

std::vector<std::vector<std::shared_ptr<ShardSlot>>> Generation::Covering(std::string_view start, std::optional<std::string_view> end) const {
  std::vector<std::vector<std::shared_ptr<ShardSlot>>> stages;
  if (end && *end <= start) return stages;
  if (!stored_boundaries_) {
    std::vector<std::shared_ptr<ShardSlot>> all;
    std::ranges::copy_if(slots_, std::back_inserter(all), [](const auto& slot) { return slot != nullptr; });
    stages.push_back(std::move(all));
    return stages;
  }
  const std::vector<std::string>& boundaries = *stored_boundaries_;
  for (size_t i = 0; i < slots_.size(); ++i) {
    const bool ends_before = i < boundaries.size() && boundaries[i] <= start;
    const bool starts_behind = end && i > 0 && boundaries[i - 1] >= *end;
    if (slots_[i] != nullptr && !ends_before && !starts_behind) stages.push_back({slots_[i]});
  }
  return stages;
}

CurrentGeneration::CurrentGeneration(std::shared_ptr<const Generation> now, bool closed) : generation(std::move(now)), is_closed(closed) {
  if (closed) return;
  for (auto& owner : owners) owner = std::make_shared<const Share>(generation);
}

}  // namespace datashard::shardread
