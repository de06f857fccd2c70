// CRC-32C (Castagnoli), the checksum of pages and blocks: by the processor's instruction where it has one, else by a table.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace datashard {

/// Of `bytes` after those whose checksum `before` is: Crc32c(b, Crc32c(a)) == Crc32c(a + b). Source: RFC 3720, appendix B.4.
uint32_t Crc32c(ByteView bytes, uint32_t before = 0);
/// The same without the instruction; for machines that lack it, and for tests.
uint32_t Crc32cByTable(ByteView bytes, uint32_t before = 0);

}  // namespace datashard
