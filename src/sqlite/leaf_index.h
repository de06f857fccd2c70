// Which leaf of a mapped tree a key would be in, without passing the pages above: in an index tree rows are stored on all levels, so each of
// those costs a lookup as many cache misses as a leaf does.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "sqlite/pages.h"

namespace datashard::sqlite {

/// 12 bytes for each leaf: up to 8 bytes of every key that divides two of them. Immutable.
class LeafIndex {
 public:
  /// Looks at all pages above the leaves. Null where there are none, where they are not in order, or where keys are alike too far.
  static std::unique_ptr<const LeafIndex> Build(const Pages& pages, uint32_t root);

  /// The only leaf that can have `key`; 0 where that cannot be told.
  uint32_t LeafOf(ByteView key) const;
  int64_t memory_bytes() const { return static_cast<int64_t>(sizeof *this + prefix_.capacity() + 8 * firsts_.capacity() + 4 * leaves_.capacity()); }

 private:
  LeafIndex() = default;
  bool Add(const Pages& pages, uint32_t number, int levels_below, uint32_t* pages_left, std::vector<ByteView>* dividers);

  Bytes prefix_;                  // of all dividing keys
  std::vector<uint64_t> firsts_;  // their next 8 bytes, as numbers that compare as the bytes do
  std::vector<uint32_t> leaves_;  // one more: that before each, and the last
};

}  // namespace datashard::sqlite
