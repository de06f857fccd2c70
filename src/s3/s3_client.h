// The operations of S3 on one bucket. Keys are whole names in the bucket, any bytes but NUL.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "s3/exchange.h"

namespace datashard::s3 {

/// Above this size an object is better uploaded in parts.
inline constexpr int64_t kPartBytes = int64_t{8} << 20;

struct ObjectHead {
  int64_t size_bytes = 0;
  Instant modified;   ///< whole seconds
  std::string etag;   ///< with its quotes
  std::string token;  ///< PutObject::token of who wrote it; "" if that was not this client
};

struct GotObject {
  Bytes body;
  ObjectHead head;  ///< the size is the whole object's, also where a range was read
};

struct PutObject {
  std::string key;
  ByteView body;
  /// Kept with the object, so that it can be recognised as written by this very call. See NewToken.
  std::string token;
  bool if_absent = false;
  std::string if_match;  ///< an etag: replaces only that
  /// Others replace such objects: that another's is found after a lost answer does not tell whether ours was there before it.
  bool is_replaced_by_others = false;
};

/// Callable from several threads. Errors of all: ErrorOf in answer.h, kUnavailable (no answer within the budget).
class S3Client {
 public:
  S3Client(Place place, RetrySettings retry, HttpClient& http, CredentialsProvider& credentials, const Outside& outside)
      : exchange_(std::move(place), std::move(retry), http, credentials, outside) {}

  std::string UriOf(std::string_view key) const { return exchange_.UriOf(key); }
  const Place& place() const { return exchange_.place(); }
  std::string NewToken() const;

  /// Puts all at once: one round trip. The etags, in order. A refusal that may be due to an earlier attempt of the same call is
  /// settled by the token. Errors of each: kAlreadyExists (if_absent), kConflict (if_match: another was found), kNotFound
  /// (if_match: none was found), kCommitUnknown: a conditional put that may or may not have been applied.
  std::vector<Result<std::string>> PutAll(std::span<const PutObject> objects);
  Result<std::string> Put(const PutObject& object) { return std::move(PutAll({&object, 1}).front()); }

  /// The body is compared with the checksum the server keeps of it. Errors: kNotFound; kCorruption: they differ, twice.
  Result<GotObject> Get(std::string_view key, int64_t bytes_max) { return std::move(GetAll({key}, bytes_max).front()); }
  /// The same for many at once, in the order of the keys.
  std::vector<Result<GotObject>> GetAll(std::vector<std::string_view> keys, int64_t bytes_max);
  /// The bytes of `size` > 0 at `offset`, cut at the object's end; empty beyond it. `if_match`: the etag it must have, or "".
  /// Errors: kNotFound; kCorruption: the object has another etag.
  Result<GotObject> GetRange(std::string_view key, int64_t offset, int64_t size, const std::string& if_match);
  /// The same for several ranges of an object at once.
  std::vector<Result<GotObject>> GetRanges(std::string_view key, std::span<const std::pair<int64_t, int64_t>> offset_and_size,
                                           const std::string& if_match);
  /// The last `size` > 0 bytes, or all of a smaller object.
  Result<GotObject> GetEnd(std::string_view key, int64_t size);
  Result<ObjectHead> Head(std::string_view key) { return std::move(HeadAll({key}).front()); }
  /// The same for many at once, in the order of the keys.
  std::vector<Result<ObjectHead>> HeadAll(std::vector<std::string_view> keys);

  /// Everything whose key starts with `prefix`, in byte order of the keys; a request for each 1,000.
  Result<std::vector<ListedObject>> List(std::string_view prefix);
  /// Removing what is not there is no error.
  Status Delete(std::string_view key);
  /// A request for each 1,000. Error: of the first that could not be removed; the others are.
  Status DeleteAll(std::span<const std::string> keys);
  /// Within the bucket, up to 5 GiB. Errors: kNotFound.
  Status Copy(std::string_view from_key, std::string_view to_key);
  /// The time in the Date header of an answer, in whole seconds: one request.
  Result<Instant> ServerTime();

  Exchange& exchange() { return exchange_; }

 private:
  Result<GotObject> Whole(const Call& call, Result<Answer> answered);
  Result<std::string> Settle(const PutObject& object, Result<Answer> answer);
  Exchange exchange_;
};

/// Compares the token of what is at `key` with `token`: ok: it is ours; kAlreadyExists: another's; kCommitUnknown: nobody can tell.
Status WhoseIsIt(S3Client& client, std::string_view key, const std::string& token);
ObjectHead HeadOf(const HttpResponse& response);

}  // namespace datashard::s3
