// Records of runs as objects below a prefix. Source: docs/formats/run_record.md.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/outside.h"
#include "datashard/sharded_writer.h"
#include "generation/snapshot_place.h"

namespace datashard::generation {

/// `outside` is borrowed. Errors: kInvalidArgument: a `run_registry_prefix` that is no name.
Result<std::unique_ptr<RunRegistry>> NewObjectRunRegistry(std::shared_ptr<SnapshotPlace> place,
                                                          std::string run_registry_prefix, const Outside& outside);

/// The run whose record has this key, in any registry: "runs/<time>_run_id=<run id>_<32 hex digits>/run.yaml". None for other objects.
std::optional<std::string> RunOfRecordKey(std::string_view key);

}  // namespace datashard::generation
