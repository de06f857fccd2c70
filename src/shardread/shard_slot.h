// One shard of a generation, opened when it is first needed.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "base/fork.h"
#include "shardread/shard_source.h"

namespace datashard::shardread {

/// Callable from several threads, also after a fork.
class ShardSlot {
 public:
  ShardSlot(std::shared_ptr<ShardSource> source, ShardMeta shard, ShardRules rules);
  ~ShardSlot();
  ShardSlot(const ShardSlot&) = delete;
  ShardSlot& operator=(const ShardSlot&) = delete;

  /// Null where it was not opened yet. Takes no lock.
  const OpenedShard* opened() const { return opened_.load(std::memory_order_acquire); }
  /// Opens it where nobody has: takes a lock only then. One thread at a time; those of other slots go on. A failure is not remembered, the next call tries
  /// again, unless it was kCorruption: what is damaged stays so. Errors: as ShardSource::Open.
  Result<const OpenedShard*> Open();
  /// May a generation in which the shard is described so go on with this slot? Only where it is open: another may try anew.
  bool Serves(const ShardMeta& shard, const ShardRules& rules) const;
  /// Do calls on it wait for requests?
  bool IsRemote() const;
  const ShardMeta& shard() const { return shard_; }

 private:
  const std::shared_ptr<ShardSource> source_;
  const ShardMeta shard_;
  const ShardRules rules_;
  std::atomic<const OpenedShard*> opened_ = nullptr;
  PerProcess<std::optional<Error>> damage_;  // its lock is held while opening
};

}  // namespace datashard::shardread
