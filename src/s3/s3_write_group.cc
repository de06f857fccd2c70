#include "s3/s3_write_group.h"

#include <set>
#include <vector>

#include "base/check.h"
#include "s3/upload.h"
#include "storage/keys.h"

namespace datashard::s3 {
namespace {

constexpr int64_t kPartsAtOnce = 4;
constexpr int64_t kSinglePutBytesMax = kPartsAtOnce * kPartBytes;
constexpr int64_t kKeptBytesMax = int64_t{64} << 20;
constexpr size_t kKeptObjectsMax = 256;
constexpr int64_t kPartsPerSize = 1000;

/// Parts grow with their number, so that 10,000 of them hold the 5 TiB an object may have.
int64_t PartBytes(int64_t part_count) { return kPartBytes * (1 + part_count / kPartsPerSize); }

/// Uploads as many whole parts of `body` as there are, and what is left behind them if `all`; returns how many bytes went.
Result<int64_t> PutParts(Upload& upload, ByteView body, bool all) {
  const auto size = static_cast<int64_t>(body.size());
  int64_t sent = 0;
  while (sent < size) {
    const int64_t part_bytes = PartBytes(upload.part_count());
    std::vector<ByteView> parts;
    for (int64_t at = sent; at < size && static_cast<int64_t>(parts.size()) < kPartsAtOnce; at += part_bytes) {
      if (size - at < part_bytes && !all) break;
      parts.push_back(body.substr(static_cast<size_t>(at), static_cast<size_t>(part_bytes)));
    }
    if (parts.empty()) break;
    DS_RETURN_IF_ERROR(upload.PutParts(parts));
    for (const ByteView part : parts) sent += static_cast<int64_t>(part.size());
  }
  return sent;
}

// What is new under a random name is simply written anew under another, whether or not it is there: Repeatable.

class S3WriteGroup;

class S3Writer final : public ObjectWriter {
 public:
  S3Writer(S3WriteGroup& group, S3Client& client, std::string key) : group_(group), client_(client), key_(std::move(key)) {}
  Status Append(ByteView bytes) override {
    DS_CHECK(!finished_);
    buffer_.append(bytes);
    size_bytes_ += static_cast<int64_t>(bytes.size());
    const int64_t batch = kPartsAtOnce * PartBytes(upload_ ? upload_->part_count() : 0);
    if (static_cast<int64_t>(buffer_.size()) > batch) DS_RETURN_IF_ERROR(SendParts(/*all=*/false));
    return {};
  }
  int64_t size_bytes() const override { return size_bytes_; }
  Status Finish() override;

 private:
  Status SendParts(bool all);

  S3WriteGroup& group_;
  S3Client& client_;
  const std::string key_;
  Bytes buffer_;
  int64_t size_bytes_ = 0;
  std::unique_ptr<Upload> upload_;
  bool finished_ = false;
};

/// A body that becomes an object by one conditional put.
class S3Unnamed final : public UnnamedObject {
 public:
  S3Unnamed(S3Client& client, ExclusivePuts& puts, std::string full_key, Bytes body, std::shared_ptr<const int64_t> syncs)
      : client_(client), puts_(puts), key_(std::move(full_key)), body_(std::move(body)), token_(client.NewToken()),
        syncs_(std::move(syncs)), syncs_before_(*syncs_) {}
  Status Publish() override {
    if (*syncs_ == syncs_before_) return Internal("{} is published before its group was synced", client_.UriOf(key_));
    put_ = true;
    return puts_.Put({.key = key_, .body = body_, .token = token_, .if_absent = true});
  }
  Result<bool> StillNamed() override {
    if (!put_) return false;
    const Result<ObjectHead> head = client_.Head(key_);
    if (head.ok()) return head->token == token_;
    if (head.kind() == ErrorKind::kNotFound) return false;
    return head.error();
  }

 private:
  S3Client& client_;
  ExclusivePuts& puts_;
  const std::string key_;
  const Bytes body_;
  const std::string token_;
  const std::shared_ptr<const int64_t> syncs_;
  const int64_t syncs_before_;
  std::atomic<bool> put_ = false;
};

class S3WriteGroup final : public WriteGroup {
 public:
  S3WriteGroup(S3Client& client, ExclusivePuts& puts, std::string prefix) : client_(client), puts_(puts), prefix_(std::move(prefix)) {}

