// The bloom filter of an SST: hash, bits, and the composite block it is stored in.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace datashard::slatedb {

/// SipHash-1-3 under the key 0.
uint64_t FilterHash(ByteView key);

/// A filter in bytes that are somebody else's: u16 probes, then the bits.
class FilterView {
 public:
  /// None where `data` is no filter.
  static std::optional<FilterView> Parse(ByteView data);
  /// False only where no key of this hash is in the SST.
  bool MayContain(uint64_t hash) const;

 private:
  FilterView(uint32_t probes, ByteView bits) : probes_(probes), bits_(bits) {}
  uint32_t probes_;
  ByteView bits_;
};

/// The data of a filter over `hashes`: bits_per_key * hashes.size() bits, rounded up to bytes.
Bytes BuildFilter(const std::vector<uint64_t>& hashes, int32_t bits_per_key);

/// A composite block of one bloom filter.
Bytes CompositeOf(ByteView filter_data);
struct Composite {
  bool valid = false;
  std::optional<ByteView> bloom;  ///< the data of the filter "_bf"; none where only other policies wrote theirs
};
Composite ParseComposite(ByteView block);

}  // namespace datashard::slatedb
