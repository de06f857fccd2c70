#include "generation/manifest_rules.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/uri.h"
#include "generation/utc_text.h"
#include "routing/utf8.h"

namespace datashard::generation {
namespace {

Status CheckText(std::string_view text, std::string_view what) {
  if (routing::IsUtf8(text)) return {};
  return InvalidArgument("{} is no UTF-8", what);
}

Status CheckKeyBound(const std::optional<Key>& key, int32_t db_id) {
  if (!key || key->kind != KeyView::Kind::kText) return {};
  return CheckText(key->bytes, fmt::format("a key bound of shard {}", db_id));
}

Status CheckObjects(const ShardMeta& shard) {
  for (size_t i = 0; i < shard.objects.size(); ++i) {
    const ShardObject& object = shard.objects[i];
    DS_RETURN_IF_ERROR(CheckKey(object.name));
    DS_RETURN_IF_ERROR(CheckText(object.name, "the name of an object"));
    if (object.size_bytes < 0) return InvalidArgument("object {} of shard {} has {} bytes", object.name, shard.db_id, object.size_bytes);
    if (i > 0 && shard.objects[i - 1].name >= object.name)
      return InvalidArgument("the objects of shard {} do not ascend by name: {} is behind {}", shard.db_id, object.name, shard.objects[i - 1].name);
  }
  return {};
}

Status CheckShard(const ShardMeta& shard, int32_t num_dbs) {
  if (shard.db_id < 0 || shard.db_id >= num_dbs) return InvalidArgument("shard {} is not among the {} shards", shard.db_id, num_dbs);
  if (shard.attempt < 0 || shard.row_count < 0 || shard.db_bytes < 0)
    return InvalidArgument("shard {} has a negative attempt ({}), row_count ({}) or db_bytes ({})", shard.db_id, shard.attempt,
                           shard.row_count, shard.db_bytes);
  const ShardWriterInfo& writer = shard.writer_info;
  if (writer.attempt < 0 || writer.duration_ms < 0 || writer.stage_id.value_or(0) < 0 || writer.task_attempt_id.value_or(0) < 0)
    return InvalidArgument("the writer_info of shard {} has a negative number", shard.db_id);
  DS_RETURN_IF_ERROR(CheckText(shard.db_url.value_or(""), "db_url"));
  DS_RETURN_IF_ERROR(CheckText(shard.checkpoint_id.value_or(""), "checkpoint_id"));
  DS_RETURN_IF_ERROR(CheckKeyBound(shard.min_key, shard.db_id));
  DS_RETURN_IF_ERROR(CheckKeyBound(shard.max_key, shard.db_id));
  return CheckObjects(shard);
}

Status CheckShards(const ShardedManifest& manifest) {
  const int32_t num_dbs = manifest.build.num_dbs;
  if (num_dbs < 1 || num_dbs > kNumDbsMax) return InvalidArgument("num_dbs is {}; expected 1 to {}", num_dbs, kNumDbsMax);
  for (size_t i = 0; i < manifest.shards.size(); ++i) {
    DS_RETURN_IF_ERROR(CheckShard(manifest.shards[i], num_dbs));
    if (i > 0 && manifest.shards[i - 1].db_id >= manifest.shards[i].db_id)
      return InvalidArgument("shards do not ascend by db_id: {} is behind {}", manifest.shards[i].db_id, manifest.shards[i - 1].db_id);
  }
  return {};
}

std::string_view TypeOf(const Key& key) {
  if (key.view().is_number()) return "int";
  return key.kind == KeyView::Kind::kText ? "str" : "bytes";
}

Status CheckRoutingValues(const std::vector<Key>& values, int32_t num_dbs) {
  if (num_dbs != std::max<int64_t>(1, static_cast<int64_t>(values.size())))
    return InvalidArgument("num_dbs is {} with {} routing values", num_dbs, values.size());
  std::vector<const Key*> sorted;
  for (const Key& value : values) {
    if (TypeOf(value) != TypeOf(values.front()))
      return InvalidArgument("routing values are of several types: {} and {}", TypeOf(values.front()), TypeOf(value));
    if (value.kind == KeyView::Kind::kText) DS_RETURN_IF_ERROR(CheckText(value.bytes, "a routing value"));
    sorted.push_back(&value);
  }
  const auto order = [](const Key* key) { return std::tie(key->kind, key->number, key->bytes); };
  std::ranges::sort(sorted, {}, order);
  const auto twice = std::ranges::adjacent_find(sorted, {}, order);
  if (twice != sorted.end()) return InvalidArgument("routing value {} is there twice", ToString((*twice)->view()));
  return {};
}

Status CheckSharding(const ShardingSpec& sharding, int32_t num_dbs) {
  if (sharding.strategy == ShardingStrategy::kHash) {
    if (!sharding.routing_values && !sharding.cel_expr && !sharding.cel_columns) return {};
    return InvalidArgument("sharding by hash has an expression, columns or routing values");
  }
  if (!sharding.cel_expr || sharding.cel_expr->empty() || !sharding.cel_columns || sharding.cel_columns->empty())
    return InvalidArgument("sharding by cel lacks its expression or its columns");
  DS_RETURN_IF_ERROR(CheckText(*sharding.cel_expr, "cel_expr"));
  for (const auto& [name, type] : *sharding.cel_columns) DS_RETURN_IF_ERROR(CheckText(name, "the name of a column"));
  return sharding.routing_values ? CheckRoutingValues(*sharding.routing_values, num_dbs) : Status();
}

Status CheckBoundaries(const std::vector<RangeBoundary>& boundaries, const BuildMeta& build) {
  const ShardingSpec& sharding = build.sharding;
  if (static_cast<int64_t>(boundaries.size()) + 1 != build.num_dbs)
    return InvalidArgument("{} range boundaries do not make {} shards", boundaries.size(), build.num_dbs);
  if (!sharding.cel_columns || sharding.cel_columns->size() != 1 || sharding.cel_columns->front().first != "key" || sharding.routing_values)
    return InvalidArgument("range boundaries go with an expression over the one column 'key'");
  const CelType type = sharding.cel_columns->front().second;
  for (size_t i = 0; i < boundaries.size(); ++i) {
    const RangeBoundary& boundary = boundaries[i];
    constexpr CelType kTypes[] = {CelType::kInt, CelType::kDouble, CelType::kString};
    const CelType own = kTypes[boundary.index()];
    if (own != type) return InvalidArgument("range boundary {} is of type {}, the column 'key' of type {}", i, ToString(own), ToString(type));
    const double* const number = std::get_if<double>(&boundary);
    if (number != nullptr && !std::isfinite(*number)) return InvalidArgument("range boundary {} is not finite", i);
    if (const auto* const text = std::get_if<std::string>(&boundary)) DS_RETURN_IF_ERROR(CheckText(*text, "a range boundary"));
    if (i > 0 && !(boundaries[i - 1] < boundary)) return InvalidArgument("range boundary {} is not above the one before it", i);
  }
  return {};
}

Status CheckBuild(const BuildMeta& build) {
  DS_RETURN_IF_ERROR(CheckRunId(build.run_id));
  DS_RETURN_IF_ERROR(CheckText(build.s3_prefix, "s3_prefix"));
  DS_RETURN_IF_ERROR(CheckText(build.key_col, "key_col"));
  DS_RETURN_IF_ERROR(CheckText(build.db_path_template, "db_path_template"));
  DS_RETURN_IF_ERROR(CheckText(build.shard_prefix, "shard_prefix"));
  const std::string created = UtcText(build.created_at);
  if (ReadUtcText(created) != build.created_at) return InvalidArgument("created_at is in no year of four digits: {}", created);
  return {};
}

}  // namespace

Status CheckRunId(std::string_view run_id) {
  if (!run_id.empty() && run_id.find('/') == std::string_view::npos) return CheckText(run_id, "the run id");
  return InvalidArgument("'{}' is no run id: expected text that is not empty and has no '/'", run_id);
}

Status CheckManifest(const ShardedManifest& manifest) {
  DS_RETURN_IF_ERROR(CheckBuild(manifest.build));
  DS_RETURN_IF_ERROR(CheckShards(manifest));
  DS_RETURN_IF_ERROR(CheckSharding(manifest.build.sharding, manifest.build.num_dbs));
  if (manifest.range_boundaries) DS_RETURN_IF_ERROR(CheckBoundaries(*manifest.range_boundaries, manifest.build));
  return {};
}

}  // namespace datashard::generation
