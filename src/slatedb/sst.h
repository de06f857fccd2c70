// One SST, opened: which blocks may hold a key, and the blocks themselves, checked.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fork.h"
#include "kv/database.h"
#include "kv/shard_directory.h"
#include "slatedb/block.h"
#include "slatedb/filter.h"
#include "slatedb/manifest.h"

namespace datashard::slatedb {

namespace fb {
struct SsTableIndex;
}

/// A block's bytes, and what keeps them where they are (nothing, where they are mapped).
struct PinnedBlock {
  BlockView view;
  std::shared_ptr<const Bytes> owner;
};

/// May blocks that were fetched take the place of others in the cache?
enum class Keeping {
  kNothing,  ///< no: they will not be wanted again soon
  kAShare,   ///< up to BlockCache::share_bytes
};

/// Blocks `first` to `last` of an SST may hold a key; none where `first` is above `last`.
struct BlockSpan {
  size_t first = 0;
  size_t last = 0;
};

/// Filter and index of an SST, and its blocks. Callable from several threads, without a lock; does not change.
class OpenedSst {
 public:
  /// Reads and checks everything behind the blocks: one request. `layout` null, as for the WAL: what the file says of itself counts, and
  /// it is read as a whole where it is not mapped.
  static Result<std::unique_ptr<OpenedSst>> Open(std::unique_ptr<kv::ShardFile> file, kv::BlockCache& cache, const SstLayout* layout, int version);

  size_t block_count() const { return block_count_; }
  bool is_mapped() const { return mapped_.has_value(); }
  const SstLayout& layout() const { return layout_; }
  const std::string& uri() const { return file_->uri(); }
  int64_t memory_bytes() const;
  /// The error for a block whose checksum is right and whose rows are not.
  Error RowsDamaged(size_t block) const { return Damaged(block, "has a row that ends behind it"); }

  bool MayContain(uint64_t hash) const { return !filter_ || filter_->MayContain(hash); }
  BlockSpan BlocksOf(ByteView key) const;
  /// The first key of a block, or one between that and the last key of the block before.
  ByteView FirstKey(size_t block) const;

  /// None where a request would be needed and `residency` forbids it.
  Result<std::optional<PinnedBlock>> Block(size_t block, kv::Residency residency) const;
  /// Of a block as it is stored.
  int64_t StoredBytes(size_t block) const { return RangeOf(block).size_bytes; }
  /// Brings `blocks`, which ascend, in: what is missing by joined requests. \return in the same order, whatever the cache keeps of them.
  Result<std::vector<PinnedBlock>> Blocks(std::span<const size_t> blocks, Keeping keeping) const;

 private:
  OpenedSst(std::unique_ptr<kv::ShardFile> file, kv::BlockCache& cache, SstLayout layout, int version);
  Status Load(bool layout_is_given);
  Status CheckEnd(ByteView tail, uint64_t tail_offset);
  // Where the blocks end.
  uint64_t PartsOffset() const;
  Status LoadFilter(ByteView stored);
  Status LoadIndex(ByteView stored);
  // A block is what lies between its offset and the next block's.
  ByteRange RangeOf(size_t block) const;
  Result<PinnedBlock> Mapped(size_t block) const;
  std::optional<PinnedBlock> Cached(size_t block) const;
  // Checks and decompresses what was stored, and puts it into the cache where it is to be kept.
  Result<PinnedBlock> Take(size_t block, ByteView stored, bool is_kept) const;
  Result<PinnedBlock> Parse(size_t block, ByteView bytes, std::shared_ptr<const Bytes> owner) const;
  Error Damaged(size_t block, const char* what) const;

  const std::unique_ptr<kv::ShardFile> file_;
  kv::BlockCache& cache_;
  const std::optional<ByteView> mapped_;
  SstLayout layout_;
  int version_;
  Bytes index_bytes_;
  const fb::SsTableIndex* index_ = nullptr;  // in index_bytes_
  size_t block_count_ = 0;
  Bytes filter_bytes_;  // where the filter is neither mapped nor uncompressed
  std::optional<FilterView> filter_;
  std::unique_ptr<std::atomic<uint64_t>[]> verified_;  // a bit for every block of a mapped file whose CRC was found right
};

/// An SST of the manifest, opened when it is first needed. Callable from several threads, also after a fork.
class Sst {
 public:
  Sst(const kv::ShardDirectory& directory, SstRef ref) : directory_(directory), ref_(std::move(ref)) {}
  ~Sst() { delete opened_.load(); }
  Sst(const Sst&) = delete;
  Sst& operator=(const Sst&) = delete;

  const SstRef& ref() const { return ref_; }
  /// Can the manifest tell that `key` is not in it?
  bool Excludes(ByteView key) const {
    return key < ref_.layout.first_entry || (ref_.layout.last_entry && key > *ref_.layout.last_entry) || (ref_.visible && !ref_.visible->Contains(key));
  }
  /// Null where it was not opened yet and `residency` forbids that. Errors are not remembered.
  Result<const OpenedSst*> Open(kv::Residency residency) const;
  int64_t memory_bytes() const;

 private:
  const kv::ShardDirectory& directory_;
  const SstRef ref_;
  struct Opening {};
  mutable PerProcess<Opening> opening_;
  mutable std::atomic<const OpenedSst*> opened_{nullptr};  // owned, once it is whole
};

}  // namespace datashard::slatedb
