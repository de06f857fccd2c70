// Many ranges of one file with few requests.
#pragma once

#include <functional>
#include <span>

#include "base/bytes.h"
#include "datashard/result.h"
#include "kv/shard_directory.h"

namespace datashard::kv {

/// Reads `ranges`, which ascend and do not overlap. Those at most 64 KiB apart come by one request of up to 2 MiB, with what lies between
/// them; requests go side by side, of 32 MiB at once (a larger range is one request still). `take` is called for each range in order;
/// the bytes are valid during the call, and an error of it ends the reading. Errors: those of ShardFile::Read.
Status ReadJoined(const ShardFile& file, std::span<const ByteRange> ranges, const std::function<Status(size_t range, ByteView bytes)>& take);

}  // namespace datashard::kv
