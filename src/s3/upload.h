// One object uploaded in parts: it appears whole when completed, or never.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "s3/s3_client.h"

namespace datashard::s3 {

/// One thread at a time. Must not outlive its client.
class Upload {
 public:
  static Result<std::unique_ptr<Upload>> Begin(S3Client& client, std::string key, bool if_absent);
  /// Aborts what was not completed, so that no parts are left to pay for.
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  /// The next parts, all at once; each but the last of the object has at least 5 MiB.
  Status PutParts(const std::vector<ByteView>& parts);
  /// Errors: kAlreadyExists, kCommitUnknown: it may or may not be there; any other: it is not.
  Status Complete();
  int64_t part_count() const { return static_cast<int64_t>(etags_.size()); }

 private:
  Upload(S3Client& client, std::string key, std::string id, std::string token, bool if_absent)
      : client_(client), key_(std::move(key)), id_(std::move(id)), token_(std::move(token)), if_absent_(if_absent) {}
  Status CompleteOnce(bool& earlier_may_have_landed, bool& again);

  S3Client& client_;
  const std::string key_;
  const std::string id_;
  const std::string token_;
  const bool if_absent_;
  std::vector<std::string> etags_;
  bool open_ = true;  // there is something to abort
};

}  // namespace datashard::s3
