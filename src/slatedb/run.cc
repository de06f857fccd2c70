#include "slatedb/run.h"

#include <algorithm>

#include "base/error.h"

namespace datashard::slatedb {
namespace {
constexpr uint8_t kKnownFlags = Row::kTombstone | Row::kHasExpiry | Row::kHasCreation | Row::kMergeOperand;
}

Run::Run(const kv::ShardDirectory& directory, std::vector<SstRef> refs) {
  for (SstRef& ref : refs) {
    starts_.push_back(ref.visible ? std::max(ref.visible->start, ref.layout.first_entry) : ref.layout.first_entry);
    ssts_.push_back(std::make_unique<Sst>(directory, std::move(ref)));
  }
}

BlockSpan Run::SstsOf(ByteView key) const {
  if (ssts_.size() == 1) return {0, 0};
  const size_t below = static_cast<size_t>(std::lower_bound(starts_.begin(), starts_.end(), key) - starts_.begin());
  size_t behind = below;
  while (behind < starts_.size() && starts_[behind] == key) ++behind;
  if (behind == 0) return {1, 0};
  return {below == 0 ? 0 : below - 1, behind - 1};
}

Result<bool> HasValue(const Row& row, Clock& clock, const std::string& uri) {
  if (row.flags & ~kKnownFlags) return Unsupported("{}: a row has flags {:#x}; {:#x} are known", uri, row.flags, kKnownFlags);
  if (row.flags & Row::kMergeOperand) {
    return Unsupported("{}: a key was changed by a merge operator; only its writer can tell the value: compact the database with that operator", uri);
  }
  if (row.flags & Row::kTombstone) return false;
  return !(row.flags & Row::kHasExpiry) || row.expires_ms > ToMillis(clock.Now());
}

}  // namespace datashard::slatedb
