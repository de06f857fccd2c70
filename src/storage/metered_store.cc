#include "storage/metered_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace datashard {
namespace {

bool IsFailure(ErrorKind kind) { return kind != ErrorKind::kNotFound && kind != ErrorKind::kAlreadyExists && kind != ErrorKind::kConflict; }

size_t BytesOf(const std::vector<Result<Bytes>>& got) {
  size_t bytes = 0;
  for (const Result<Bytes>& body : got) bytes += body.ok() ? body->size() : 0;
  return bytes;
}

/// Counts calls; all wrappers of a store share one.
class Meter {
 public:
  explicit Meter(const Outside& outside) : outside_(outside) {}
  /// Runs `call` and counts it; `bytes` of the result are asked for afterwards.
  template <typename Call, typename BytesOf>
  auto Run(std::string_view operation, Call&& call, BytesOf&& bytes_of) const {
    const auto start = outside_.clock.Monotonic();
    auto result = call();
    const std::chrono::duration<double> taken = outside_.clock.Monotonic() - start;
    Add(operation, "seconds", taken.count());
    Add(operation, "calls_total", 1);
    if (!result.ok()) {
      if (IsFailure(result.kind())) Add(operation, "failures_total", 1);
    } else if (const auto bytes = static_cast<double>(bytes_of(result)); bytes > 0) {
      Add(operation, "bytes_total", bytes);
    }
    return result;
  }
  template <typename Call>
  auto Run(std::string_view operation, Call&& call) const {
    return Run(operation, call, [](const auto&) { return 0; });
  }
  /// For a call that has several results: it has failed if one of them has.
  template <typename Call>
  auto RunAll(std::string_view operation, Call&& call) const {
    const auto start = outside_.clock.Monotonic();
    auto results = call();
    const std::chrono::duration<double> taken = outside_.clock.Monotonic() - start;
    Add(operation, "seconds", taken.count());
    Add(operation, "calls_total", 1);
    if (const auto bytes = static_cast<double>(BytesOf(results)); bytes > 0) Add(operation, "bytes_total", bytes);
    if (std::any_of(results.begin(), results.end(), [](const auto& result) { return !result.ok() && IsFailure(result.kind()); }))
      Add(operation, "failures_total", 1);
    return results;
  }
  template <typename Call>
  auto Write(std::string_view operation, ByteView body, Call&& call) const {
    return Run(operation, call, [&](const auto&) { return body.size(); });
  }

 private:
  void Add(std::string_view operation, std::string_view what, double amount) const {
    outside_.metrics.Add(fmt::format("datashard_store_{}_{}", operation, what), amount);
  }
  const Outside outside_;
};

class MeteredReader final : public ObjectReader {
 public:
  MeteredReader(std::unique_ptr<ObjectReader> base, const Meter& meter) : base_(std::move(base)), meter_(meter) {}
  int64_t size_bytes() const override { return base_->size_bytes(); }
  Result<bool> StillNamed() override {
    return meter_.Run("still_named", [&] { return base_->StillNamed(); });
  }
  Result<int64_t> ReadAt(int64_t offset, int64_t size, void* out) override {
    return meter_.Run("read_at", [&] { return base_->ReadAt(offset, size, out); }, [](const auto& count) { return *count; });
  }
  std::vector<Result<Bytes>> ReadRanges(std::span<const ByteRange> ranges) override {
    return meter_.RunAll("read_ranges", [&] { return base_->ReadRanges(ranges); });
  }
  int64_t at_hand_offset() const override { return base_->at_hand_offset(); }
  std::string identity() const override { return base_->identity(); }

 private:
  const std::unique_ptr<ObjectReader> base_;
  const Meter& meter_;
};

class MeteredWriter final : public ObjectWriter {
 public:
  MeteredWriter(std::unique_ptr<ObjectWriter> base, const Meter& meter) : base_(std::move(base)), meter_(meter) {}
  Status Append(ByteView bytes) override {
    return meter_.Write("writer_append", bytes, [&] { return base_->Append(bytes); });
  }
  int64_t size_bytes() const override { return base_->size_bytes(); }
  Status Finish() override {
    return meter_.Run("writer_finish", [&] { return base_->Finish(); });
  }

 private:
  const std::unique_ptr<ObjectWriter> base_;
  const Meter& meter_;
};

class MeteredUnnamed final : public UnnamedObject {
 public:
  MeteredUnnamed(std::unique_ptr<UnnamedObject> base, const Meter& meter) : base_(std::move(base)), meter_(meter) {}
  Status Publish() override {
    return meter_.Run("publish", [&] { return base_->Publish(); });
  }
  Result<bool> StillNamed() override {
    return meter_.Run("still_named", [&] { return base_->StillNamed(); });
  }

