// The suite of all shard formats on this one, with and without a codec and a filter.
#include "kv/conformance.h"

#include "base/clock.h"
#include "base/random.h"
#include "slatedb/slatedb_shard.h"

namespace datashard::kv {
namespace {

Format Of(std::string name, slatedb::SlateDbWriterOptions options) {
  return {.name = std::move(name),
          .new_writer = [options](OutputFactory outputs) { return slatedb::NewSlateDbWriter(options, std::move(outputs), SystemClock(), SystemRandom()); },
          .open = [](const ShardDirectory& directory) { return slatedb::OpenSlateDbShard(directory); },
          .every_byte_is_checked = true};
}

using slatedb::Compression;
DS_DATABASE_CONFORMANCE(Plain, Of("Plain", {}));
DS_DATABASE_CONFORMANCE(Filtered, Of("Filtered", {.min_filter_keys = 0}));
DS_DATABASE_CONFORMANCE(SmallBlocks, Of("SmallBlocks", {.block_size_bytes = 128, .filter_bits_per_key = 3, .min_filter_keys = 0}));
DS_DATABASE_CONFORMANCE(Snappy, Of("Snappy", {.compression = Compression::kSnappy, .block_size_bytes = 65535, .min_filter_keys = 0}));
DS_DATABASE_CONFORMANCE(Zlib, Of("Zlib", {.compression = Compression::kZlib, .min_filter_keys = 0}));
DS_DATABASE_CONFORMANCE(Lz4, Of("Lz4", {.compression = Compression::kLz4, .min_filter_keys = INT64_MAX}));
DS_DATABASE_CONFORMANCE(Zstd, Of("Zstd", {.compression = Compression::kZstd, .block_size_bytes = 1024, .min_filter_keys = 0}));

}  // namespace
}  // namespace datashard::kv
