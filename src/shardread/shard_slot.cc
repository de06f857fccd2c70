#include "shardread/shard_slot.h"

#include <utility>

namespace datashard::shardread {

ShardSlot::ShardSlot(std::shared_ptr<ShardSource> source, ShardMeta shard, ShardRules rules)
    : source_(std::move(source)), shard_(std::move(shard)), rules_(rules) {}

ShardSlot::~ShardSlot() { delete opened_.load(); }

Result<const OpenedShard*> ShardSlot::Open() {
  if (const OpenedShard* const already = opened()) return already;
  const auto damage = damage_.Lock();
  if (const OpenedShard* const already = opened()) return already;
  if (*damage) return **damage;
  Result<std::unique_ptr<const OpenedShard>> made = source_->Open(shard_, rules_);
  if (!made.ok()) {
    if (made.kind() == ErrorKind::kCorruption) *damage = made.error();
    return std::move(made).error();
  }
  const OpenedShard* const shard = made->release();
  opened_.store(shard, std::memory_order_release);
  return shard;
}

bool ShardSlot::IsRemote() const {
  if (const OpenedShard* const shard = opened()) return !shard->is_mapped;
  return shard_.db_url && !generation::SnapshotPlace::DirectoryOf(*shard_.db_url);
}

bool ShardSlot::Serves(const ShardMeta& shard, const ShardRules& rules) const {
  return opened() != nullptr && shard_.db_url == shard.db_url && shard_.checkpoint_id == shard.checkpoint_id && rules_ == rules;
}

}  // namespace datashard::shardread
