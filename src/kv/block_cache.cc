#include "kv/block_cache.h"

#include <list>
#include <unordered_map>

#include "base/fork.h"

namespace datashard::kv {
namespace {

constexpr size_t kParts = 16;
constexpr int64_t kEntryBytes = 100;  // what the list, the map and the pointers take

uint64_t Mixed(const BlockCache::Id& id) {
  uint64_t hash = (id.file + 1) * 0x9E3779B97F4A7C15u ^ static_cast<uint64_t>(id.offset) * 0xC2B2AE3D27D4EB4Fu;
  return hash ^ (hash >> 29);
}

struct HashId {
  size_t operator()(const BlockCache::Id& id) const { return Mixed(id); }
};

struct Entry {
  BlockCache::Id id;
  std::shared_ptr<const Bytes> block;
  int64_t size_bytes() const { return static_cast<int64_t>(block->size()) + kEntryBytes; }
};

}  // namespace

struct BlockCache::Part {
  struct Kept {
    int64_t size_bytes = 0;
    std::list<Entry> entries;  // the most recently used first
    std::unordered_map<Id, std::list<Entry>::iterator, HashId> by_id;
  };
  int64_t budget_bytes = 0;
  PerProcess<Kept> kept;
};

BlockCache::BlockCache(int64_t budget_bytes) : parts_(new Part[kParts]) {
  for (size_t i = 0; i < kParts; ++i) parts_[i].budget_bytes = budget_bytes / static_cast<int64_t>(kParts);
}
BlockCache::~BlockCache() = default;

std::shared_ptr<const Bytes> BlockCache::Find(const Id& id) {
  const auto kept = parts_[(Mixed(id) >> 32) % kParts].kept.Lock();
  const auto found = kept->by_id.find(id);
  if (found == kept->by_id.end()) return nullptr;
  kept->entries.splice(kept->entries.begin(), kept->entries, found->second);
  return found->second->block;
}

void BlockCache::Put(const Id& id, std::shared_ptr<const Bytes> block) {
  Part& part = parts_[(Mixed(id) >> 32) % kParts];
  Entry entry{id, std::move(block)};
  std::list<Entry> dropped;  // freed after the lock
  const auto kept = part.kept.Lock();
  if (const auto found = kept->by_id.find(id); found != kept->by_id.end()) {
    kept->size_bytes -= found->second->size_bytes();
    dropped.splice(dropped.end(), kept->entries, found->second);
    kept->by_id.erase(found);
  }
  if (entry.size_bytes() > part.budget_bytes) return;
  kept->size_bytes += entry.size_bytes();
  kept->entries.push_front(std::move(entry));
  kept->by_id.emplace(id, kept->entries.begin());
  while (kept->size_bytes > part.budget_bytes) {
    const auto last = std::prev(kept->entries.end());
    kept->size_bytes -= last->size_bytes();
    kept->by_id.erase(last->id);
    dropped.splice(dropped.end(), kept->entries, last);
  }
}

int64_t BlockCache::size_bytes() const {
  int64_t sum = 0;
  for (size_t i = 0; i < kParts; ++i) sum += parts_[i].kept.Lock()->size_bytes;
  return sum;
}

int64_t BlockCache::share_bytes() const { return parts_[0].budget_bytes * static_cast<int64_t>(kParts) / 8; }

}  // namespace datashard::kv
