// include/datashard/object_access.h: the store of a place, key by key.
#include "datashard/object_access.h"

#include "base/environment.h"
#include "generation/snapshot_place.h"

namespace datashard {
namespace {

ObjectFacts FactsOf(const ObjectInfo& info) {
  return {.key = info.key, .size_bytes = info.size_bytes, .modified = std::chrono::time_point_cast<std::chrono::microseconds>(info.modified)};
}

class PlaceAccess final : public ObjectAccess {
 public:
  explicit PlaceAccess(std::shared_ptr<generation::SnapshotPlace> place) : place_(std::move(place)) {}

  Result<std::string> Get(const std::string& key) override {
    DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, place_->ToRead());
    return store->Get(key);
  }
  Status Put(const std::string& key, std::string_view body) override {
    DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, place_->ToWrite());
    return store->Replace(key, body);
  }
  Result<ObjectFacts> Head(const std::string& key) override {
    DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, place_->ToRead());
    DS_ASSIGN_OR_RETURN(const ObjectInfo info, store->Head(key));
    return FactsOf(info);
  }
  Result<std::vector<ObjectFacts>> List(const std::string& prefix) override {
    DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, place_->ToRead());
    DS_ASSIGN_OR_RETURN(const std::vector<ObjectInfo> listed, store->List(prefix));
    std::vector<ObjectFacts> facts;
    for (const ObjectInfo& info : listed) facts.push_back(FactsOf(info));
    return facts;
  }
  Status Delete(const std::vector<std::string>& keys) override {
    DS_ASSIGN_OR_RETURN(const std::shared_ptr<ObjectStore> store, place_->ToWrite());
    return store->DeleteMany(keys);
  }

 private:
  const std::shared_ptr<generation::SnapshotPlace> place_;
};

}  // namespace

Result<std::unique_ptr<ObjectAccess>> ObjectAccess::Open(const std::string& root, const SnapshotS3Options& options) {
  DS_ASSIGN_OR_RETURN(std::shared_ptr<generation::SnapshotPlace> place,
                      generation::SnapshotPlace::Open(root, options, ProcessEnvironment(), generation::ProcessOutside()));
  return std::unique_ptr<ObjectAccess>(std::make_unique<PlaceAccess>(std::move(place)));
}

}  // namespace datashard
