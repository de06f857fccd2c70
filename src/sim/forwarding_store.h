// A store that hands every call on: the ground for tests that do something before or after one of them.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/object_store.h"

namespace datashard::sim {

class ForwardingStore : public ObjectStore {
 public:
  explicit ForwardingStore(std::shared_ptr<ObjectStore> base) : base_(std::move(base)) {}
  const std::string& root_uri() const override { return base_->root_uri(); }
  bool durable_when_visible() const override { return base_->durable_when_visible(); }
  bool is_remote() const override { return base_->is_remote(); }
  std::unique_ptr<WriteGroup> NewWriteGroup() override { return base_->NewWriteGroup(); }
  Status PutIfAbsent(std::string_view key, ByteView body) override { return base_->PutIfAbsent(key, body); }
  Status Replace(std::string_view key, ByteView body) override { return base_->Replace(key, body); }
  Result<TaggedBody> GetTagged(std::string_view key) override { return base_->GetTagged(key); }
  Status ReplaceIf(std::string_view key, ByteView body, std::string_view tag) override { return base_->ReplaceIf(key, body, tag); }
  Status DropBody(std::string_view key, ByteView tombstone) override { return base_->DropBody(key, tombstone); }
  Result<Bytes> Get(std::string_view key) override { return base_->Get(key); }
  Result<Bytes> GetRange(std::string_view key, ByteRange range) override { return base_->GetRange(key, range); }
  Result<std::unique_ptr<ObjectReader>> OpenReader(std::string_view key) override { return base_->OpenReader(key); }
  Result<ObjectInfo> Head(std::string_view key) override { return base_->Head(key); }
  Result<std::vector<ObjectInfo>> List(std::string_view prefix) override { return base_->List(prefix); }
  Status Delete(std::string_view key) override { return base_->Delete(key); }
  std::unique_ptr<NameWatch> WatchNames(std::string_view directory_key, NameFilter accept) override {
    return base_->WatchNames(directory_key, std::move(accept));
  }
  Result<std::vector<ObjectInfo>> RemoveLeftovers(const LeftoverOptions& options) override {
    return base_->RemoveLeftovers(options);
  }
  Result<Instant> ServerTime() override { return base_->ServerTime(); }

 protected:
  const std::shared_ptr<ObjectStore> base_;
};

}  // namespace datashard::sim
