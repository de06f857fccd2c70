// Building one shard database from pairs in ascending order.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"
#include "kv/output.h"

namespace datashard::kv {

/// One object of a finished database, not uploaded yet. Objects are uploaded in the order given; the last makes it readable.
struct BuiltObject {
  std::string name;          ///< relative to the shard's URL: "shard.db", "compacted/01J….sst"
  std::string content_type;  ///< "application/x-sqlite3"
  std::unique_ptr<Output> bytes;
};

/// Makes the Output of one object.
using OutputFactory = std::function<std::unique_ptr<Output>()>;

/// Not thread safe; writers of different shards run side by side.
class DatabaseWriter {
 public:
  virtual ~DatabaseWriter() = default;
  /// `key` is above every key before it. Errors: kInvalidArgument for a key or a value the format cannot hold, and for a key out of
  /// order; those of Output.
  virtual Status Add(ByteView key, ByteView value) = 0;
  /// Called once, after the last Add; with no pair at all the database is empty and valid.
  virtual Result<std::vector<BuiltObject>> Finish() = 0;
};

}  // namespace datashard::kv
