// The write-ahead log: what was written and is in no SST of the manifest yet, replayed into memory.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "kv/shard_directory.h"
#include "slatedb/block.h"
#include "slatedb/manifest.h"

namespace datashard::slatedb {

struct WalRow {
  Bytes key;
  Bytes value;
  uint64_t sequence = 0;
  uint8_t flags = 0;
  int64_t expires_ms = 0;
  Row row() const { return {.suffix = key, .value = value, .sequence = sequence, .flags = flags, .expires_ms = expires_ms}; }
};

/// The newest row of every key in the objects of wal/ behind `manifest.replay_after_wal_id`, ascending. What level 0 holds already is left
/// out. Errors: kCorruption (also for a number that is missing between two); kUnsupported beyond 1 GiB of objects.
Result<std::vector<WalRow>> ReplayWal(const kv::ShardDirectory& directory, const Manifest& manifest);

}  // namespace datashard::slatedb
