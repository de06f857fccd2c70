#include "s3/s3_store.h"

#include <algorithm>
#include <cstring>

#include "base/uri.h"
#include "s3/exclusive_puts.h"
#include "s3/s3_client.h"
#include "s3/s3_write_group.h"
#include "storage/keys.h"

namespace datashard::s3 {
namespace {

constexpr int64_t kTailBytes = 64 * 1024;
constexpr int64_t kRangeBytes = int64_t{8} << 20;
constexpr size_t kRangesAtOnce = 8;
constexpr std::string_view kProbeName = ".datashard-conditional-writes.tmp";

/// Reads ranges of the object that was opened, and of no other; its end is at hand.
class S3Reader final : public ObjectReader {
 public:
  S3Reader(S3Client& client, std::string full_key, GotObject end)
      : client_(client), key_(std::move(full_key)), head_(std::move(end.head)), tail_(std::move(end.body)),
        tail_start_(head_.size_bytes - static_cast<int64_t>(tail_.size())) {}

  int64_t size_bytes() const override { return head_.size_bytes; }
  Result<bool> StillNamed() override {
    const Result<ObjectHead> now = client_.Head(key_);
    if (now.ok()) return now->etag == head_.etag && now->token == head_.token && now->modified == head_.modified;
    if (now.kind() == ErrorKind::kNotFound) return false;
    return now.error();
  }
  Result<int64_t> ReadAt(int64_t offset, int64_t size, void* out) override {
    DS_RETURN_IF_ERROR(CheckRange(key_, offset, size));
    const int64_t count = std::clamp<int64_t>(size_bytes() - offset, 0, size);
    const int64_t fetched = std::clamp<int64_t>(tail_start_ - offset, 0, count);
    DS_RETURN_IF_ERROR(Fetch(offset, fetched, static_cast<char*>(out)));
    if (count > fetched) {
      const int64_t in_tail = offset + fetched - tail_start_;
      std::memcpy(static_cast<char*>(out) + fetched, tail_.data() + in_tail, static_cast<size_t>(count - fetched));
    }
    return count;
  }
  std::vector<Result<Bytes>> ReadRanges(std::span<const ByteRange> ranges) override {
    std::vector<Result<Bytes>> read;
    std::vector<std::pair<int64_t, int64_t>> asked;
    std::vector<size_t> asked_for;  // which range each is for
    for (const ByteRange& range : ranges) {
      const Status usable = CheckRange(key_, range.offset_bytes, range.size_bytes);
      read.push_back(usable.ok() ? Result<Bytes>(Bytes()) : Result<Bytes>(usable.error()));
      if (!usable.ok() || BeforeTail(range) == 0) continue;
      asked.emplace_back(range.offset_bytes, BeforeTail(range));
      asked_for.push_back(read.size() - 1);
    }
    std::vector<Result<GotObject>> got = client_.GetRanges(key_, asked, head_.etag);
    for (size_t i = 0; i < asked.size(); ++i) read[asked_for[i]] = Whole(asked[i], std::move(got[i]));
    for (size_t i = 0; i < ranges.size(); ++i) {
      if (read[i].ok()) read[i]->append(FromTail(ranges[i]));
    }
    return read;
  }
  int64_t at_hand_offset() const override { return tail_start_; }
  std::string identity() const override { return head_.etag; }

 private:
  /// How many bytes of `range` have to be fetched; the others are in the tail or beyond the end.
  int64_t BeforeTail(const ByteRange& range) const {
    return std::clamp<int64_t>(tail_start_ - range.offset_bytes, 0, range.size_bytes);
  }
  ByteView FromTail(const ByteRange& range) const {
    const int64_t first = std::max<int64_t>(range.offset_bytes - tail_start_, 0);
    const int64_t count = range.size_bytes - BeforeTail(range);
    if (first >= static_cast<int64_t>(tail_.size())) return {};
    return ByteView(tail_).substr(static_cast<size_t>(first), static_cast<size_t>(count));
  }
  /// Of a range within the object nothing may be missing.
  Result<Bytes> Whole(const std::pair<int64_t, int64_t>& range, Result<GotObject> got) const {
    if (!got.ok()) return std::move(got).error();
    if (static_cast<int64_t>(got->body.size()) != range.second)
      return Corruption("{}: expected {} bytes at {}, got {}", client_.UriOf(key_), range.second, range.first, got->body.size());
    return std::move(got->body);
  }
  Status Fetch(int64_t offset, int64_t size, char* out) {
    for (int64_t done = 0; done < size;) {
      std::vector<std::pair<int64_t, int64_t>> ranges;
      int64_t end = done;
      for (; end < size && ranges.size() < kRangesAtOnce; end += ranges.back().second)
        ranges.emplace_back(offset + end, std::min(kRangeBytes, size - end));
      std::vector<Result<GotObject>> pieces = client_.GetRanges(key_, ranges, head_.etag);
      for (size_t i = 0; i < pieces.size(); ++i) {
        DS_ASSIGN_OR_RETURN(const Bytes piece, Whole(ranges[i], std::move(pieces[i])));
        std::memcpy(out + (ranges[i].first - offset), piece.data(), piece.size());
      }
      done = end;
    }
    return {};
  }

