// Hashes as S3 wants them, by OpenSSL.
#pragma once

#include <string>

#include "base/bytes.h"

namespace datashard::s3 {

/// 32 raw bytes.
Bytes Sha256(ByteView bytes);
Bytes HmacSha256(ByteView key, ByteView message);
/// 16 raw bytes; for Content-MD5, which some servers still want on a bulk delete.
Bytes Md5(ByteView bytes);
std::string Hex(ByteView bytes);
std::string Base64(ByteView bytes);

}  // namespace datashard::s3
