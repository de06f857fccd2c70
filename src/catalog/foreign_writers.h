// Living beside Hadoop catalogs (Spark), whose commit replaces whatever has the name: create "<uuid>.metadata.json", look
// whether the version exists, rename. Source: docs/design/0005-old-versions-and-foreign-writers.md.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/fork.h"
#include "base/outside.h"
#include "datashard/result.h"
#include "iceberg/metadata.h"
#include "storage/object_store.h"

namespace datashard::catalog {

/// Property datashard.foreign-writers: "auto" (the default) is true, "no" is false. Errors: kInvalidArgument.
Result<bool> MayHaveForeignWriters(const iceberg::TableMetadata& metadata);

/// Callable from several threads. Borrows everything.
class ForeignWriters {
 public:
  /// A temporary file that was not written to for so long belongs to nobody.
  static constexpr std::chrono::microseconds kPatience = std::chrono::seconds(5);
  /// The longest time between two looks at one.
  static constexpr std::chrono::microseconds kLookMax = std::chrono::milliseconds(20);

  ForeignWriters(ObjectStore& store, Outside outside);

  /// Returns when no Hadoop writer can replace a version any more that existed before this call: whoever had not created
  /// his temporary file by then looks after that, and finds the version. A version that is in its place after this call
  /// stays there. Cost where nobody else writes: one read of a queue of events. Errors: of storage.
  /// \param alive  called (where there is one) every kLookMax at least while it waits.
  Status Await(const std::function<void()>& alive = {});

 private:
  Status AwaitOne(const std::string& key, const std::function<void()>& alive);

  ObjectStore& store_;
  Outside outside_;
  const std::unique_ptr<NameWatch> watch_;  // null: this store cannot rename, so nobody replaces anything
  PerProcess<std::set<std::string>> litter_;
};

}  // namespace datashard::catalog
