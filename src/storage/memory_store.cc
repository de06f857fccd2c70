// The store in memory: what the contract says and nothing more, for tests and as the simulation's ground.

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>

#include "base/check.h"
#include "storage/keys.h"
#include "storage/object_store.h"

namespace datashard {
namespace {

struct Object {
  std::shared_ptr<const Bytes> body;
  Instant modified;
};

class MemoryStore;

class MemoryReader final : public ObjectReader {
 public:
  MemoryReader(const MemoryStore& store, std::string key, std::shared_ptr<const Bytes> body)
      : store_(store), key_(std::move(key)), body_(std::move(body)) {}
  Result<bool> StillNamed() override;
  int64_t size_bytes() const override { return static_cast<int64_t>(body_->size()); }
  Result<int64_t> ReadAt(int64_t offset, int64_t size, void* out) override {
    DS_RETURN_IF_ERROR(CheckRange(key_, offset, size));
    const int64_t count = std::clamp<int64_t>(size_bytes() - offset, 0, size);
    if (count > 0) std::memcpy(out, body_->data() + offset, static_cast<size_t>(count));
    return count;
  }

 private:
  const MemoryStore& store_;
  std::string key_;
  std::shared_ptr<const Bytes> body_;
};

class MemoryStore final : public ObjectStore {
 public:
  MemoryStore(std::string name, Clock& clock, bool remote)
      : root_uri_("memory://" + std::move(name)), clock_(clock), remote_(remote) {}

  const std::string& root_uri() const override { return root_uri_; }
  bool durable_when_visible() const override { return true; }
  bool is_remote() const override { return remote_; }
  std::unique_ptr<WriteGroup> NewWriteGroup() override;

  Status PutIfAbsent(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    return Add(key, std::make_shared<const Bytes>(body));
  }
  /// PutIfAbsent of a body that is shared with whoever will ask whether it is still there.
  Status Add(std::string_view key, std::shared_ptr<const Bytes> body) {
    std::lock_guard lock(mutex_);
    const bool added = objects_.try_emplace(std::string(key), Object{std::move(body), clock_.Now()}).second;
    if (!added) return AlreadyExists("{}/{} exists", root_uri_, key);
    return {};
  }
  bool Leads(std::string_view key, const std::shared_ptr<const Bytes>& body) const {
    std::lock_guard lock(mutex_);
    const auto it = objects_.find(key);
    return it != objects_.end() && it->second.body == body;
  }

  Status Replace(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    Object object = NewObject(body);
    std::lock_guard lock(mutex_);
    objects_.insert_or_assign(std::string(key), std::move(object));
    return {};
  }

  Status ReplaceIf(std::string_view key, ByteView body, std::string_view tag) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    Object object = NewObject(body);
    std::lock_guard lock(mutex_);
    const auto it = objects_.find(key);
    const bool as_expected = it == objects_.end() ? tag.empty() : tag.starts_with('=') && *it->second.body == tag.substr(1);
    if (!as_expected) return Conflict("{}/{} is no longer what was read; read it and plan again", root_uri_, key);
    objects_.insert_or_assign(std::string(key), std::move(object));
    return {};
  }

  Status DropBody(std::string_view key, ByteView tombstone) override { return Replace(key, tombstone); }

  Result<Bytes> Get(std::string_view key) override {
    DS_ASSIGN_OR_RETURN(const Object object, Find(key));
    return Bytes(*object.body);
  }

  Result<Bytes> GetRange(std::string_view key, ByteRange range) override {
    DS_RETURN_IF_ERROR(CheckRange(key, range.offset_bytes, range.size_bytes));
    DS_ASSIGN_OR_RETURN(const Object object, Find(key));
    const auto size = static_cast<int64_t>(object.body->size());
    if (range.offset_bytes >= size) return Bytes();
    return object.body->substr(static_cast<size_t>(range.offset_bytes), static_cast<size_t>(range.size_bytes));
  }

  Result<std::unique_ptr<ObjectReader>> OpenReader(std::string_view key) override {
    DS_ASSIGN_OR_RETURN(const Object object, Find(key));
    return std::unique_ptr<ObjectReader>(std::make_unique<MemoryReader>(*this, std::string(key), object.body));
  }

  Result<ObjectInfo> Head(std::string_view key) override {
    DS_ASSIGN_OR_RETURN(const Object object, Find(key));
    return InfoOf(std::string(key), object);
  }

