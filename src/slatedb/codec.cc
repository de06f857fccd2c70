#include "slatedb/codec.h"

#include <lz4.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

#include "base/crc32.h"
#include "base/error.h"

namespace datashard::slatedb {
namespace {

constexpr size_t kPlainBytesMax = (size_t{2} << 30) + (size_t{1} << 20);  // the largest value, and what stands around it
constexpr size_t kSnappyRatioMax = 64;
constexpr size_t kLz4RatioMax = 255;
constexpr int kZstdLevel = 3;

Bytes Snappy(ByteView bytes) {
  Bytes out;
  snappy::Compress(bytes.data(), bytes.size(), &out);
  return out;
}

Result<Bytes> Zlib(ByteView bytes) {
  uLongf size = compressBound(bytes.size());
  Bytes out(size, '\0');
  const int done = compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(),
                             Z_DEFAULT_COMPRESSION);
  if (done != Z_OK) return Internal("zlib could not compress {} bytes (answer {})", bytes.size(), done);
  out.resize(size);
  return out;
}

Result<Bytes> Lz4(ByteView bytes) {
  if (bytes.size() > LZ4_MAX_INPUT_SIZE) {
    return InvalidArgument("a block of {} bytes is more than lz4 can compress ({}); use another codec", bytes.size(), LZ4_MAX_INPUT_SIZE);
  }
  Bytes out(4 + static_cast<size_t>(LZ4_compressBound(static_cast<int>(bytes.size()))), '\0');
  for (int i = 0; i < 4; ++i) out[static_cast<size_t>(i)] = static_cast<char>(bytes.size() >> (8 * i));
  const int size = LZ4_compress_default(bytes.data(), out.data() + 4, static_cast<int>(bytes.size()), static_cast<int>(out.size() - 4));
  if (size <= 0) return Internal("lz4 could not compress {} bytes", bytes.size());
  out.resize(4 + static_cast<size_t>(size));
  return out;
}

Result<Bytes> Zstd(ByteView bytes) {
  Bytes out(ZSTD_compressBound(bytes.size()), '\0');
  const size_t size = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), kZstdLevel);
  if (ZSTD_isError(size)) return Internal("zstd could not compress {} bytes: {}", bytes.size(), ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

std::optional<Bytes> FromSnappy(ByteView bytes) {
  size_t size = 0;
  if (!snappy::GetUncompressedLength(bytes.data(), bytes.size(), &size)) return std::nullopt;
  if (size > kPlainBytesMax || size > bytes.size() * kSnappyRatioMax) return std::nullopt;
  Bytes out(size, '\0');
  if (!snappy::RawUncompress(bytes.data(), bytes.size(), out.data())) return std::nullopt;
  return out;
}

std::optional<Bytes> FromLz4(ByteView bytes) {
  if (bytes.size() < 4 || bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) return std::nullopt;
  size_t size = 0;
  for (size_t i = 0; i < 4; ++i) size |= static_cast<size_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  if (size > LZ4_MAX_INPUT_SIZE || size > bytes.size() * kLz4RatioMax) return std::nullopt;
  Bytes out(size, '\0');
  const int read = LZ4_decompress_safe(bytes.data() + 4, out.data(), static_cast<int>(bytes.size() - 4), static_cast<int>(size));
  if (read < 0 || static_cast<size_t>(read) != size) return std::nullopt;
  return out;
}

// Room for more of an output that grows as it is filled; false beyond the limit.
bool Grow(Bytes& out, size_t used) {
  if (used < out.size()) return true;
  if (out.size() >= kPlainBytesMax) return false;
  out.resize(std::min(kPlainBytesMax, std::max<size_t>(4096, out.size() * 2)));
  return true;
}

std::optional<Bytes> FromZlib(ByteView bytes) {
  if (bytes.size() > std::numeric_limits<uInt>::max()) return std::nullopt;
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return std::nullopt;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  Bytes out(bytes.size() * 2, '\0');
  size_t used = 0;
  int state = Z_OK;
  while (state == Z_OK && Grow(out, used)) {
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    stream.avail_out = static_cast<uInt>(std::min<size_t>(out.size() - used, std::numeric_limits<uInt>::max()));
    state = inflate(&stream, Z_NO_FLUSH);
    used = static_cast<size_t>(reinterpret_cast<char*>(stream.next_out) - out.data());
  }
  const bool whole = state == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  if (!whole) return std::nullopt;
  out.resize(used);
  return out;
}

struct FreeZstd {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

std::optional<Bytes> FromZstd(ByteView bytes) {
  const std::unique_ptr<ZSTD_DCtx, FreeZstd> context(ZSTD_createDCtx());
  if (!context) return std::nullopt;
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  Bytes out(bytes.size() * 2, '\0');
  size_t used = 0;
  size_t hint = 1;
  while (hint != 0) {
    if (!Grow(out, used)) return std::nullopt;
    ZSTD_outBuffer piece{out.data() + used, out.size() - used, 0};
    const size_t before = in.pos;
    hint = ZSTD_decompressStream(context.get(), &piece, &in);
    if (ZSTD_isError(hint)) return std::nullopt;
    if (hint != 0 && piece.pos == 0 && in.pos == before) return std::nullopt;  // it ends too early
    used += piece.pos;
  }
  if (in.pos != in.size) return std::nullopt;
  out.resize(used);
  return out;
}

}  // namespace

Result<Bytes> Compress(ByteView bytes, Compression compression) {
  switch (compression) {
    case Compression::kNone: break;
    case Compression::kSnappy: return Snappy(bytes);
    case Compression::kZlib: return Zlib(bytes);
    case Compression::kLz4: return Lz4(bytes);
    case Compression::kZstd: return Zstd(bytes);
  }
  return Bytes(bytes);
}

Result<Bytes> Seal(ByteView bytes, Compression compression) {
  DS_ASSIGN_OR_RETURN(Bytes stored, Compress(bytes, compression));
  AppendBigEndian(stored, Crc32(stored));
  return stored;
}

std::optional<ByteView> CheckCrc(ByteView stored) {
  if (stored.size() < kCrcBytes) return std::nullopt;
  const ByteView bytes = stored.substr(0, stored.size() - kCrcBytes);
  if (Crc32(bytes) != BigEndianAt<uint32_t>(bytes.data() + bytes.size())) return std::nullopt;
  return bytes;
}

std::optional<Bytes> Decompress(ByteView compressed, Compression compression) {
  switch (compression) {
    case Compression::kNone: return Bytes(compressed);
    case Compression::kSnappy: return FromSnappy(compressed);
    case Compression::kZlib: return FromZlib(compressed);
    case Compression::kLz4: return FromLz4(compressed);
    case Compression::kZstd: return FromZstd(compressed);
  }
  return std::nullopt;
}

}  // namespace datashard::slatedb
