#include "kv/object_digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace datashard::kv {

struct alignas(64) ObjectDigest::State {
  XXH3_state_t xxh3;
};

ObjectDigest::ObjectDigest() : state_(std::make_unique<State>()) {
  XXH3_INITSTATE(&state_->xxh3);
  (void)XXH3_64bits_reset(&state_->xxh3);
}
ObjectDigest::~ObjectDigest() = default;

void ObjectDigest::Append(ByteView bytes) { (void)XXH3_64bits_update(&state_->xxh3, bytes.data(), bytes.size()); }

uint64_t ObjectDigest::xxh3_64() const { return XXH3_64bits_digest(&state_->xxh3); }

}  // namespace datashard::kv
