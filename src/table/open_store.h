// The store of a table, from the name a user gives the table: a directory, or a place in a bucket.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/environment.h"
#include "base/outside.h"
#include "s3/settings.h"
#include "storage/object_store.h"

namespace datashard {

struct TablePlace {
  std::unique_ptr<ObjectStore> store;
  /// Tells this place, and who asks, from all others, where the store is remote: processes of a host for which it is the same
  /// commit together. Without secrets.
  std::string identity;
  /// Where it lies in a bucket, with the keys that were given; none for a directory.
  std::optional<s3::S3Settings> bucket;
};

/// An s3:// URI, or any path where DATASHARD_STORAGE_TYPE is s3, lies in a bucket: no request is made here, and nothing local but the
/// cache where DATASHARD_S3_CACHE_DIR is set.
/// Other paths are directories, made if `create`. `outside` is borrowed by the store.
/// Errors: those of OpenLocalStore; kInvalidArgument, kUnsupported: what the environment says of the bucket; kInvalidArgument: a URI
/// of another kind.
Result<TablePlace> OpenTablePlace(std::string_view table_path, bool create, const Environment& environment,
                                  const Outside& outside);

}  // namespace datashard
