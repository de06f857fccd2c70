// The objects of one shard database, for faces that upload them by code of their own.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "datashard/result.h"
#include "datashard/sharded_writer.h"

namespace datashard {

struct ShardObjectBytes {
  std::string name;  ///< relative to the shard's URL
  std::string content_type;
  std::string bytes;
};

/// In memory, in the order in which they are to be uploaded: the last makes the database readable. `pairs`: ascending, no key twice.
/// Without the sidecar, which needs the uploaded object's ETag. Errors: kInvalidArgument: options, keys or values that the format cannot hold.
Result<std::vector<ShardObjectBytes>> BuildShardObjects(const ShardFormatOptions& format,
                                                        std::span<const std::pair<std::string_view, std::string_view>> pairs);

/// The sidecar of a SQLite shard, but for what ties it to one uploaded object. Bytes: docs/formats/sqlite_shard.md.
struct SidecarFrameBytes {
  std::string frame;
  uint64_t body_bytes = 0;
  uint32_t page_size = 0;
};
/// Errors: kCorruption: no database of a shard; kUnsupported: one that has no sidecar.
Result<SidecarFrameBytes> BuildSqliteSidecarFrame(std::string_view database);
/// The object `shard.sidecar`. `tag`: the ETag of the uploaded database, with its quotes; without one readers decline the sidecar.
std::string SqliteSidecarOf(const SidecarFrameBytes& frame, std::string_view tag);

}  // namespace datashard
