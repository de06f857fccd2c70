// What only we say in a manifest: the member `datashard` of its `custom`. Other readers pass it over.
// Source: docs/formats/sharded_manifest.md, "custom.datashard".
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "datashard/sharded_manifest.h"

namespace datashard::generation {

enum class NulCharacters {
  kKept,    ///< the columns hold any text
  kCannot,  ///< a text key with a NUL has to be told here (PostgreSQL)
};

/// Null where there is nothing to say. The manifest keeps the rules of manifest_rules.h.
nlohmann::json OwnFields(const ShardedManifest& manifest, NulCharacters nul);
/// Fills in the fields of `manifest`, whose columns were read. Errors: kCorruption: a member of another shape; kUnsupported: another version.
Status ReadOwnFields(const nlohmann::json& own, ShardedManifest& manifest);

}  // namespace datashard::generation
