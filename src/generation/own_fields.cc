#include "generation/own_fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/error.h"
#include "generation/manifest_json.h"
#include "routing/utf8.h"

namespace datashard::generation {
namespace {

constexpr std::string_view kAlgorithm = "xxh3_64";

std::string Base64Of(std::string_view bytes) {
  std::string text;
  AppendBase64(text, bytes);
  return text;
}

Result<std::string> BytesOf(const Json& json, std::string_view what) {
  std::optional<std::string> bytes = json.is_string() ? ParseBase64(json.get_ref<const std::string&>()) : std::nullopt;
  if (!bytes) return Corruption("custom.datashard: {} is no base64", what);
  return *std::move(bytes);
}

Json ObjectsOf(const ShardedManifest& manifest) {
  Json shards = Json::object();
  for (const ShardMeta& shard : manifest.shards) {
    if (shard.objects.empty()) continue;
    Json objects = Json::object();
    for (const ShardObject& object : shard.objects)
      objects[object.name] = Json::array({fmt::format("{:016x}", object.xxh3_64), object.size_bytes});
    shards[std::to_string(shard.db_id)] = std::move(objects);
  }
  return shards;
}

/// None where the column says all there is to say.
std::optional<Json> BoundOf(const std::optional<Key>& key, NulCharacters nul) {
  if (!key) return std::nullopt;
  if (key->kind == KeyView::Kind::kBytes) return Json::array({"bytes", Base64Of(key->bytes)});
  const bool has_nul = key->kind == KeyView::Kind::kText && key->bytes.find('\0') != std::string::npos;
  if (has_nul && nul == NulCharacters::kCannot) return Json::array({"str", Base64Of(key->bytes)});
  return std::nullopt;
}

Json KeyBoundsOf(const ShardedManifest& manifest, NulCharacters nul) {
  Json bounds = Json::object();
  for (const ShardMeta& shard : manifest.shards) {
    Json both = Json::object();
    if (std::optional<Json> bound = BoundOf(shard.min_key, nul)) both["min"] = *std::move(bound);
    if (std::optional<Json> bound = BoundOf(shard.max_key, nul)) both["max"] = *std::move(bound);
    if (!both.empty()) bounds[std::to_string(shard.db_id)] = std::move(both);
  }
  return bounds;
}

Json BoundariesOf(const std::vector<RangeBoundary>& boundaries, const ShardingSpec& sharding) {
  Json values = Json::array();
  for (const RangeBoundary& boundary : boundaries) std::visit([&](const auto& value) { values.push_back(value); }, boundary);
  return {{"kind", ToString(sharding.cel_columns->front().second)}, {"values", std::move(values)}};
}

/// The row of a shard by its number in decimal digits.
Result<ShardMeta*> ShardAt(ShardedManifest& manifest, std::string_view digits) {
  int32_t db_id = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), db_id);
  const bool is_number = error == std::errc() && end == digits.data() + digits.size() && std::to_string(db_id) == digits;
  const auto it = std::ranges::lower_bound(manifest.shards, db_id, {}, &ShardMeta::db_id);
  if (!is_number || it == manifest.shards.end() || it->db_id != db_id)
    return Corruption("custom.datashard: there is no shard '{}'", digits);
  return &*it;
}

Result<uint64_t> HashOf(const Json& json) {
  uint64_t hash = 0;
  if (json.is_string()) {
    const std::string& digits = json.get_ref<const std::string&>();
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), hash, 16);
    if (digits.size() == 16 && error == std::errc() && end == digits.data() + 16 && fmt::format("{:016x}", hash) == digits) return hash;
  }
  return Corruption("custom.datashard: a checksum is not 16 lower-case hexadecimal digits");
}

Status ReadObjects(const Json& objects, ShardedManifest& manifest) {
  const Json* const algorithm = Member(objects, "algorithm");
  const Json* const shards = Member(objects, "shards");
  if (algorithm == nullptr || !algorithm->is_string() || shards == nullptr || !shards->is_object())
    return Corruption("custom.datashard: 'objects' lacks its algorithm or its shards");
  if (*algorithm != kAlgorithm) return {};
  for (const auto& [digits, named] : shards->items()) {
    DS_ASSIGN_OR_RETURN(ShardMeta* const shard, ShardAt(manifest, digits));
    if (!named.is_object()) return Corruption("custom.datashard: the objects of shard {} are no object", digits);
    for (const auto& [name, facts] : named.items()) {
      if (!facts.is_array() || facts.size() != 2) return Corruption("custom.datashard: object '{}' is not [checksum, size]", name);
      DS_ASSIGN_OR_RETURN(const uint64_t hash, HashOf(facts[0]));
      DS_ASSIGN_OR_RETURN(const int64_t size, CountOf(facts[1], "custom.datashard: the size of " + name));
      shard->objects.push_back({.name = name, .size_bytes = size, .xxh3_64 = hash});
    }
  }
  return {};
}

Result<Key> ReadBound(const Json& bound) {
  const bool has_shape = bound.is_array() && bound.size() == 2 && (bound[0] == "bytes" || bound[0] == "str");
  if (!has_shape) return Corruption("custom.datashard: a key bound is not [\"bytes\" or \"str\", base64]");
  DS_ASSIGN_OR_RETURN(const std::string bytes, BytesOf(bound[1], "a key bound"));
  if (bound[0] == "bytes") return Key(KeyView::Bytes(bytes));
  if (!routing::IsUtf8(bytes)) return Corruption("custom.datashard: a key bound of kind str is no UTF-8");
  return Key(KeyView::Text(bytes));
}

