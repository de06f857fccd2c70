#include "sim/power_loss_store.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "storage/keys.h"

namespace datashard::sim {
namespace {

uint64_t Below(Random& random, uint64_t bound) { return random.Next() % bound; }

/// What an unsynced body may look like when the machine comes back; null where its name leads nowhere.
std::shared_ptr<const Bytes> Damaged(const std::shared_ptr<const Bytes>& body, Random& random) {
  const uint64_t kept = Below(random, body->size() + 1);
  switch (Below(random, 4)) {
    case 0: return nullptr;
    case 1: return body;
    case 2: return std::make_shared<const Bytes>(body->substr(0, kept));
    default: {
      // The size reached the disk, the last pages did not.
      Bytes zeroed = *body;
      std::fill(zeroed.begin() + static_cast<ptrdiff_t>(kept), zeroed.end(), '\0');
      return std::make_shared<const Bytes>(std::move(zeroed));
    }
  }
}

}  // namespace

PowerLossStore::PowerLossStore(std::string name, Clock& clock) : root_uri_("memory://" + std::move(name)), clock_(clock) {}

void PowerLossStore::PowerLoss(Random& random) {
  std::lock_guard lock(mutex_);
  ++epoch_;
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    const bool replaced = entry.durable.body && !entry.later.empty() && entry.seen().body;
    if (const uint64_t choice = Below(random, entry.later.size() + 1); choice > 0) {
      entry.durable = std::move(entry.later[choice - 1]);
    }
    if (entry.durable.body && !entry.durable.body_durable) entry.durable.body = Damaged(entry.durable.body, random);
    if (replaced && Below(random, 4) == 0) entry.durable.body = nullptr;
    entry.later.clear();
    entry.durable.body_durable = true;
    it = entry.durable.body ? std::next(it) : entries_.erase(it);
  }
}

int64_t PowerLossStore::unsynced_count() const {
  std::lock_guard lock(mutex_);
  return std::ranges::count_if(entries_, [](const auto& entry) { return !entry.second.later.empty(); });
}

void PowerLossStore::FailNameSyncs(int count) {
  std::lock_guard lock(mutex_);
  failing_name_syncs_ = count;
}

void PowerLossStore::KillBeforeNameSyncs(int count) {
  std::lock_guard lock(mutex_);
  killed_before_name_syncs_ = count;
}

int64_t PowerLossStore::epoch() const {
  std::lock_guard lock(mutex_);
  return epoch_;
}

Status PowerLossStore::CheckAlive(int64_t epoch) const {
  if (epoch == this->epoch()) return {};
  return Unavailable("{}: the power failed since this handle was opened", root_uri_);
}

PowerLossStore::State PowerLossStore::NewState(ByteView body, bool body_durable) const {
  return {.body = std::make_shared<const Bytes>(body), .modified = clock_.Now(), .body_durable = body_durable};
}

Status PowerLossStore::Add(std::string_view key, State state) {
  DS_RETURN_IF_ERROR(CheckObjectKey(key));
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[std::string(key)];
  if (entry.seen().body) return AlreadyExists("{}/{} exists", root_uri_, key);
  entry.later.push_back(std::move(state));
  return {};
}

void PowerLossStore::MakeDurable(const std::string& key, const std::shared_ptr<const Bytes>& body) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[key];
  const auto synced = std::ranges::find(entry.later, body, &State::body);
  if (synced == entry.later.end()) return;  // deleted and forgotten meanwhile
  entry.durable = std::move(*synced);
  entry.durable.body_durable = true;
  entry.later.erase(entry.later.begin(), std::next(synced));
}

Status PowerLossStore::PutIfAbsent(std::string_view key, ByteView body) {
  return PublishState(key, NewState(body, /*body_durable=*/true));
}

Status PowerLossStore::PublishState(std::string_view key, State state) {
  const std::shared_ptr<const Bytes> added = state.body;
  bool killed = false;
  {
    std::lock_guard lock(mutex_);
    killed = killed_before_name_syncs_ > 0;
    killed_before_name_syncs_ -= killed;
  }
  state.name_settles = killed;
  DS_RETURN_IF_ERROR(Add(key, std::move(state)));
  if (killed) return CommitUnknown("{}/{} was created, and its writer died before the sync of its name (injected)", root_uri_, key);
  {
    std::unique_lock lock(mutex_);
    if (failing_name_syncs_ > 0) {
      --failing_name_syncs_;
      lock.unlock();
      LoseNamesBeside(key);
      return CommitUnknown("{}/{} was created, but the sync of its name failed (injected)", root_uri_, key);
    }
  }
  MakeDurable(std::string(key), added);
  SyncNamesBeside(key);
  return {};
}

