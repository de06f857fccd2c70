// What the commands, the prompt and batch scripts can do with a snapshot. Each gives one JSON object, {"op": …}.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/shardy/session.h"

namespace datashard::cli::shardy {

using Json = nlohmann::ordered_json;
/// name=value pairs as they are typed; converted to the types of the snapshot's columns.
using TypedContext = std::vector<std::pair<std::string, std::string>>;

Result<Json> Get(Session& session, const std::string& key, const TypedContext& context);
Result<Json> MultiGet(Session& session, const std::vector<std::string>& keys, const TypedContext& context);
Result<Json> Route(Session& session, const std::string& key, const TypedContext& context);
Result<Json> Info(Session& session);
Result<Json> Shards(Session& session);
Result<Json> Health(Session& session, std::optional<double> staleness_threshold_s);
Result<Json> Refresh(Session& session);
Result<Json> History(Session& session, int64_t limit);

struct RollbackTarget {
  std::optional<std::string> ref, run_id;
  std::optional<int64_t> offset;
};
/// Makes an older (or newer) manifest the current one.
Result<Json> Rollback(Session& session, const RollbackTarget& target);
Result<Json> Cleanup(Session& session, const CleanupOptions& options);
/// The JSON schema of a batch script.
Json ScriptSchema();

Json ErrorJson(const std::string& op, const Error& error, const std::optional<std::string>& key = std::nullopt);

}  // namespace datashard::cli::shardy
