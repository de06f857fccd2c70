#include "cli/shardy/batch.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "cli/text.h"

namespace datashard::cli::shardy {
namespace {

const std::vector<std::string> kOps = {"get", "multiget", "refresh", "info", "shards", "route", "health", "history"};

Error At(const YAML::Node& node, const std::string& message) {
  return Error(ErrorKind::kInvalidArgument, fmt::format("line {}: {}", std::max(node.Mark().line, 0) + 1, message));
}

Result<std::string> Scalar(const YAML::Node& node, const std::string& what) {
  if (!node.IsScalar()) return At(node, what + " is not a single value");
  return node.Scalar();
}

Result<TypedContext> ContextOf(const YAML::Node& node) {
  if (!node.IsMap()) return At(node, "routing_context is not a mapping of names to values");
  TypedContext context;
  for (const auto& pair : node) {
    DS_ASSIGN_OR_RETURN(std::string value, Scalar(pair.second, "a value of routing_context"));
    context.emplace_back(pair.first.Scalar(), std::move(value));
  }
  return context;
}

Status SetField(const std::string& name, const YAML::Node& value, BatchItem& item) {
  if (name == "key") {
    DS_ASSIGN_OR_RETURN(std::string key, Scalar(value, "key"));
    item.keys = {std::move(key)};
    return {};
  }
  if (name == "keys") {
    if (!value.IsSequence()) return At(value, "keys is not a list");
    for (const YAML::Node& element : value) {
      DS_ASSIGN_OR_RETURN(std::string key, Scalar(element, "a key"));
      item.keys.push_back(std::move(key));
    }
    return {};
  }
  if (name == "routing_context") {
    DS_ASSIGN_OR_RETURN(item.context, ContextOf(value));
    return {};
  }
  if (name == "staleness_threshold") {
    double seconds = 0;
    if (!YAML::convert<double>::decode(value, seconds) || !(seconds >= 0)) return At(value, "staleness_threshold is no number of seconds");
    item.staleness_threshold_s = seconds;
    return {};
  }
  if (!YAML::convert<int64_t>::decode(value, item.limit) || item.limit < 1) return At(value, "limit is not a number above 0");
  return {};
}

std::set<std::string> FieldsOf(const std::string& op) {
  if (op == "get" || op == "route") return {"op", "key", "routing_context"};
  if (op == "multiget") return {"op", "keys", "routing_context"};
  if (op == "health") return {"op", "staleness_threshold"};
  if (op == "history") return {"op", "limit"};
  return {"op"};
}

Result<BatchItem> ItemOf(const YAML::Node& node) {
  if (!node.IsMap()) return At(node, "a command is a mapping, as in {op: get, key: 42}");
  BatchItem item;
  if (!node["op"]) return At(node, "a command has no op");
  DS_ASSIGN_OR_RETURN(item.op, Scalar(node["op"], "op"));
  if (std::find(kOps.begin(), kOps.end(), item.op) == kOps.end()) {
    return At(node["op"], fmt::format("there is no op {}; known are {}", Printable(item.op), fmt::join(kOps, ", ")));
  }
  const std::set<std::string> fields = FieldsOf(item.op);
  for (const auto& pair : node) {
    const std::string name = pair.first.IsScalar() ? pair.first.Scalar() : "?";
    if (!fields.contains(name)) return At(pair.first, fmt::format("{} takes no {}; it takes {}", item.op, Printable(name), fmt::join(fields, ", ")));
    if (name != "op") DS_RETURN_IF_ERROR(SetField(name, pair.second, item));
  }
  const bool needs_key = fields.contains("key") || fields.contains("keys");
  if (needs_key && item.keys.empty()) return At(node, fmt::format("{} has no {}", item.op, fields.contains("key") ? "key" : "keys"));
  return item;
}

Result<Batch> BatchOf(const YAML::Node& root) {
  if (!root.IsMap() || !root["commands"] || !root["commands"].IsSequence()) return At(root, "a script is {on_error: stop|continue, commands: [...]}");
  Batch batch;
  for (const auto& pair : root) {
    const std::string name = pair.first.Scalar();
    if (name == "commands") continue;
    const std::string word = name == "on_error" && pair.second.IsScalar() ? pair.second.Scalar() : "";
    if (word != "stop" && word != "continue") return At(pair.first, "beside commands a script has on_error only, which is stop or continue");
    batch.stop_on_error = word == "stop";
  }
  for (const YAML::Node& node : root["commands"]) {
    DS_ASSIGN_OR_RETURN(BatchItem item, ItemOf(node));
    batch.items.push_back(std::move(item));
  }
  return batch;
}

}  // namespace

Result<Batch> ParseBatch(const std::string& yaml) {
  try {
    return BatchOf(YAML::Load(yaml));
  } catch (const YAML::Exception& error) {
    return Error(ErrorKind::kInvalidArgument, fmt::format("line {}: {}", error.mark.line + 1, error.msg));
  }
}

Result<Json> RunItem(Session& session, const BatchItem& item) {
  if (item.op == "get") return Get(session, item.keys.front(), item.context);
  if (item.op == "multiget") return MultiGet(session, item.keys, item.context);
  if (item.op == "route") return Route(session, item.keys.front(), item.context);
  if (item.op == "refresh") return Refresh(session);
  if (item.op == "info") return Info(session);
  if (item.op == "shards") return Shards(session);
  if (item.op == "health") return Health(session, item.staleness_threshold_s);
  return History(session, item.limit);
}

Json ScriptSchema() {
  const Json text_or_number = {{"type", Json::array({"string", "integer"})}};
  const Json command = {
      {"type", "object"},
      {"required", Json::array({"op"})},
      {"additionalProperties", false},
      {"properties",
       {{"op", {{"enum", kOps}}},
        {"key", text_or_number},
        {"keys", {{"type", "array"}, {"items", text_or_number}}},
        {"routing_context", {{"type", "object"}}},
        {"staleness_threshold", {{"type", "number"}, {"minimum", 0}}},
        {"limit", {{"type", "integer"}, {"minimum", 1}}}}}};
  return {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
          {"title", "shardy exec --script"},
          {"type", "object"},
          {"required", Json::array({"commands"})},
          {"additionalProperties", false},
          {"properties", {{"on_error", {{"enum", {"stop", "continue"}}, {"default", "stop"}}}, {"commands", {{"type", "array"}, {"items", command}}}}}};
}

}  // namespace datashard::cli::shardy