  Status Put(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(Claim(key));
    if (static_cast<int64_t>(body.size()) > kSinglePutBytesMax) return PutLarge(key, body);
    return Keep(key, Bytes(body));
  }
  Result<std::unique_ptr<ObjectWriter>> Open(std::string_view key) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    return std::unique_ptr<ObjectWriter>(std::make_unique<S3Writer>(*this, client_, std::string(key)));
  }
  Result<std::unique_ptr<UnnamedObject>> Prepare(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    return std::unique_ptr<UnnamedObject>(std::make_unique<S3Unnamed>(client_, puts_, FullKey(key), Bytes(body), syncs_));
  }
  Status Sync() override {
    DS_RETURN_IF_ERROR(Flush());
    ++*syncs_;
    return {};
  }

  std::string FullKey(std::string_view key) const { return prefix_ + std::string(key); }
  /// Takes the name within this group.
  Status Claim(std::string_view key) {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    if (!names_.emplace(key).second) return AlreadyExists("{} exists", client_.UriOf(FullKey(key)));
    return {};
  }
  Status Keep(std::string_view key, Bytes body) {
    kept_bytes_ += static_cast<int64_t>(body.size());
    kept_.push_back({.key = FullKey(key), .body = std::move(body)});
    if (kept_bytes_ <= kKeptBytesMax && kept_.size() < kKeptObjectsMax) return {};
    return Flush();
  }
  Result<std::unique_ptr<Upload>> BeginUpload(std::string_view key) {
    DS_RETURN_IF_ERROR(puts_.Ensure());
    return Upload::Begin(client_, FullKey(key), /*if_absent=*/true);
  }

 private:
  struct Kept {
    std::string key;
    Bytes body;
  };

  Status PutLarge(std::string_view key, ByteView body) {
    DS_ASSIGN_OR_RETURN(const std::unique_ptr<Upload> upload, BeginUpload(key));
    DS_RETURN_IF_ERROR(PutParts(*upload, body, /*all=*/true));
    const Status completed = upload->Complete();
    return completed.ok() ? completed : Status(Repeatable(completed.error()));
  }
  Status Flush() {
    if (kept_.empty()) return {};
    std::vector<PutObject> objects;
    for (const Kept& kept : kept_)
      objects.push_back({.key = kept.key, .body = kept.body, .token = client_.NewToken(), .if_absent = true});
    const std::vector<Status> outcomes = puts_.PutAll(objects);
    kept_.clear();
    kept_bytes_ = 0;
    for (const Status& outcome : outcomes) {
      if (!outcome.ok()) return Repeatable(outcome.error());
    }
    return {};
  }

  S3Client& client_;
  ExclusivePuts& puts_;
  const std::string prefix_;
  std::set<std::string, std::less<>> names_;  // given to this group, without the prefix
  std::vector<Kept> kept_;
  int64_t kept_bytes_ = 0;
  const std::shared_ptr<int64_t> syncs_ = std::make_shared<int64_t>(0);  // how often this group was synced
};

Status S3Writer::SendParts(bool all) {
  if (!upload_) {
    DS_ASSIGN_OR_RETURN(upload_, group_.BeginUpload(key_));
  }
  DS_ASSIGN_OR_RETURN(const int64_t sent, PutParts(*upload_, buffer_, all));
  buffer_.erase(0, static_cast<size_t>(sent));
  return {};
}

Status S3Writer::Finish() {
  DS_CHECK(!finished_);
  finished_ = true;
  DS_RETURN_IF_ERROR(group_.Claim(key_));
  if (!upload_) return group_.Keep(key_, std::move(buffer_));
  DS_RETURN_IF_ERROR(SendParts(/*all=*/true));
  const Status completed = upload_->Complete();
  return completed.ok() ? completed : Status(Repeatable(completed.error()));
}

}  // namespace

std::unique_ptr<WriteGroup> MakeS3WriteGroup(S3Client& client, ExclusivePuts& puts, std::string prefix) {
  return std::make_unique<S3WriteGroup>(client, puts, std::move(prefix));
}

}  // namespace datashard::s3
