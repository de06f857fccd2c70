#include "cache/caching_store.h"

#include "base/error.h"
#include "cache/cached_reader.h"
#include "storage/keys.h"

namespace datashard::cache {
namespace {

constexpr std::string_view kWhole = "whole";

class Caching final : public ObjectStore {
 public:
  Caching(std::shared_ptr<ObjectStore> base, std::shared_ptr<DiskCache> cache, std::string place, NameFilter is_immutable)
      : base_(std::move(base)), cache_(std::move(cache)), place_(std::move(place)), is_immutable_(std::move(is_immutable)) {}

  const std::string& root_uri() const override { return base_->root_uri(); }
  bool durable_when_visible() const override { return base_->durable_when_visible(); }
  bool is_remote() const override { return base_->is_remote(); }
  std::unique_ptr<WriteGroup> NewWriteGroup() override { return base_->NewWriteGroup(); }
  Status PutIfAbsent(std::string_view key, ByteView body) override { return base_->PutIfAbsent(key, body); }
  Status Replace(std::string_view key, ByteView body) override { return base_->Replace(key, body); }
  Result<TaggedBody> GetTagged(std::string_view key) override { return base_->GetTagged(key); }
  Status ReplaceIf(std::string_view key, ByteView body, std::string_view tag) override { return base_->ReplaceIf(key, body, tag); }
  Status ReplaceHint(std::string_view key, ByteView body) override { return base_->ReplaceHint(key, body); }
  Status DropBody(std::string_view key, ByteView tombstone) override { return base_->DropBody(key, tombstone); }

  Result<Bytes> Get(std::string_view key) override {
    return Kept(key, kWhole, [&] { return base_->Get(key); });
  }
  std::vector<Result<Bytes>> GetMany(std::span<const std::string> keys) override {
    std::vector<Result<Bytes>> got;
    std::vector<std::string> missing;
    std::vector<size_t> places;  // of the missing, in `got`
    for (const std::string& key : keys) {
      std::optional<Bytes> found = IsKept(key) ? cache_->Find(ObjectAt(key).EntryName(kWhole)) : std::nullopt;
      got.push_back(found ? *std::move(found) : Bytes());
      if (found) continue;
      missing.push_back(key);
      places.push_back(got.size() - 1);
    }
    if (missing.empty()) return got;
    std::vector<Result<Bytes>> bodies = base_->GetMany(missing);
    for (size_t i = 0; i < missing.size(); ++i) {
      if (bodies[i].ok() && IsKept(missing[i])) cache_->Add(ObjectAt(missing[i]).EntryName(kWhole), *bodies[i]);
      got[places[i]] = std::move(bodies[i]);
    }
    return got;
  }
  Result<Bytes> GetRange(std::string_view key, ByteRange range) override {
    const std::string kind = fmt::format("{} bytes at {}", range.size_bytes, range.offset_bytes);
    return Kept(key, kind, [&] { return base_->GetRange(key, range); });
  }
  Result<std::unique_ptr<ObjectReader>> OpenReader(std::string_view key) override {
    if (!IsKept(key)) return base_->OpenReader(key);
    const CachedObject object = ObjectAt(key);
    if (std::unique_ptr<ObjectReader> reader = ReaderFromCache(object)) return reader;
    if (std::optional<Bytes> whole = cache_->Find(object.EntryName(kWhole))) return ReaderOf(object, *std::move(whole));
    return ReaderFromStore(object);
  }

  Result<ObjectInfo> Head(std::string_view key) override { return base_->Head(key); }
  Result<std::vector<ObjectInfo>> List(std::string_view prefix) override { return base_->List(prefix); }
  Status Delete(std::string_view key) override { return base_->Delete(key); }
  Status DeleteMany(std::span<const std::string> keys) override { return base_->DeleteMany(keys); }
  Result<std::vector<ObjectInfo>> RemoveLeftovers(const LeftoverOptions& options) override { return base_->RemoveLeftovers(options); }
  void Forget(std::string_view key) override {
    base_->Forget(key);
    if (!IsKept(key)) return;
    cache_->Remove(ObjectAt(key).EntryName(kWhole));
    ForgetParts(ObjectAt(key));
  }
  std::unique_ptr<NameWatch> WatchNames(std::string_view directory_key, NameFilter accept) override {
    return base_->WatchNames(directory_key, std::move(accept));
  }
  Result<Instant> ServerTime() override { return base_->ServerTime(); }

 private:
  bool IsKept(std::string_view key) const { return CheckObjectKey(key).ok() && is_immutable_(key); }
  CachedObject ObjectAt(std::string_view key) const { return {.base = *base_, .cache = *cache_, .place = place_, .key = std::string(key)}; }
  template <typename Read>
  Result<Bytes> Kept(std::string_view key, std::string_view kind, Read&& read) {
    if (!IsKept(key)) return read();
    const std::string name = ObjectAt(key).EntryName(kind);
    if (std::optional<Bytes> found = cache_->Find(name)) return *std::move(found);
    Result<Bytes> body = read();
    if (body.ok()) cache_->Add(name, *body);
    return body;
  }

  const std::shared_ptr<ObjectStore> base_;
  const std::shared_ptr<DiskCache> cache_;
  const std::string place_;
  const NameFilter is_immutable_;
};

}  // namespace

std::unique_ptr<ObjectStore> CachingStore(std::shared_ptr<ObjectStore> base, std::shared_ptr<DiskCache> cache, std::string place,
                                          NameFilter is_immutable) {
  return std::make_unique<Caching>(std::move(base), std::move(cache), std::move(place), std::move(is_immutable));
}

}  // namespace datashard::cache
