#include "shardread/multi_get.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace datashard::shardread {
namespace {

// Below these a second thread costs more than it saves: what is mapped takes less than a microsecond a key, and waking takes tens.
constexpr size_t kFewKeys = 64;
constexpr size_t kFewMappedKeys = 512;

// A key with its place in the order: shard, then the first bytes as a number, then all bytes.
struct Wanted {
  int32_t db_id = 0;
  uint64_t first_bytes = 0;
  size_t at = 0;
};

uint64_t FirstBytes(ByteView key) {
  unsigned char bytes[8] = {};
  std::memcpy(bytes, key.data(), std::min(key.size(), sizeof bytes));
  uint64_t number = 0;
  for (const unsigned char byte : bytes) number = number << 8 | byte;
  return number;
}

class Batch {
 public:
  Batch(const Generation& generation, const std::function<void(size_t, kv::Lookup)>& sink) : generation_(generation), sink_(sink) {}

  Status Route(std::span<const KeyView> keys, const RoutingContext* context) {
    targets_.resize(keys.size());
    wanted_.reserve(keys.size());
    for (size_t at = 0; at < keys.size(); ++at) {
      DS_ASSIGN_OR_RETURN(targets_[at], generation_.Find(keys[at], context));
      if (targets_[at].slot == nullptr) {
        sink_(at, kv::Lookup::Absent());
      } else {
        wanted_.push_back({targets_[at].db_id, FirstBytes(KeyOf(at)), at});
      }
    }
    return {};
  }

  // What is mapped or cached, one by one in this thread; true where nothing is left.
  Result<bool> FindResident() {
    std::vector<Wanted> left;
    for (const Wanted& one : wanted_) {
      const OpenedShard* const shard = targets_[one.at].slot->opened();
      kv::Lookup found = kv::Lookup::NotResident();
      if (shard != nullptr) {
        DS_ASSIGN_OR_RETURN(found, shard->database->Find(KeyOf(one.at), kv::Residency::kResidentOnly));
      }
      if (found.outcome == kv::Lookup::Outcome::kNotResident) {
        left.push_back(one);
      } else {
        sink_(one.at, std::move(found));
      }
    }
    wanted_ = std::move(left);
    return wanted_.empty();
  }

  Status FindByShard(Workers& workers) {
    std::ranges::sort(wanted_, [&](const Wanted& left, const Wanted& right) {
      if (left.db_id != right.db_id) return left.db_id < right.db_id;
      if (left.first_bytes != right.first_bytes) return left.first_bytes < right.first_bytes;
      return KeyOf(left.at) < KeyOf(right.at);
    });
    std::vector<std::span<const Wanted>> groups;
    bool takes_long = wanted_.size() >= kFewMappedKeys;
    bool is_remote = false;
    for (auto from = wanted_.begin(); from != wanted_.end();) {
      const auto to = std::find_if(from, wanted_.end(), [&](const Wanted& one) { return one.db_id != from->db_id; });
      groups.emplace_back(from, to);
      const ShardSlot& slot = *targets_[from->at].slot;
      is_remote = is_remote || slot.IsRemote();
      takes_long = takes_long || is_remote || slot.opened() == nullptr;
      from = to;
    }
    std::vector<Status> found(groups.size());
    const auto find = [&](size_t i) { found[i] = FindGroup(groups[i]); };
    if (takes_long) {
      workers.Run(groups.size(), is_remote ? Workers::Kind::kWaits : Workers::Kind::kComputes, find);
    } else {
      for (size_t i = 0; i < groups.size(); ++i) find(i);
    }
    for (Status& status : found) DS_RETURN_IF_ERROR(std::move(status));
    return {};
  }

 private:
  ByteView KeyOf(size_t at) const { return targets_[at].key.bytes(); }

  Status FindGroup(std::span<const Wanted> group) const {
    DS_ASSIGN_OR_RETURN(const OpenedShard* const shard, targets_[group.front().at].slot->Open());
    std::vector<ByteView> keys(group.size());
    for (size_t i = 0; i < group.size(); ++i) keys[i] = KeyOf(group[i].at);
    std::vector<kv::Lookup> found(group.size());
    DS_RETURN_IF_ERROR(shard->database->FindMany(keys, found));
    for (size_t i = 0; i < group.size(); ++i) sink_(group[i].at, std::move(found[i]));
    return {};
  }

  const Generation& generation_;
  const std::function<void(size_t, kv::Lookup)>& sink_;
  std::vector<Generation::Target> targets_;
  std::vector<Wanted> wanted_;
};

}  // namespace

Status FindAll(const Generation& generation, std::span<const KeyView> keys, const RoutingContext* context, Workers& workers,
               const std::function<void(size_t, kv::Lookup)>& sink) {
  Batch batch(generation, sink);
  DS_RETURN_IF_ERROR(batch.Route(keys, context));
  if (keys.size() < kFewKeys) {
    DS_ASSIGN_OR_RETURN(const bool is_done, batch.FindResident());
    if (is_done) return {};
  }
  return batch.FindByShard(workers);
}

}  // namespace datashard::shardread
