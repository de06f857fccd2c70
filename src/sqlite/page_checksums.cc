#include "sqlite/page_checksums.h"

#include "base/crc32c.h"
#include "base/error.h"
#include "sqlite/little_endian.h"

namespace datashard::sqlite {
namespace {

constexpr std::string_view kMagic = "DSPC";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 16;

}  // namespace

Bytes EncodePageChecksums(uint32_t page_size, std::span<const uint32_t> of_pages) {
  Bytes bytes(kMagic);
  bytes.reserve(kHeaderBytes + 4 * of_pages.size() + 4);
  for (const uint32_t number : {kVersion, page_size, static_cast<uint32_t>(of_pages.size())}) AppendLittle32(bytes, number);
  for (const uint32_t checksum : of_pages) AppendLittle32(bytes, checksum);
  AppendLittle32(bytes, Crc32c(bytes));
  return bytes;
}

Result<PageChecksums> DecodePageChecksums(const std::string& uri, ByteView bytes) {
  if (bytes.size() < kHeaderBytes + 4 || bytes.substr(0, 4) != kMagic) {
    return Corruption("{} ({} bytes) holds no page checksums: it does not begin with \"{}\"", uri, bytes.size(), kMagic);
  }
  if (LoadLittle32(&bytes[4]) != kVersion) return Unsupported("{}: version {}; this reader knows {}", uri, LoadLittle32(&bytes[4]), kVersion);
  PageChecksums checksums{.page_size = LoadLittle32(&bytes[8])};
  const uint64_t count = LoadLittle32(&bytes[12]);
  if (bytes.size() != kHeaderBytes + 4 * count + 4) {
    return Corruption("{}: {} bytes are expected for {} pages, and it has {}", uri, kHeaderBytes + 4 * count + 4, count, bytes.size());
  }
  const uint32_t expected = LoadLittle32(&bytes[bytes.size() - 4]);
  const uint32_t found = Crc32c(bytes.substr(0, bytes.size() - 4));
  if (found != expected) return Corruption("{}: its own checksum is {:08x}, and its bytes give {:08x}", uri, expected, found);
  checksums.of_pages.reserve(count);
  for (uint64_t i = 0; i < count; ++i) checksums.of_pages.push_back(LoadLittle32(&bytes[kHeaderBytes + 4 * i]));
  return checksums;
}

}  // namespace datashard::sqlite
