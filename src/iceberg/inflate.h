// zlib, both ways, with a bound on what comes out.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "datashard/result.h"

namespace datashard::iceberg {

enum class ZlibFormat { kRawDeflate, kGzip };

struct InflateBounds {
  int64_t size_bytes_max = 0;
  /// Most bytes out per byte in; deflate itself ends at 1032.
  int64_t ratio_max = 1032;
  /// Bytes that may follow the stream.
  int64_t tail_bytes_max = 0;
};

/// Exactly one stream that fills all of `packed` but the tail. Errors: kCorruption (no context: the caller knows the object).
Result<Bytes> Inflate(ByteView packed, ZlibFormat format, InflateBounds bounds);
Result<Bytes> Deflate(ByteView plain, ZlibFormat format);

}  // namespace datashard::iceberg
