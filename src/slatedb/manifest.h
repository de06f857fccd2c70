// What a manifest says of a database, as plain values; and the manifest of a database that was just built.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"
#include "kv/shard_directory.h"
#include "slatedb/slatedb_shard.h"

namespace datashard::slatedb {

/// Where the parts of an SST lie.
struct SstLayout {
  Bytes first_entry;
  std::optional<Bytes> last_entry;
  uint64_t index_offset = 0, index_size = 0;
  uint64_t filter_offset = 0, filter_size = 0;  ///< the blocks end at filter_offset, also where there is no filter
  uint64_t stats_offset = 0, stats_size = 0;
  Compression compression = Compression::kNone;
  bool is_wal = false;
  bool composite_filter = false;
  bool operator==(const SstLayout&) const = default;
};
/// The flatbuffer SsTableInfo. Errors: kCorruption; kUnsupported: a codec or a filter format we do not know.
Result<SstLayout> DecodeLayout(ByteView flatbuffer, const std::string& uri);
Bytes EncodeLayout(const SstLayout& layout);

struct Ulid {
  uint64_t high = 0, low = 0;
  bool operator==(const Ulid&) const = default;
};
/// Its 26 letters.
std::string ToText(const Ulid& ulid);
Ulid NewUlid(Clock& clock, Random& random);
/// "compacted/01J….sst"
std::string SstName(const Ulid& ulid);

/// The keys of an SST that count.
struct KeyBounds {
  Bytes start;
  bool start_excluded = false;
  std::optional<Bytes> end;
  bool end_included = false;
  bool Contains(ByteView key) const { return !IsBelow(key) && !IsAbove(key); }
  bool IsBelow(ByteView key) const { return key < start || (start_excluded && key == start); }
  bool IsAbove(ByteView key) const { return end && (key > *end || (!end_included && key == *end)); }
};

struct SstRef {
  Ulid id;
  int version = 2;
  SstLayout layout;
  std::optional<KeyBounds> visible;
};

struct Manifest {
  /// The newest first: each SST of level 0 alone, then the sorted runs, whose SSTs ascend and do not overlap.
  std::vector<std::vector<SstRef>> runs;
  uint64_t replay_after_wal_id = 0;
  uint64_t last_l0_sequence = 0;
};

/// The manifest with the highest number below `directory`. Errors: kNotFound: there is none; kCorruption; kUnsupported: a version other
/// than 1 and 2, parts in other databases, a WAL in another store, segments, a database that is not initialized.
Result<Manifest> ReadNewestManifest(const kv::ShardDirectory& directory);
Result<Manifest> DecodeManifest(ByteView bytes, const std::string& uri);

inline constexpr const char* kFirstManifestName = "manifest/00000000000000000001.manifest";
/// Version 1, with our checksum behind it. `sst` is its only run; none for an empty database.
Bytes EncodeManifest(const std::optional<SstRef>& sst, uint64_t rows);

}  // namespace datashard::slatedb
