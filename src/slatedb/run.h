// A sorted run: SSTs that ascend and do not overlap. Level 0 is runs of one SST each.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "kv/database.h"
#include "slatedb/sst.h"
#include "slatedb/wal.h"

namespace datashard::slatedb {

class Run {
 public:
  Run(const kv::ShardDirectory& directory, std::vector<SstRef> refs);
  const Sst& sst(size_t index) const { return *ssts_[index]; }
  size_t size() const { return ssts_.size(); }
  /// The SSTs that may hold `key`: first to last, in the manner of BlockSpan. Versions of one key may go on in the next.
  BlockSpan SstsOf(ByteView key) const;

 private:
  std::vector<std::unique_ptr<Sst>> ssts_;
  std::vector<Bytes> starts_;  // no visible key of an SST is below
};

/// What all look-ups of a database share. Does not change.
struct Contents {
  std::vector<WalRow> wal;                 ///< ascending; newer than all runs
  std::string wal_uri;
  std::vector<std::unique_ptr<Run>> runs;  ///< the newest first
  Clock& clock;
};

/// Has the key of this row, its newest, a value? False for a tombstone and for a row that has expired. Errors: kUnsupported for a merge
/// operand and for flags we do not know.
Result<bool> HasValue(const Row& row, Clock& clock, const std::string& uri);

/// The pairs of `range`, merged from all sources. `contents` is borrowed.
std::unique_ptr<kv::Cursor> NewMergedCursor(const Contents& contents, kv::KeyRange range);

}  // namespace datashard::slatedb