 private:
  const std::unique_ptr<UnnamedObject> base_;
  const Meter& meter_;
};

class MeteredGroup final : public WriteGroup {
 public:
  MeteredGroup(std::unique_ptr<WriteGroup> base, const Meter& meter) : base_(std::move(base)), meter_(meter) {}
  Status Put(std::string_view key, ByteView body) override {
    return meter_.Write("group_put", body, [&] { return base_->Put(key, body); });
  }
  Result<std::unique_ptr<ObjectWriter>> Open(std::string_view key) override {
    DS_ASSIGN_OR_RETURN(std::unique_ptr<ObjectWriter> writer, base_->Open(key));
    return std::unique_ptr<ObjectWriter>(std::make_unique<MeteredWriter>(std::move(writer), meter_));
  }
  Result<std::unique_ptr<UnnamedObject>> Prepare(std::string_view key, ByteView body) override {
    DS_ASSIGN_OR_RETURN(std::unique_ptr<UnnamedObject> unnamed,
                        meter_.Write("group_prepare", body, [&] { return base_->Prepare(key, body); }));
    return std::unique_ptr<UnnamedObject>(std::make_unique<MeteredUnnamed>(std::move(unnamed), meter_));
  }
  Status Sync() override {
    return meter_.Run("group_sync", [&] { return base_->Sync(); });
  }

 private:
  const std::unique_ptr<WriteGroup> base_;
  const Meter& meter_;
};

class Metered final : public ObjectStore {
 public:
  Metered(std::shared_ptr<ObjectStore> base, const Outside& outside) : base_(std::move(base)), meter_(outside) {}

  const std::string& root_uri() const override { return base_->root_uri(); }
  bool durable_when_visible() const override { return base_->durable_when_visible(); }
  bool is_remote() const override { return base_->is_remote(); }
  std::unique_ptr<WriteGroup> NewWriteGroup() override { return std::make_unique<MeteredGroup>(base_->NewWriteGroup(), meter_); }
  Status PutIfAbsent(std::string_view key, ByteView body) override {
    return meter_.Write("put_if_absent", body, [&] { return base_->PutIfAbsent(key, body); });
  }
  Status Replace(std::string_view key, ByteView body) override {
    return meter_.Write("replace", body, [&] { return base_->Replace(key, body); });
  }
  Result<TaggedBody> GetTagged(std::string_view key) override {
    return meter_.Run("get", [&] { return base_->GetTagged(key); }, [](const auto& got) { return got->body.size(); });
  }
  Status ReplaceIf(std::string_view key, ByteView body, std::string_view tag) override {
    return meter_.Write("replace_if", body, [&] { return base_->ReplaceIf(key, body, tag); });
  }
  Status ReplaceHint(std::string_view key, ByteView body) override {
    return meter_.Write("replace_hint", body, [&] { return base_->ReplaceHint(key, body); });
  }
  Status DropBody(std::string_view key, ByteView tombstone) override {
    return meter_.Write("drop_body", tombstone, [&] { return base_->DropBody(key, tombstone); });
  }
  Result<Bytes> Get(std::string_view key) override {
    return meter_.Run("get", [&] { return base_->Get(key); }, [](const auto& body) { return body->size(); });
  }
  Result<Bytes> GetRange(std::string_view key, ByteRange range) override {
    return meter_.Run("get_range", [&] { return base_->GetRange(key, range); }, [](const auto& body) { return body->size(); });
  }
  Result<std::unique_ptr<ObjectReader>> OpenReader(std::string_view key) override {
    DS_ASSIGN_OR_RETURN(std::unique_ptr<ObjectReader> reader, meter_.Run("open_reader", [&] { return base_->OpenReader(key); }));
    return std::unique_ptr<ObjectReader>(std::make_unique<MeteredReader>(std::move(reader), meter_));
  }
  Result<ObjectInfo> Head(std::string_view key) override {
    return meter_.Run("head", [&] { return base_->Head(key); });
  }
  Result<std::vector<ObjectInfo>> List(std::string_view prefix) override {
    return meter_.Run("list", [&] { return base_->List(prefix); });
  }
  Status Delete(std::string_view key) override {
    return meter_.Run("delete", [&] { return base_->Delete(key); });
  }
  Status DeleteMany(std::span<const std::string> keys) override {
    return meter_.Run("delete_many", [&] { return base_->DeleteMany(keys); });
  }
  std::vector<Result<ObjectInfo>> HeadMany(std::span<const std::string> keys) override {
    std::vector<Result<ObjectInfo>> found;
    const Status counted = meter_.Run("head_many", [&] {
      found = base_->HeadMany(keys);
      return Status();
    });
    static_cast<void>(counted);
    return found;
  }
  std::vector<Result<Bytes>> GetMany(std::span<const std::string> keys) override {
    return meter_.RunAll("get_many", [&] { return base_->GetMany(keys); });
  }
  void Forget(std::string_view key) override { base_->Forget(key); }
  std::unique_ptr<NameWatch> WatchNames(std::string_view directory_key, NameFilter accept) override {
    return base_->WatchNames(directory_key, std::move(accept));
  }
  Result<Instant> ServerTime() override {
    return meter_.Run("server_time", [&] { return base_->ServerTime(); });
  }

 private:
  const std::shared_ptr<ObjectStore> base_;
  const Meter meter_;
};

}  // namespace

std::unique_ptr<ObjectStore> MeteredStore(std::shared_ptr<ObjectStore> base, const Outside& outside) {
  return std::make_unique<Metered>(std::move(base), outside);
}

}  // namespace datashard
