// ShardedWriter on a given place, with a given outside: what Start makes, and what simulations make.
#pragma once

#include <memory>

#include "base/outside.h"
#include "datashard/sharded_writer.h"
#include "generation/snapshot_place.h"

namespace datashard::shardwrite {

struct WriterPlace {
  std::shared_ptr<generation::SnapshotPlace> place;
  Outside outside;  ///< borrowed
};

/// As ShardedWriter::Start; of `settings` prefix and s3 are not looked at. Manifests and run records of the place are used where `parts` bring none.
Result<std::unique_ptr<ShardedWriter>> StartWriter(ShardedWriteSettings settings, ShardedWriteParts parts, WriterPlace where);

}  // namespace datashard::shardwrite
