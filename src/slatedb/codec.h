// Compression and checksums of the pieces of an SST: what is stored is compressed first, its CRC-32 (big-endian) follows.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "datashard/result.h"
#include "slatedb/slatedb_shard.h"

namespace datashard::slatedb {

inline constexpr size_t kCrcBytes = 4;

/// Errors: kInvalidArgument where a codec cannot take so many bytes.
Result<Bytes> Compress(ByteView bytes, Compression compression);
/// `bytes`, compressed, with its CRC-32 behind it. Errors: as Compress.
Result<Bytes> Seal(ByteView bytes, Compression compression);
/// The bytes in front of the CRC-32 of `stored`, compressed still; none where it is wrong.
std::optional<ByteView> CheckCrc(ByteView stored);
/// Undoes the compression; none for bytes that are not what the codec makes, or for more than 2 GiB and 1 MiB. Never allocates more than
/// the bytes really are, or can be by the codec's ratio.
std::optional<Bytes> Decompress(ByteView compressed, Compression compression);

// Big-endian numbers, as all framing has them.
template <typename T>
void AppendBigEndian(Bytes& out, T value) {
  for (int shift = static_cast<int>(sizeof(T)) * 8 - 8; shift >= 0; shift -= 8) out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> shift));
}
/// Reads sizeof(T) bytes at `from`, which must be there.
template <typename T>
T BigEndianAt(const char* from) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = value << 8 | static_cast<unsigned char>(from[i]);
  return static_cast<T>(value);
}

}  // namespace datashard::slatedb
