#include "routing/hash.h"

#include <bit>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/error.h"
#include "routing/router.h"

namespace datashard::routing {

static_assert(std::endian::native == std::endian::little, "integers are hashed as they lie in memory");

uint64_t DigestOfNumber(uint64_t number) { return XXH3_64bits(&number, sizeof number); }

uint64_t DigestOf(ByteView bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

Result<uint64_t> HashOf(const KeyView& key) {
  if (!key.is_number()) return DigestOf(key.bytes());
  if (key.kind() == KeyView::Kind::kUnsigned) {
    return InvalidArgument("key {}: hash sharding takes integers of int64; the largest is {}", ToString(key), INT64_MAX);
  }
  return DigestOfNumber(key.as_unsigned());
}

}  // namespace datashard::routing
