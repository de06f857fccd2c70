// Keys as a shard stores them.
#include "base/error.h"
#include "routing/router.h"

namespace datashard::routing {
namespace {

int NumberSizeBytes(KeyEncoding encoding) {
  if (encoding == KeyEncoding::kU64Be) return 8;
  return encoding == KeyEncoding::kU32Be ? 4 : 0;
}

std::string_view KindOf(const KeyView& key) {
  if (key.is_number()) return "an integer";
  return key.kind() == KeyView::Kind::kText ? "text" : "bytes";
}

uint64_t FromBigEndian(ByteView bytes) {
  uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<uint8_t>(byte);
  return number;
}

Result<EncodedKey> EncodeNumber(const KeyView& key, KeyEncoding encoding, int size_bytes) {
  if (!key.is_number()) {
    return InvalidArgument("key {} is {}; {} holds integers. Pass an integer, or write with utf8 or raw keys", ToString(key), KindOf(key),
                           ToString(encoding));
  }
  const uint64_t largest = size_bytes == 8 ? UINT64_MAX : UINT32_MAX;
  const bool negative = key.kind() == KeyView::Kind::kInt && key.as_int() < 0;
  if (negative || key.as_unsigned() > largest) {
    return InvalidArgument("key {} does not fit its encoding; {} holds 0 .. {}", ToString(key), ToString(encoding), largest);
  }
  return EncodedKey::BigEndian(key.as_unsigned(), size_bytes);
}

}  // namespace

EncodedKey EncodedKey::BigEndian(uint64_t number, int size_bytes) {
  EncodedKey key;
  key.size_ = static_cast<uint8_t>(size_bytes);
  for (int i = size_bytes; i-- > 0; number >>= 8) key.number_[i] = static_cast<char>(number);
  return key;
}

Result<EncodedKey> EncodeKey(const KeyView& key, KeyEncoding encoding) {
  if (const int size_bytes = NumberSizeBytes(encoding); size_bytes > 0) return EncodeNumber(key, encoding, size_bytes);
  if (key.is_number()) {
    return InvalidArgument("key {} is an integer; {} holds text and bytes. Pass one of these, or write with u64be or u32be keys", ToString(key),
                           ToString(encoding));
  }
  return EncodedKey(key.bytes());
}

Result<EncodedKey> EncodeLookupKey(KeyView& key, KeyEncoding encoding) {
  const int size_bytes = NumberSizeBytes(encoding);
  if (size_bytes > 0 && key.kind() == KeyView::Kind::kBytes) {
    if (key.bytes().size() != static_cast<size_t>(size_bytes)) {
      return InvalidArgument("key {} has {} bytes; {} takes an integer, or the {} bytes it is stored as", ToString(key), key.bytes().size(),
                             ToString(encoding), size_bytes);
    }
    key = KeyView::Unsigned(FromBigEndian(key.bytes()));
  }
  return EncodeKey(key, encoding);
}

}  // namespace datashard::routing
