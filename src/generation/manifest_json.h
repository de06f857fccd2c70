// The JSON texts in a manifest's columns, both ways. What is read is untrusted: every shape and every bound is checked.
// Source: docs/formats/sharded_manifest.md.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "datashard/sharded_manifest.h"

namespace datashard::generation {

using Json = nlohmann::json;

/// Errors: kCorruption: no JSON, or nested deeper than 64; says `what` it should have been.
Result<Json> ParseJson(std::string_view text, std::string_view what);
/// As ParseJson, of an object.
Result<Json> ParseObject(std::string_view text, std::string_view what);
/// Members by name, no spaces, ASCII. Strings in it are UTF-8.
std::string JsonText(const Json& json);

/// Without the routing values where those are bytes and have to be told in custom.datashard (see own_fields.h).
std::string ShardingText(const ShardingSpec& sharding);
/// Columns come in the order of their names. Errors: kCorruption.
Result<ShardingSpec> ReadSharding(std::string_view text);

/// None for bytes that are no UTF-8.
std::optional<std::string> KeyText(const Key& key);
/// None for "null". Errors: kCorruption.
Result<std::optional<Key>> ReadKey(std::string_view text, std::string_view what);

std::string WriterInfoText(const ShardWriterInfo& info);
Result<ShardWriterInfo> ReadWriterInfo(std::string_view text);

/// Integers: 0 .. 2^63-1. Errors: kCorruption: `what` is none.
Result<int64_t> CountOf(const Json& json, std::string_view what);
/// The member, or null where there is none.
const Json* Member(const Json& object, std::string_view name);

}  // namespace datashard::generation
