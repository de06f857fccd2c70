// How a bucket is reached: what was said in code, and what the environment adds.
#pragma once

#include <memory>
#include <string>

#include "base/environment.h"
#include "base/outside.h"
#include "datashard/sharded_manifest.h"
#include "s3/exchange.h"
#include "s3/settings.h"
#include "storage/object_store.h"

namespace datashard::generation {

struct BucketAccess {
  s3::S3Settings settings;
  s3::RetrySettings retry;
  std::string ca_file;  ///< empty: AWS_CA_BUNDLE, or the system's
  bool verify_server = true;
};

/// Of s3://bucket/path. The order of what counts: SnapshotPlace::Open. Errors: kInvalidArgument, kUnsupported.
Result<BucketAccess> BucketAccessOf(const std::string& url, const SnapshotS3Options& options, const Environment& environment, Log& log);
/// No request is made here. `outside` is borrowed by the store.
Result<std::shared_ptr<ObjectStore>> OpenBucket(const BucketAccess& access, const Environment& environment, const Outside& outside);

}  // namespace datashard::generation
