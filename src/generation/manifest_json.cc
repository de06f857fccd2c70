#include "generation/manifest_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/error.h"
#include "routing/utf8.h"

namespace datashard::generation {
namespace {

constexpr int kNestingMax = 64;
constexpr std::string_view kHash = "xxh3_64";

/// How deep brackets nest: nlohmann recurses where it writes what it has read.
int NestingOf(std::string_view text) {
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

Result<std::optional<std::string>> OptionalText(const Json& object, std::string_view name) {
  const Json* const member = Member(object, name);
  if (member == nullptr || member->is_null()) return std::optional<std::string>();
  if (!member->is_string()) return Corruption("sharding: '{}' is no text", name);
  return std::optional(member->get<std::string>());
}

Result<std::optional<Key>> KeyOf(const Json& json, std::string_view what) {
  if (json.is_null()) return std::optional<Key>();
  if (json.is_string()) return std::optional(Key(KeyView::Text(json.get_ref<const std::string&>())));
  if (json.is_number_unsigned()) return std::optional(Key(KeyView::Unsigned(json.get<uint64_t>())));
  if (json.is_number_integer()) return std::optional(Key(KeyView::Int(json.get<int64_t>())));
  return Corruption("{} is neither an integer of 64 bits nor a text", what);
}

Json JsonOf(const Key& key) {
  if (key.kind == KeyView::Kind::kInt) return static_cast<int64_t>(key.number);
  if (key.kind == KeyView::Kind::kUnsigned) return key.number;
  return key.bytes;
}

Json RoutingValuesOf(const std::vector<Key>& values) {
  const bool readable = std::ranges::all_of(values, [](const Key& value) { return routing::IsUtf8(value.bytes); });
  Json list = Json::array();
  for (const Key& value : values) {
    if (readable) {
      list.push_back(JsonOf(value));
    } else {
      std::string text;
      AppendBase64(text, value.bytes);
      list.push_back(std::move(text));
    }
  }
  return list;
}

Result<std::vector<Key>> ReadRoutingValues(const Json& list) {
  if (!list.is_array()) return Corruption("sharding: 'routing_values' is no list");
  std::vector<Key> values;
  for (const Json& value : list) {
    DS_ASSIGN_OR_RETURN(std::optional<Key> key, KeyOf(value, "sharding: a routing value"));
    if (!key) return Corruption("sharding: a routing value is null");
    values.push_back(*std::move(key));
  }
  return values;
}

Result<std::vector<std::pair<std::string, CelType>>> ReadColumns(const Json& object) {
  if (!object.is_object()) return Corruption("sharding: 'cel_columns' is no object");
  std::vector<std::pair<std::string, CelType>> columns;
  for (const auto& [name, type] : object.items()) {
    const Result<CelType> known = type.is_string() ? CelTypeOf(type.get_ref<const std::string&>()) : InvalidArgument("no text");
    if (!known.ok()) return Corruption("sharding: the type of column '{}' is none of CEL's: {}", name, known.error().message());
    columns.emplace_back(name, *known);
  }
  return columns;
}

Status CheckMembers(const Json& sharding) {
  for (const auto& [name, value] : sharding.items()) {
    if (name != "strategy" && name != "hash_algorithm" && name != "routing_values" && name != "cel_expr" && name != "cel_columns")
      return Corruption("sharding: '{}' is no member of it", name);
  }
  return {};
}

}  // namespace

const Json* Member(const Json& object, std::string_view name) {
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

Result<Json> ParseJson(std::string_view text, std::string_view what) {
  if (NestingOf(text) > kNestingMax) return Corruption("{} nests deeper than {}", what, kNestingMax);
  Json json = Json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return Corruption("{} is no JSON", what);
  return json;
}

Result<Json> ParseObject(std::string_view text, std::string_view what) {
  DS_ASSIGN_OR_RETURN(Json json, ParseJson(text, what));
  if (!json.is_object()) return Corruption("{} is no JSON object", what);
  return json;
}

std::string JsonText(const Json& json) { return json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/true); }

std::string ShardingText(const ShardingSpec& sharding) {
  Json json = {{"strategy", sharding.strategy == ShardingStrategy::kHash ? "hash" : "cel"},
               {"hash_algorithm", kHash},
               {"routing_values", nullptr},
               {"cel_expr", nullptr},
               {"cel_columns", nullptr}};
  if (sharding.routing_values) json["routing_values"] = RoutingValuesOf(*sharding.routing_values);
  if (sharding.cel_expr) json["cel_expr"] = *sharding.cel_expr;
  if (sharding.cel_columns) {
    Json columns = Json::object();
    for (const auto& [name, type] : *sharding.cel_columns) columns[name] = ToString(type);
    json["cel_columns"] = std::move(columns);
  }
  return JsonText(json);
}

Result<ShardingSpec> ReadSharding(std::string_view text) {
  DS_ASSIGN_OR_RETURN(const Json json, ParseObject(text, "sharding"));
  DS_RETURN_IF_ERROR(CheckMembers(json));
  ShardingSpec sharding;
  DS_ASSIGN_OR_RETURN(const std::optional<std::string> strategy, OptionalText(json, "strategy"));
  if (strategy != "hash" && strategy != "cel")
    return Corruption("sharding: the strategy is '{}'; expected hash or cel", strategy.value_or(""));
  sharding.strategy = strategy == "hash" ? ShardingStrategy::kHash : ShardingStrategy::kCel;
  DS_ASSIGN_OR_RETURN(const std::optional<std::string> hash, OptionalText(json, "hash_algorithm"));
  if (hash != kHash) return Corruption("sharding: the hash algorithm is '{}'; expected {}", hash.value_or(""), kHash);
  DS_ASSIGN_OR_RETURN(sharding.cel_expr, OptionalText(json, "cel_expr"));
  if (const Json* const columns = Member(json, "cel_columns"); columns != nullptr && !columns->is_null()) {
    DS_ASSIGN_OR_RETURN(sharding.cel_columns, ReadColumns(*columns));
  }
  if (const Json* const values = Member(json, "routing_values"); values != nullptr && !values->is_null()) {
    DS_ASSIGN_OR_RETURN(sharding.routing_values, ReadRoutingValues(*values));
  }
  return sharding;
}

std::optional<std::string> KeyText(const Key& key) {
  if (!routing::IsUtf8(key.bytes)) return std::nullopt;
  return JsonText(JsonOf(key));
}

Result<std::optional<Key>> ReadKey(std::string_view text, std::string_view what) {
  DS_ASSIGN_OR_RETURN(const Json json, ParseJson(text, what));
  return KeyOf(json, what);
}

std::string WriterInfoText(const ShardWriterInfo& info) {
  Json json = {{"attempt", info.attempt}, {"duration_ms", info.duration_ms}, {"stage_id", nullptr}, {"task_attempt_id", nullptr}};
  if (info.stage_id) json["stage_id"] = *info.stage_id;
  if (info.task_attempt_id) json["task_attempt_id"] = *info.task_attempt_id;
  return JsonText(json);
}

Result<ShardWriterInfo> ReadWriterInfo(std::string_view text) {
  DS_ASSIGN_OR_RETURN(const Json json, ParseObject(text, "writer_info"));
  ShardWriterInfo info;
  for (const auto& [name, value] : json.items()) {
    if (value.is_null() || (name != "attempt" && name != "duration_ms" && name != "stage_id" && name != "task_attempt_id")) continue;
    DS_ASSIGN_OR_RETURN(const int64_t number, CountOf(value, "writer_info: " + name));
    if (name == "attempt") info.attempt = number;
    if (name == "duration_ms") info.duration_ms = number;
    if (name == "stage_id") info.stage_id = number;
    if (name == "task_attempt_id") info.task_attempt_id = number;
  }
  return info;
}

Result<int64_t> CountOf(const Json& json, std::string_view what) {
  if (json.is_number_unsigned() && json.get<uint64_t>() <= uint64_t{INT64_MAX}) return json.get<int64_t>();
  if (json.is_number_integer() && !json.is_number_unsigned() && json.get<int64_t>() >= 0) return json.get<int64_t>();
  return Corruption("{} is no integer of 0 to 2^63-1", what);
}

}  // namespace datashard::generation