  Result<std::vector<ObjectInfo>> List(std::string_view prefix) override {
    DS_RETURN_IF_ERROR(CheckListPrefix(prefix));
    std::lock_guard lock(mutex_);
    std::vector<ObjectInfo> found;
    for (auto it = objects_.lower_bound(prefix); it != objects_.end() && it->first.starts_with(prefix); ++it)
      found.push_back(InfoOf(it->first, it->second));
    return found;
  }

  Status Delete(std::string_view key) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    std::lock_guard lock(mutex_);
    if (const auto it = objects_.find(key); it != objects_.end()) objects_.erase(it);
    return {};
  }

  std::unique_ptr<NameWatch> WatchNames(std::string_view, NameFilter) override { return nullptr; }
  Result<Instant> ServerTime() override { return clock_.Now(); }

 private:
  Object NewObject(ByteView body) const { return {std::make_shared<const Bytes>(body), clock_.Now()}; }
  static ObjectInfo InfoOf(std::string key, const Object& object) {
    return {.key = std::move(key),
            .size_bytes = static_cast<int64_t>(object.body->size()),
            .modified = object.modified};
  }
  Result<Object> Find(std::string_view key) {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    std::lock_guard lock(mutex_);
    const auto it = objects_.find(key);
    if (it == objects_.end()) return NotFound("{}/{} does not exist", root_uri_, key);
    return it->second;
  }

  const std::string root_uri_;
  Clock& clock_;
  const bool remote_;
  mutable std::mutex mutex_;
  std::map<std::string, Object, std::less<>> objects_;
};

Result<bool> MemoryReader::StillNamed() { return store_.Leads(key_, body_); }

class MemoryWriter final : public ObjectWriter {
 public:
  MemoryWriter(MemoryStore& store, std::string key) : store_(store), key_(std::move(key)) {}
  Status Append(ByteView bytes) override {
    DS_CHECK(!finished_);
    body_.append(bytes);
    return {};
  }
  int64_t size_bytes() const override { return static_cast<int64_t>(body_.size()); }
  Status Finish() override {
    DS_CHECK(!finished_);
    finished_ = true;
    return store_.PutIfAbsent(key_, body_);
  }

 private:
  MemoryStore& store_;
  std::string key_;
  Bytes body_;
  bool finished_ = false;
};

class MemoryUnnamed final : public UnnamedObject {
 public:
  MemoryUnnamed(MemoryStore& store, std::string key, Bytes body, std::shared_ptr<const int64_t> syncs)
      : store_(store), key_(std::move(key)), body_(std::make_shared<const Bytes>(std::move(body))), syncs_(std::move(syncs)),
        syncs_before_(*syncs_) {}
  Status Publish() override {
    if (*syncs_ == syncs_before_) return Internal("{} is published before its group was synced", key_);
    return store_.Add(key_, body_);
  }
  Result<bool> StillNamed() override { return store_.Leads(key_, body_); }

 private:
  MemoryStore& store_;
  std::string key_;
  std::shared_ptr<const Bytes> body_;
  std::shared_ptr<const int64_t> syncs_;
  int64_t syncs_before_;
};

class MemoryWriteGroup final : public WriteGroup {
 public:
  explicit MemoryWriteGroup(MemoryStore& store) : store_(store) {}
  Status Put(std::string_view key, ByteView body) override { return store_.PutIfAbsent(key, body); }
  Result<std::unique_ptr<ObjectWriter>> Open(std::string_view key) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    return std::unique_ptr<ObjectWriter>(std::make_unique<MemoryWriter>(store_, std::string(key)));
  }
  Result<std::unique_ptr<UnnamedObject>> Prepare(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    return std::unique_ptr<UnnamedObject>(
        std::make_unique<MemoryUnnamed>(store_, std::string(key), Bytes(body), syncs_));
  }
  Status Sync() override {
    ++*syncs_;
    return {};
  }

 private:
  MemoryStore& store_;
  const std::shared_ptr<int64_t> syncs_ = std::make_shared<int64_t>(0);  // how often this group was synced
};

std::unique_ptr<WriteGroup> MemoryStore::NewWriteGroup() { return std::make_unique<MemoryWriteGroup>(*this); }

}  // namespace

std::unique_ptr<ObjectStore> OpenMemoryStore(std::string name, Clock& clock, bool remote) {
  return std::make_unique<MemoryStore>(std::move(name), clock, remote);
}

}  // namespace datashard