void PowerLossStore::LoseNamesBeside(std::string_view key) {
  const std::string_view directory = SplitKey(key).first;
  std::lock_guard lock(mutex_);
  for (auto& [name, entry] : entries_) {
    if (SplitKey(name).first != directory) continue;
    for (State& state : entry.later) state.name_settles = false;
  }
}

void PowerLossStore::SyncNamesBeside(std::string_view key) {
  const std::string_view directory = SplitKey(key).first;
  std::lock_guard lock(mutex_);
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    if (SplitKey(it->first).first == directory && !entry.later.empty() && entry.later.back().name_settles) {
      entry.durable = std::move(entry.later.back());
      entry.later.clear();
    }
    it = entry.seen().body ? std::next(it) : entries_.erase(it);
  }
}

Status PowerLossStore::Replace(std::string_view key, ByteView body) {
  return ReplaceState(key, NewState(body, /*body_durable=*/false));
}

Status PowerLossStore::DropBody(std::string_view key, ByteView tombstone) {
  // The body that all tombstones share is synced once, their names are not.
  return ReplaceState(key, NewState(tombstone, /*body_durable=*/true));
}

Status PowerLossStore::ReplaceState(std::string_view key, State state) {
  DS_RETURN_IF_ERROR(CheckObjectKey(key));
  state.name_settles = true;
  std::lock_guard lock(mutex_);
  entries_[std::string(key)].later.push_back(std::move(state));
  return {};
}

bool PowerLossStore::Leads(std::string_view key, const std::shared_ptr<const Bytes>& body) const {
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  return it != entries_.end() && it->second.seen().body == body;
}

Status PowerLossStore::Delete(std::string_view key) {
  DS_RETURN_IF_ERROR(CheckObjectKey(key));
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it != entries_.end() && it->second.seen().body) it->second.later.push_back({.body = nullptr, .modified = {}, .name_settles = true});
  return {};
}

Result<PowerLossStore::State> PowerLossStore::Find(std::string_view key) const {
  DS_RETURN_IF_ERROR(CheckObjectKey(key));
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end() || !it->second.seen().body) return NotFound("{}/{} does not exist", root_uri_, key);
  return it->second.seen();
}

Result<Bytes> PowerLossStore::Get(std::string_view key) {
  DS_ASSIGN_OR_RETURN(const State state, Find(key));
  return Bytes(*state.body);
}

Result<Bytes> PowerLossStore::GetRange(std::string_view key, ByteRange range) {
  DS_RETURN_IF_ERROR(CheckRange(key, range.offset_bytes, range.size_bytes));
  DS_ASSIGN_OR_RETURN(const State state, Find(key));
  if (range.offset_bytes >= static_cast<int64_t>(state.body->size())) return Bytes();
  return state.body->substr(static_cast<size_t>(range.offset_bytes), static_cast<size_t>(range.size_bytes));
}

Result<ObjectInfo> PowerLossStore::Head(std::string_view key) {
  DS_ASSIGN_OR_RETURN(const State state, Find(key));
  return ObjectInfo{.key = std::string(key),
                    .size_bytes = static_cast<int64_t>(state.body->size()),
                    .modified = state.modified};
}

Result<std::vector<ObjectInfo>> PowerLossStore::List(std::string_view prefix) {
  DS_RETURN_IF_ERROR(CheckListPrefix(prefix));
  std::lock_guard lock(mutex_);
  std::vector<ObjectInfo> found;
  for (auto it = entries_.lower_bound(prefix); it != entries_.end() && it->first.starts_with(prefix); ++it) {
    const State& state = it->second.seen();
    if (!state.body) continue;
    found.push_back({.key = it->first,
                     .size_bytes = static_cast<int64_t>(state.body->size()),
                     .modified = state.modified});
  }
  return found;
}

class PowerLossReader final : public ObjectReader {
 public:
  PowerLossReader(const PowerLossStore& store, std::string key, std::shared_ptr<const Bytes> body)
      : store_(store), epoch_(store.epoch()), key_(std::move(key)), body_(std::move(body)) {}
  int64_t size_bytes() const override { return static_cast<int64_t>(body_->size()); }
  Result<int64_t> ReadAt(int64_t offset, int64_t size, void* out) override {
    DS_RETURN_IF_ERROR(store_.CheckAlive(epoch_));
    DS_RETURN_IF_ERROR(CheckRange(key_, offset, size));
    const int64_t count = std::clamp<int64_t>(size_bytes() - offset, 0, size);
    if (count > 0) std::memcpy(out, body_->data() + offset, static_cast<size_t>(count));
    return count;
  }
  Result<bool> StillNamed() override {
    DS_RETURN_IF_ERROR(store_.CheckAlive(epoch_));
    return store_.Leads(key_, body_);
  }

