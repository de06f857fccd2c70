// What holds in every manifest, whoever wrote it.
#pragma once

#include "datashard/sharded_manifest.h"

namespace datashard::generation {

/// Of shards: a reader keeps something for each, so that the number in a damaged manifest must not take its memory.
inline constexpr int32_t kNumDbsMax = 1 << 20;

/// Errors: kInvalidArgument that says which rule is broken, by what.
Status CheckManifest(const ShardedManifest& manifest);
/// Usable in names below a prefix: not empty, without '/'. Errors: kInvalidArgument.
Status CheckRunId(std::string_view run_id);

}  // namespace datashard::generation
