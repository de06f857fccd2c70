// The SlateDB shard format: `manifest/…` and `compacted/….sst`, as SlateDB 0.12 to 0.17 reads and writes them. What we
// write: one sorted run of one SST, manifest version 1, SST and blocks version 2. What we read: L0, sorted runs, the WAL, of manifests,
// SSTs and blocks versions 1 and 2.
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
  int32_t block_size_bytes = 4096;   ///< 128 .. 65,535, before compression; a larger pair has a block of its own
  int32_t filter_bits_per_key = 10;  ///< 1 .. 64
  int64_t min_filter_keys = 1000;    ///< fewer keys get no bloom filter; INT64_MAX: none at all
};

/// Objects of Finish: the SST (none for an empty database), then the manifest. The SST's name is a ULID of `clock` and `random`. Holds,
/// beside its outputs, 8 bytes for each key and the index (some 1% of the data). `clock` and `random` are borrowed.
/// Errors: kInvalidArgument for options out of range (at Add or Finish), an empty key, a key above 65,535 bytes, a value of 2 GiB or more,
/// an index above 1 GiB.
std::unique_ptr<kv::DatabaseWriter> NewSlateDbWriter(SlateDbWriterOptions options, kv::OutputFactory outputs, Clock& clock, Random& random);

/// Opens the newest manifest below `directory` and replays the WAL behind it (two listings, the manifest, the WAL's objects); index and
/// filter of an SST are read when first needed (one request; until then a look-up with Residency::kResidentOnly answers kNotResident, for
/// mapped files too). Writes nothing: no checkpoint, so the database must not be garbage collected while it is read. `directory` and `clock` are borrowed by the database. Pairs with a time
/// of expiry are absent from that time on by `clock`, which is asked for nothing else.
/// Errors: kNotFound: no manifest; kCorruption; kUnsupported: format numbers, codecs or features we do not read (merge operands, at the
/// look-up of their key; parts in other databases; segments; a WAL above 1 GiB).
Result<std::unique_ptr<kv::Database>> OpenSlateDbShard(const kv::ShardDirectory& directory, Clock& clock = SystemClock());

}  // namespace datashard::slatedb