  S3Client& client_;
  const std::string key_;
  const ObjectHead head_;
  const Bytes tail_;
  const int64_t tail_start_;
};

class S3Store final : public ObjectStore {
 public:
  S3Store(S3StoreSettings settings, std::shared_ptr<HttpClient> http, std::shared_ptr<CredentialsProvider> credentials, const Outside& outside)
      : http_(std::move(http)), credentials_(std::move(credentials)), prefix_(settings.prefix.empty() ? "" : settings.prefix + "/"),
        root_uri_(fmt::format("s3://{}{}{}", settings.place.bucket, prefix_.empty() ? "" : "/", settings.prefix)),
        client_(settings.place, settings.retry, *http_, *credentials_, outside, settings.content_type_of),
        exclusive_(client_, FullKey(kProbeName), settings.exclusive) {}

  const std::string& root_uri() const override { return root_uri_; }
  bool durable_when_visible() const override { return true; }
  bool is_remote() const override { return true; }
  std::unique_ptr<WriteGroup> NewWriteGroup() override { return MakeS3WriteGroup(client_, exclusive_, prefix_); }

  Status PutIfAbsent(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    return exclusive_.Put({.key = FullKey(key), .body = body, .token = client_.NewToken(), .if_absent = true});
  }
  Status Replace(std::string_view key, ByteView body) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    DS_RETURN_IF_ERROR(client_.Put({.key = FullKey(key), .body = body, .token = client_.NewToken()}));
    return {};
  }
  Result<TaggedBody> GetTagged(std::string_view key) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    DS_ASSIGN_OR_RETURN(GotObject got, client_.Get(FullKey(key), kWholeObjectBytesMax));
    if (got.head.etag.empty())
      return Unsupported("{} came without an ETag, so that it cannot be told from what replaces it", client_.UriOf(FullKey(key)));
    return TaggedBody{.body = std::move(got.body), .tag = std::move(got.head.etag)};
  }
  Status ReplaceIf(std::string_view key, ByteView body, std::string_view tag) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    return exclusive_.PutIf({.key = FullKey(key), .body = body, .token = client_.NewToken(), .if_absent = tag.empty(),
                             .if_match = std::string(tag), .is_replaced_by_others = true});
  }
  Status DropBody(std::string_view key, ByteView tombstone) override { return Replace(key, tombstone); }

  Result<Bytes> Get(std::string_view key) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    DS_ASSIGN_OR_RETURN(GotObject got, client_.Get(FullKey(key), kWholeObjectBytesMax));
    return std::move(got.body);
  }
  std::vector<Result<Bytes>> GetMany(std::span<const std::string> keys) override {
    std::vector<std::string> full_keys;
    for (const std::string& key : keys) {
      if (!CheckObjectKey(key).ok()) return ObjectStore::GetMany(keys);  // one by one, to tell which
      full_keys.push_back(FullKey(key));
    }
    std::vector<Result<Bytes>> got;
    for (Result<GotObject>& object : client_.GetAll({full_keys.begin(), full_keys.end()}, kWholeObjectBytesMax)) {
      if (object.ok()) {
        got.push_back(std::move(object->body));
      } else {
        got.push_back(std::move(object).error());
      }
    }
    return got;
  }
  Result<Bytes> GetRange(std::string_view key, ByteRange range) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    DS_RETURN_IF_ERROR(CheckRange(key, range.offset_bytes, range.size_bytes));
    if (range.size_bytes == 0) {
      DS_RETURN_IF_ERROR(client_.Head(FullKey(key)));
      return Bytes();
    }
    DS_ASSIGN_OR_RETURN(GotObject got, client_.GetRange(FullKey(key), range.offset_bytes, range.size_bytes, /*if_match=*/""));
    return std::move(got.body);
  }
  Result<std::unique_ptr<ObjectReader>> OpenReader(std::string_view key) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    DS_ASSIGN_OR_RETURN(GotObject end, client_.GetEnd(FullKey(key), kTailBytes));
    return std::unique_ptr<ObjectReader>(std::make_unique<S3Reader>(client_, FullKey(key), std::move(end)));
  }
  Result<ObjectInfo> Head(std::string_view key) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    DS_ASSIGN_OR_RETURN(const ObjectHead head, client_.Head(FullKey(key)));
    return InfoOf(key, head);
  }
  std::vector<Result<ObjectInfo>> HeadMany(std::span<const std::string> keys) override {
    std::vector<std::string> full_keys;
    for (const std::string& key : keys) {
      if (!CheckObjectKey(key).ok()) return ObjectStore::HeadMany(keys);  // one by one, to tell which
      full_keys.push_back(FullKey(key));
    }
    std::vector<Result<ObjectInfo>> found;
    for (Result<ObjectHead>& head : client_.HeadAll({full_keys.begin(), full_keys.end()})) {
      if (head.ok()) {
        found.push_back(InfoOf(keys[found.size()], *head));
      } else {
        found.push_back(std::move(head).error());
      }
    }
    return found;
  }
  Result<std::vector<ObjectInfo>> List(std::string_view prefix) override {
    DS_RETURN_IF_ERROR(CheckListPrefix(prefix));
    DS_ASSIGN_OR_RETURN(std::vector<ListedObject> listed, client_.List(FullKey(prefix)));
    std::vector<ObjectInfo> found;
    for (ListedObject& object : listed) {
      if (!object.key.starts_with(prefix_)) continue;
      std::string key = object.key.substr(prefix_.size());
      // What cannot be named here (a directory's marker "a/", a name with "//") was not written here.
      if (CheckObjectKey(key).ok()) found.push_back({.key = std::move(key), .size_bytes = object.size_bytes, .modified = object.modified});
    }
    return found;
  }
  Status Delete(std::string_view key) override {
    DS_RETURN_IF_ERROR(CheckObjectKey(key));
    return client_.Delete(FullKey(key));
  }
  Status DeleteMany(std::span<const std::string> keys) override {
    std::vector<std::string> full_keys;
    for (const std::string& key : keys) {
      DS_RETURN_IF_ERROR(CheckObjectKey(key));
      full_keys.push_back(FullKey(key));
    }
    return client_.DeleteAll(full_keys);
  }
  std::unique_ptr<NameWatch> WatchNames(std::string_view, NameFilter) override { return nullptr; }
  Result<Instant> ServerTime() override { return client_.ServerTime(); }

 private:
  static ObjectInfo InfoOf(std::string_view key, const ObjectHead& head) {
    return {.key = std::string(key), .size_bytes = head.size_bytes, .modified = head.modified};
  }
  std::string FullKey(std::string_view key) const { return prefix_ + std::string(key); }

  const std::shared_ptr<HttpClient> http_;
  const std::shared_ptr<CredentialsProvider> credentials_;
  const std::string prefix_;  // with its '/'
  const std::string root_uri_;
  S3Client client_;
  ExclusivePuts exclusive_;
};

}  // namespace

