#include "iceberg/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/error.h"

namespace datashard::iceberg {
namespace {

// Negative window bits are raw deflate; 16 more than the window is gzip.
int WindowBits(ZlibFormat format) { return format == ZlibFormat::kGzip ? 15 + 16 : -15; }

// Metadata is small and waited for: speed counts for more than the last bytes.
constexpr int kLevel = 1;

}  // namespace

Result<Bytes> Inflate(ByteView packed, ZlibFormat format, InflateBounds bounds) {
  if (packed.size() > std::numeric_limits<uInt>::max()) return Corruption("{} compressed bytes are too many", packed.size());
  z_stream stream{};
  if (inflateInit2(&stream, WindowBits(format)) != Z_OK) return Internal("zlib could not start to inflate");
  const int64_t most =
      std::min(bounds.size_bytes_max, static_cast<int64_t>(packed.size()) * bounds.ratio_max + 64);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  Bytes plain;
  int code = Z_OK;
  while (code == Z_OK) {
    const size_t done = plain.size();
    // One byte over the bound tells "too much" from "exactly as much".
    const size_t room = std::min<size_t>(std::max<size_t>({done, packed.size() * 4, 4096}), most + 1 - done);
    if (room == 0) break;
    plain.resize(done + room);
    stream.next_out = reinterpret_cast<Bytef*>(plain.data() + done);
    stream.avail_out = static_cast<uInt>(room);
    code = inflate(&stream, Z_NO_FLUSH);
    plain.resize(done + room - stream.avail_out);
    if (code == Z_BUF_ERROR || (code == Z_OK && stream.avail_in == 0 && stream.avail_out != 0)) break;
  }
  const bool all_read = static_cast<int64_t>(stream.avail_in) <= bounds.tail_bytes_max;
  inflateEnd(&stream);
  if (static_cast<int64_t>(plain.size()) > most) {
    return Corruption("{} compressed bytes hold more than the {} that are unpacked at most", packed.size(), most);
  }
  if (code != Z_STREAM_END) {
    return Corruption("{} compressed bytes are {}", packed.size(), code == Z_DATA_ERROR ? "damaged" : "truncated");
  }
  if (!all_read) return Corruption("{} compressed bytes end before their last byte", packed.size());
  return plain;
}

Result<Bytes> Deflate(ByteView plain, ZlibFormat format) {
  DS_CHECK(plain.size() <= std::numeric_limits<uInt>::max() / 2);
  z_stream stream{};
  // The window and tables shrink with small input: setting up the full ones costs more than packing a manifest.
  const int memory_level = plain.size() < 16 * 1024 ? 5 : 8;
  if (deflateInit2(&stream, kLevel, Z_DEFLATED, WindowBits(format), memory_level, Z_DEFAULT_STRATEGY) != Z_OK) {
    return Internal("zlib could not start to deflate");
  }
  Bytes packed(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int code = deflate(&stream, Z_FINISH);
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  DS_CHECK(code == Z_STREAM_END);
  return packed;
}

}  // namespace datashard::iceberg
