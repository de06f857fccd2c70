// The object shard.pages.crc32c: a checksum of every page of shard.db, so that pages fetched by ranges are checked one by one.
// Bytes: docs/formats/sqlite_shard.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"

namespace datashard::sqlite {

struct PageChecksums {
  uint32_t page_size = 0;
  std::vector<uint32_t> of_pages;  ///< CRC-32C of page 1 first
};

Bytes EncodePageChecksums(uint32_t page_size, std::span<const uint32_t> of_pages);
/// Errors: kCorruption; kUnsupported for a version of later writers. `uri` is what messages call the object.
Result<PageChecksums> DecodePageChecksums(const std::string& uri, ByteView bytes);

}  // namespace datashard::sqlite
