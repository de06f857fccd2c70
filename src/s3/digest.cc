#include "s3/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace datashard::s3 {
namespace {

Bytes Digest(const EVP_MD* kind, ByteView bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, kind, nullptr);
  return Bytes(reinterpret_cast<const char*>(digest), size);
}

}  // namespace

Bytes Sha256(ByteView bytes) { return Digest(EVP_sha256(), bytes); }
Bytes Md5(ByteView bytes) { return Digest(EVP_md5(), bytes); }

Bytes HmacSha256(ByteView key, ByteView message) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(message.data()),
       message.size(), digest, &size);
  return Bytes(reinterpret_cast<const char*>(digest), size);
}

std::string Hex(ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

std::string Base64(ByteView bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends with a NUL
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

}  // namespace datashard::s3
