// Where a snapshot lies: a directory or a place in a bucket, and the stores that its shards lie in.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/environment.h"
#include "base/fork.h"
#include "base/outside.h"
#include "datashard/sharded_manifest.h"
#include "storage/object_store.h"

namespace datashard::generation {

/// An object, or a directory of them, in a store.
struct Located {
  std::shared_ptr<ObjectStore> store;
  std::string key;  ///< "" is the store's root
};

/// Callable from several threads, also after a fork: a child opens stores of its own.
class SnapshotPlace {
 public:
  /// `prefix`: s3://bucket/path, file:///directory or a path. A bucket is reached as `options` say; what they leave open, the environment does:
  /// keys by S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY and S3_SESSION_TOKEN, then AWS_*, then DATASHARD_S3_*, then where AWS's tools look;
  /// the region by S3_REGION, AWS_REGION, AWS_DEFAULT_REGION, DATASHARD_S3_REGION; the endpoint by AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL,
  /// SLATEDB_S3_ENDPOINT_URL, DATASHARD_S3_ENDPOINT. Nothing is asked or made here. `environment` and `outside` are borrowed, also by the stores.
  /// Errors: kInvalidArgument, kUnsupported: what the options or the environment say.
  static Result<std::shared_ptr<SnapshotPlace>> Open(const std::string& prefix, const SnapshotS3Options& options,
                                                     const Environment& environment, const Outside& outside);
  /// On a store whose root the snapshot lies in, for simulations; `url` is what references call it.
  SnapshotPlace(std::string url, std::shared_ptr<ObjectStore> store);
  ~SnapshotPlace();
  SnapshotPlace(const SnapshotPlace&) = delete;
  SnapshotPlace& operator=(const SnapshotPlace&) = delete;

  /// "s3://bucket/path" or "file:///directory": what references begin with. No slash at the end.
  const std::string& url() const { return url_; }
  /// The store, rooted at url(). Errors: kNotFound: a directory that is not there; kDenied, kInvalidArgument.
  Result<std::shared_ptr<ObjectStore>> ToRead();
  /// The same; a directory is made.
  Result<std::shared_ptr<ObjectStore>> ToWrite();

  /// The key of `url` below url(); none where it lies elsewhere.
  std::optional<std::string> KeyOf(std::string_view url) const;
  /// The store that a reference leads into: this one, or one that is opened with the same options. Errors: as ToRead and Open.
  Result<Located> Locate(const std::string& url);
  /// The directory of this machine that `url` names; none for a bucket.
  static std::optional<std::string> DirectoryOf(std::string_view url);

 private:
  struct Opening;
  SnapshotPlace(std::string url, std::unique_ptr<const Opening> opening);
  Result<std::shared_ptr<ObjectStore>> Opened(bool create);

  std::string url_;
  const std::unique_ptr<const Opening> opening_;  ///< null: there was a store at the beginning
  const std::shared_ptr<ObjectStore> given_;      ///< null: opening_ says how
  PerProcess<std::shared_ptr<ObjectStore>> store_;
  PerProcess<std::map<std::string, std::shared_ptr<SnapshotPlace>, std::less<>>> others_;  ///< by bucket, or by the directory that a reference lies in
};

/// The system's clock and randomness, no metrics, warnings to standard error; lives as long as the process.
const Outside& ProcessOutside();

}  // namespace datashard::generation
