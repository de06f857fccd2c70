// Blocks and pages that were fetched and checked, kept up to a budget of bytes; the least recently used go first.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace datashard::kv {

/// Callable from several threads: parts of it have a short lock each. A fork child begins with an empty one.
class BlockCache {
 public:
  struct Id {
    uint64_t file = 0;  ///< ShardFile::cache_id()
    int64_t offset = 0;
    bool operator==(const Id&) const = default;
  };
  /// \param budget_bytes  of the blocks and about 100 bytes for each; 0 keeps nothing.
  explicit BlockCache(int64_t budget_bytes);
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  /// Null where it is not there.
  std::shared_ptr<const Bytes> Find(const Id& id);
  /// Keeps `block` under `id`, in place of what was there.
  void Put(const Id& id, std::shared_ptr<const Bytes> block);
  /// Of what is kept now.
  int64_t size_bytes() const;
  /// What one call for many blocks should put at most: a batch or a scan of more than the budget would drive out all that others use, and
  /// find nothing of its own the next time.
  int64_t share_bytes() const;

 private:
  struct Part;
  std::unique_ptr<Part[]> parts_;
};

}  // namespace datashard::kv
