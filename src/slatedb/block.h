// The blocks of an SST, decompressed and checked: rows in ascending order of keys, of one key the newest first. Bytes:
// docs/formats/slatedb_shard.md, "Blocks". Checksums are not looked at here, and nothing here trusts that they were right.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace datashard::slatedb {

/// One version of one key. The key is the first `shared` bytes of an earlier key and `suffix`.
struct Row {
  enum Flag : uint8_t { kTombstone = 1, kHasExpiry = 2, kHasCreation = 4, kMergeOperand = 8 };
  uint32_t shared = 0;
  ByteView suffix;
  ByteView value;
  uint64_t sequence = 0;
  uint8_t flags = 0;
  int64_t expires_ms = 0;  ///< with kHasExpiry: milliseconds since 1970
};

enum class Sought { kFound, kAbsent, kDamaged };

class BlockView {
 public:
  /// \param version  1 or 2. None for bytes that are no block, and for an empty one.
  static std::optional<BlockView> Parse(ByteView bytes, int version);

  /// The newest row of `key`. `key` may also go on in a next block, or start in one before. Allocates nothing.
  Sought Find(ByteView key, Row& row) const;

 private:
  friend class BlockRows;
  BlockView(ByteView rows, ByteView offsets, int version) : rows_(rows), offsets_(offsets), version_(version) {}
  size_t count() const { return offsets_.size() / 2; }
  size_t OffsetAt(size_t index) const;
  // Reads the row at `offset` and moves `offset` behind it; false where it is damaged.
  bool ReadRow(size_t& offset, Row& row) const;
  bool ReadRowV1(size_t& offset, Row& row) const;
  bool ReadRowV2(size_t& offset, Row& row) const;
  Sought FindV1(ByteView key, Row& row) const;
  Sought FindV2(ByteView key, Row& row) const;
  // The last restart point whose key is below `key`, else the first.
  bool RestartBefore(ByteView key, size_t& offset) const;

  ByteView rows_;
  ByteView offsets_;  // of every row (version 1), of every restart point (version 2)
  int version_;
};

/// Walks the rows of one block, with whole keys.
class BlockRows {
 public:
  explicit BlockRows(BlockView block);
  /// Moves to the first or the next row: kAbsent behind the last.
  Sought Next();
  ByteView key() const { return key_; }
  const Row& row() const { return row_; }

 private:
  BlockView block_;
  size_t at_ = 0;
  Bytes first_key_;  // version 1 only
  Bytes key_;
  Row row_;
};

/// Makes blocks of version 2.
class BlockBuilder {
 public:
  explicit BlockBuilder(int32_t block_size_bytes) : block_size_bytes_(static_cast<size_t>(block_size_bytes)) {}
  bool empty() const { return count_ == 0; }
  /// Would this row still fit? The first row of a block always does.
  bool Fits(ByteView key, ByteView value) const;
  /// `key` is above `before`, the key that was added before it to this block (any, where it is the first).
  void Add(ByteView before, ByteView key, ByteView value, uint64_t sequence);
  uint16_t count() const { return static_cast<uint16_t>(count_); }
  /// The block, valid until the next Add; the builder is empty again.
  ByteView Finish();

 private:
  const size_t block_size_bytes_;
  Bytes room_;  // all of its size is kept from block to block: allocating and clearing cost as much as the rows
  size_t rows_bytes_ = 0;  // in room_
  Bytes offsets_;
  size_t count_ = 0;
};

}  // namespace datashard::slatedb
