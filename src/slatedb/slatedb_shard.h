// The SlateDB shard format: `manifest/…` and `compacted/….sst`, as SlateDB 0.12 to 0.17 reads and writes them. What we write: one sorted
// run of one SST, manifest version 1, SST version 2, blocks of version 2. What we read: L0, sorted runs, the WAL.
// Bytes: docs/formats/slatedb_shard.md; why so: docs/design/0013-slatedb-shards.md.
#pragma once

#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/random.h"
#include "kv/database.h"
#include "kv/database_writer.h"
#include "kv/shard_directory.h"

namespace datashard::slatedb {

enum class Compression { kNone, kSnappy, kZlib, kLz4, kZstd };  // as numbered in the format

struct SlateDbWriterOptions {
  Compression compression = Compression::kNone;
  int32_t block_size_bytes = 4096;
  int32_t filter_bits_per_key = 10;
  int64_t min_filter_keys = 1000;  ///< fewer keys get no bloom filter
};

/// Objects of Finish: the SST (none for an empty database), then the manifest. The SST's name is a ULID of `clock` and `random`.
/// Errors: kInvalidArgument for an empty key, a key above 65,535 bytes.
std::unique_ptr<kv::DatabaseWriter> NewSlateDbWriter(SlateDbWriterOptions options, kv::OutputFactory outputs, Clock& clock, Random& random);

/// Opens the newest manifest below `directory` and replays the WAL behind it; index and filter of an SST are read when first needed. Writes nothing: no checkpoint, so the
/// database must not be garbage collected while it is read. `directory` is borrowed by the database.
/// Errors: kNotFound: no manifest; kCorruption; kUnsupported: format numbers, codecs or features we do not read.
Result<std::unique_ptr<kv::Database>> OpenSlateDbShard(const kv::ShardDirectory& directory);

}  // namespace datashard::slatedb
