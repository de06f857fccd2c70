// What of a file in a remote store is fetched, and by which requests: a request costs a round trip, bytes cost little.
#pragma once

#include <cstdint>
#include <vector>

#include "datashard/filter.h"
#include "datashard/manifest.h"
#include "datashard/schema.h"
#include "storage/object_store.h"

namespace datashard::data {

/// Is `file` better read whole, by one request, than its footer first and then the columns `fields` of the row groups that may
/// match `filter`? So small ones, and those up to 4 MiB of which at least half is wanted anyway.
bool IsReadWhole(const DataFile& file, const std::vector<Field>& fields, const Filter& filter);

struct CoalesceLimits {
  int64_t gap_bytes_max = 1 << 20;    // unwanted bytes between two ranges that are fetched with them
  int64_t range_bytes_max = 4 << 20;  // larger ones are cut, so that the pieces come in parallel
};

/// Few ranges that hold all of `wanted`, in order and apart. Empty ones are left out; none must be negative.
std::vector<ByteRange> Coalesced(std::vector<ByteRange> wanted, const CoalesceLimits& limits = {});

}  // namespace datashard::data