Status ReadKeyBounds(const Json& bounds, ShardedManifest& manifest) {
  if (!bounds.is_object()) return Corruption("custom.datashard: 'key_bounds' is no object");
  for (const auto& [digits, both] : bounds.items()) {
    DS_ASSIGN_OR_RETURN(ShardMeta* const shard, ShardAt(manifest, digits));
    if (!both.is_object()) return Corruption("custom.datashard: the key bounds of shard {} are no object", digits);
    if (const Json* const bound = Member(both, "min")) {
      DS_ASSIGN_OR_RETURN(shard->min_key, ReadBound(*bound));
    }
    if (const Json* const bound = Member(both, "max")) {
      DS_ASSIGN_OR_RETURN(shard->max_key, ReadBound(*bound));
    }
  }
  return {};
}

Status ReadRoutingBytes(const Json& list, ShardedManifest& manifest) {
  std::optional<std::vector<Key>>& values = manifest.build.sharding.routing_values;
  if (!list.is_array() || !values || list.size() != values->size())
    return Corruption("custom.datashard: 'routing_values_base64' is not a list of as many as the routing values");
  for (size_t i = 0; i < list.size(); ++i) {
    DS_ASSIGN_OR_RETURN(const std::string bytes, BytesOf(list[i], "a routing value"));
    (*values)[i] = Key(KeyView::Bytes(bytes));
  }
  return {};
}

Result<RangeBoundary> ReadBoundary(const Json& value, std::string_view kind) {
  if (kind == "string" && value.is_string()) return RangeBoundary(value.get<std::string>());
  if (kind == "double" && value.is_number()) return RangeBoundary(value.get<double>());
  const bool fits = value.is_number_integer() && (!value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t{INT64_MAX});
  if (kind == "int" && fits) return RangeBoundary(value.get<int64_t>());
  return Corruption("custom.datashard: a range boundary is no {}", kind);
}

Status ReadBoundaries(const Json& range, ShardedManifest& manifest) {
  const Json* const kind = Member(range, "kind");
  const Json* const values = Member(range, "values");
  if (kind == nullptr || !kind->is_string() || values == nullptr || !values->is_array())
    return Corruption("custom.datashard: 'range_boundaries' lacks its kind or its values");
  const std::string& name = kind->get_ref<const std::string&>();
  const std::optional<std::vector<std::pair<std::string, CelType>>>& columns = manifest.build.sharding.cel_columns;
  if (!columns || columns->size() != 1 || name != ToString(columns->front().second))
    return Corruption("custom.datashard: range boundaries of kind {} do not go with the columns of the expression", name);
  manifest.range_boundaries.emplace();
  for (const Json& value : *values) {
    DS_ASSIGN_OR_RETURN(RangeBoundary boundary, ReadBoundary(value, name));
    manifest.range_boundaries->push_back(std::move(boundary));
  }
  return {};
}

Status CheckVersion(const Json& own) {
  if (!own.is_object()) return Corruption("custom.datashard is no object");
  const Json* const version = Member(own, "version");
  if (version == nullptr || !version->is_number_integer()) return Corruption("custom.datashard has no version");
  if (*version != 1) return Unsupported("custom.datashard has version {}; this release reads version 1", JsonText(*version));
  return {};
}

}  // namespace

Json OwnFields(const ShardedManifest& manifest, NulCharacters nul) {
  Json own = Json::object();
  if (Json shards = ObjectsOf(manifest); !shards.empty()) own["objects"] = {{"algorithm", kAlgorithm}, {"shards", std::move(shards)}};
  if (Json bounds = KeyBoundsOf(manifest, nul); !bounds.empty()) own["key_bounds"] = std::move(bounds);
  const std::optional<std::vector<Key>>& values = manifest.build.sharding.routing_values;
  if (values && !values->empty() && values->front().kind == KeyView::Kind::kBytes) {
    Json list = Json::array();
    for (const Key& value : *values) list.push_back(Base64Of(value.bytes));
    own["routing_values_base64"] = std::move(list);
  }
  if (manifest.range_boundaries) own["range_boundaries"] = BoundariesOf(*manifest.range_boundaries, manifest.build.sharding);
  if (manifest.shard_format) own["shard_format"] = *manifest.shard_format;
  if (own.empty()) return nullptr;
  own["version"] = 1;
  return own;
}

Status ReadOwnFields(const Json& own, ShardedManifest& manifest) {
  DS_RETURN_IF_ERROR(CheckVersion(own));
  if (const Json* const objects = Member(own, "objects")) DS_RETURN_IF_ERROR(ReadObjects(*objects, manifest));
  if (const Json* const bounds = Member(own, "key_bounds")) DS_RETURN_IF_ERROR(ReadKeyBounds(*bounds, manifest));
  if (const Json* const list = Member(own, "routing_values_base64")) DS_RETURN_IF_ERROR(ReadRoutingBytes(*list, manifest));
  if (const Json* const range = Member(own, "range_boundaries")) DS_RETURN_IF_ERROR(ReadBoundaries(*range, manifest));
  if (const Json* const format = Member(own, "shard_format")) {
    if (!format->is_string()) return Corruption("custom.datashard: 'shard_format' is no text");
    manifest.shard_format = format->get<std::string>();
  }
  return {};
}

}  // namespace datashard::generation
