// The checksum of an object of a shard: xxh3_64 over all its bytes, seed 0, piece by piece.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace datashard::kv {

class ObjectDigest {
 public:
  ObjectDigest();
  ~ObjectDigest();
  void Append(ByteView bytes);
  uint64_t xxh3_64() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace datashard::kv