S3StoreSettings::Exclusive ExclusiveOf(ConditionalWrites writes) {
  switch (writes) {
    case ConditionalWrites::kWork: return S3StoreSettings::Exclusive::kTrusted;
    case ConditionalWrites::kAbsent: return S3StoreSettings::Exclusive::kAbsent;
    case ConditionalWrites::kProbe: break;
  }
  return S3StoreSettings::Exclusive::kProbe;
}

Result<std::unique_ptr<ObjectStore>> OpenS3Store(S3StoreSettings settings, std::shared_ptr<HttpClient> http,
                                                 std::shared_ptr<CredentialsProvider> credentials, const Outside& outside) {
  const std::string& endpoint = settings.place.endpoint;
  if (!endpoint.starts_with("http://") && !endpoint.starts_with("https://"))
    return InvalidArgument("the S3 endpoint '{}' is no http or https URL", endpoint);
  if (settings.place.bucket.empty()) return InvalidArgument("no S3 bucket is named");
  if (!settings.prefix.empty()) {
    Status usable = CheckKey(settings.prefix);
    if (!usable.ok()) return std::move(usable).error().In("the prefix in the S3 bucket");
  }
  return std::unique_ptr<ObjectStore>(std::make_unique<S3Store>(std::move(settings), std::move(http), std::move(credentials), outside));
}

}  // namespace datashard::s3
