// Single objects of a bucket or a directory, for faces that keep manifests and run records in code of their own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "datashard/result.h"
#include "datashard/sharded_manifest.h"

namespace datashard {

struct ObjectFacts {
  std::string key;  ///< below the root
  int64_t size_bytes = 0;
  UtcTime modified;
  bool operator==(const ObjectFacts&) const = default;
};

/// Callable from several threads. Errors of all calls: kInvalidArgument: a bad key; kDenied, kUnavailable.
class ObjectAccess {
 public:
  /// `root`: s3://bucket, s3://bucket/path, file:///directory or a plain path. No request is made here. Errors: kInvalidArgument.
  static Result<std::unique_ptr<ObjectAccess>> Open(const std::string& root, const SnapshotS3Options& options = {});
  virtual ~ObjectAccess() = default;

  /// Errors: kNotFound.
  virtual Result<std::string> Get(const std::string& key) = 0;
  /// Creates or replaces.
  virtual Status Put(const std::string& key, std::string_view body) = 0;
  /// Errors: kNotFound.
  virtual Result<ObjectFacts> Head(const std::string& key) = 0;
  /// Objects whose keys start with `prefix`, "" or ending in '/', in ascending order.
  virtual Result<std::vector<ObjectFacts>> List(const std::string& prefix) = 0;
  /// What is not there is no error.
  virtual Status Delete(const std::vector<std::string>& keys) = 0;
};

}  // namespace datashard