 private:
  const PowerLossStore& store_;
  const int64_t epoch_;
  std::string key_;
  std::shared_ptr<const Bytes> body_;
};

Result<std::unique_ptr<ObjectReader>> PowerLossStore::OpenReader(std::string_view key) {
  DS_ASSIGN_OR_RETURN(const State state, Find(key));
  return std::unique_ptr<ObjectReader>(std::make_unique<PowerLossReader>(*this, std::string(key), state.body));
}

class PowerLossUnnamed final : public UnnamedObject {
 public:
  PowerLossUnnamed(PowerLossStore& store, std::string key, std::shared_ptr<PowerLossStore::State> state)
      : store_(store), epoch_(store.epoch()), key_(std::move(key)), state_(std::move(state)) {}
  Status Publish() override {
    DS_RETURN_IF_ERROR(store_.CheckAlive(epoch_));
    if (!state_->body_durable) return Internal("{} is published before its group was synced", key_);
    return store_.PublishState(key_, *state_);
  }
  Result<bool> StillNamed() override {
    DS_RETURN_IF_ERROR(store_.CheckAlive(epoch_));
    return store_.Leads(key_, state_->body);
  }

 private:
  PowerLossStore& store_;
  const int64_t epoch_;
  std::string key_;
  std::shared_ptr<PowerLossStore::State> state_;
};

class PowerLossGroup final : public WriteGroup {
 public:
  explicit PowerLossGroup(PowerLossStore& store)
      : store_(store), epoch_(store.epoch()), pending_(std::make_shared<Pending>()) {}

  Status Put(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(store_.CheckAlive(epoch_));
    return Add(store_, *pending_, key, body);
  }
  Result<std::unique_ptr<ObjectWriter>> Open(std::string_view key) override;
  Status Sync() override {
    DS_RETURN_IF_ERROR(store_.CheckAlive(epoch_));
    for (const auto& [key, body] : *pending_) store_.MakeDurable(key, body);
    pending_->clear();
    for (const auto& state : unnamed_) state->body_durable = true;
    unnamed_.clear();
    return {};
  }
  Result<std::unique_ptr<UnnamedObject>> Prepare(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(store_.CheckAlive(epoch_));
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    unnamed_.push_back(std::make_shared<PowerLossStore::State>(store_.NewState(body, /*body_durable=*/false)));
    return std::unique_ptr<UnnamedObject>(
        std::make_unique<PowerLossUnnamed>(store_, std::string(key), unnamed_.back()));
  }

  using Pending = std::vector<std::pair<std::string, std::shared_ptr<const Bytes>>>;
  static Status Add(PowerLossStore& store, Pending& pending, std::string_view key, ByteView body) {
    PowerLossStore::State state = store.NewState(body, /*body_durable=*/false);
    const std::shared_ptr<const Bytes> added = state.body;
    DS_RETURN_IF_ERROR(store.Add(key, std::move(state)));
    pending.emplace_back(std::string(key), added);
    return {};
  }

 private:
  PowerLossStore& store_;
  const int64_t epoch_;
  const std::shared_ptr<Pending> pending_;  // shared with writers
  std::vector<std::shared_ptr<PowerLossStore::State>> unnamed_;
};

class PowerLossWriter final : public ObjectWriter {
 public:
  PowerLossWriter(PowerLossStore& store, std::shared_ptr<PowerLossGroup::Pending> pending, std::string key)
      : store_(store), epoch_(store.epoch()), pending_(std::move(pending)), key_(std::move(key)) {}
  Status Append(ByteView bytes) override {
    DS_CHECK(!finished_);
    DS_RETURN_IF_ERROR(store_.CheckAlive(epoch_));
    body_.append(bytes);
    return {};
  }
  int64_t size_bytes() const override { return static_cast<int64_t>(body_.size()); }
  Status Finish() override {
    DS_CHECK(!finished_);
    DS_RETURN_IF_ERROR(store_.CheckAlive(epoch_));
    finished_ = true;
    return PowerLossGroup::Add(store_, *pending_, key_, body_);
  }

 private:
  PowerLossStore& store_;
  const int64_t epoch_;
  std::shared_ptr<PowerLossGroup::Pending> pending_;
  std::string key_;
  Bytes body_;
  bool finished_ = false;
};

Result<std::unique_ptr<ObjectWriter>> PowerLossGroup::Open(std::string_view key) {
  DS_RETURN_IF_ERROR(store_.CheckAlive(epoch_));
  DS_RETURN_IF_ERROR(CheckObjectKey(key));
  return std::unique_ptr<ObjectWriter>(std::make_unique<PowerLossWriter>(store_, pending_, std::string(key)));
}

std::unique_ptr<WriteGroup> PowerLossStore::NewWriteGroup() { return std::make_unique<PowerLossGroup>(*this); }

}  // namespace datashard::sim
