// The numbers of the SQLite file format and how they are stored. Source: "Database File Format" of the SQLite documentation.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/bytes.h"

namespace datashard::sqlite {

inline constexpr std::string_view kDatabaseName = "shard.db";
inline constexpr std::string_view kPageChecksumsName = "shard.pages.crc32c";
inline constexpr std::string_view kSchemaSql = "CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID";

inline constexpr uint32_t kPageSizeMin = 512;
inline constexpr uint32_t kPageSizeMax = 65'536;
inline constexpr uint32_t kFileHeaderBytes = 100;
/// The page that holds this byte is never used: the engine locks there. Files beyond 1 GiB have it.
inline constexpr int64_t kLockByte = int64_t{1} << 30;
/// Rows above are refused by the engine unless it was built otherwise (SQLITE_MAX_LENGTH).
inline constexpr uint64_t kPayloadBytesMax = 1'000'000'000;
/// No tree the engine reads is deeper.
inline constexpr int kDepthMax = 20;

enum PageType : uint8_t { kIndexInterior = 2, kTableInterior = 5, kIndexLeaf = 10, kTableLeaf = 13 };

inline bool IsPageSize(int64_t size) { return size >= kPageSizeMin && size <= kPageSizeMax && (size & (size - 1)) == 0; }

inline uint32_t LoadU16(const char* at) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(at);
  return static_cast<uint32_t>(bytes[0]) << 8 | bytes[1];
}
inline uint32_t LoadU32(const char* at) { return LoadU16(at) << 16 | LoadU16(at + 2); }
inline void StoreU16(char* at, uint32_t number) {
  at[0] = static_cast<char>(number >> 8);
  at[1] = static_cast<char>(number);
}
inline void StoreU32(char* at, uint32_t number) {
  StoreU16(at, number >> 16);
  StoreU16(at + 2, number);
}

/// Reads the varint at `*at` and moves behind it; false where it does not end before `end`.
inline bool ReadVarint(const char** at, const char* end, uint64_t* number) {
  uint64_t read = 0;
  for (int i = 0; i < 9 && *at < end; ++i) {
    const auto byte = static_cast<unsigned char>(*(*at)++);
    if (i == 8) {
      *number = read << 8 | byte;
      return true;
    }
    read = read << 7 | (byte & 0x7f);
    if (byte < 0x80) {
      *number = read;
      return true;
    }
  }
  return false;
}

/// Numbers below 2^35 only, which lengths are; at most 5 bytes. Returns the place behind it.
inline char* WriteVarint(char* at, uint64_t number) {
  int shift = 0;
  while (shift < 28 && number >> (shift + 7) != 0) shift += 7;
  for (; shift > 0; shift -= 7) *at++ = static_cast<char>(0x80 | (number >> shift & 0x7f));
  *at++ = static_cast<char>(number & 0x7f);
  return at;
}

/// How much of a payload stays in its page; the rest is in a chain of overflow pages.
struct LocalRule {
  uint32_t usable = 0;     ///< bytes of a page without those reserved at its end
  uint32_t local_max = 0;  ///< a payload of at most these has no overflow

  /// For all pages of an index tree, which a table WITHOUT ROWID is.
  static LocalRule OfIndex(uint32_t usable) { return {usable, (usable - 12) * 64 / 255 - 23}; }
  static LocalRule OfTableLeaf(uint32_t usable) { return {usable, usable - 35}; }

  uint32_t LocalBytes(uint64_t payload_bytes) const {
    if (payload_bytes <= local_max) return static_cast<uint32_t>(payload_bytes);
    const uint32_t local_min = (usable - 12) * 32 / 255 - 23;
    const auto wanted = static_cast<uint32_t>(local_min + (payload_bytes - local_min) % (usable - 4));
    return wanted <= local_max ? wanted : local_min;
  }
};

}  // namespace datashard::sqlite
