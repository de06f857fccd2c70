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

  /// How long a Hadoop writer that lost a race is given to try again: it waits some 100 ms, plans, and creates its file.
  static constexpr std::chrono::microseconds kTurn = std::chrono::milliseconds(500);

  ForeignWriters(ObjectStore& store, Outside outside);

  /// Call before a version is created. A Hadoop writer plans for longer than we need for a version, so it would lose for
  /// ever: when one has given up its temporary file, this waits until the next one appears, or for kTurn, and returns true.
  /// Then it does so no more until Won. Cost where nobody else writes: one read of a queue of events. Errors: of storage.
  /// \param alive  called while it waits, as by Await.
  Result<bool> GiveWay(const std::function<void()>& alive = {});
  /// A version of ours was acknowledged: the next turn may be theirs.
  void Won();

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
  struct Turn {
    int64_t answered = 0;  // the number of the last event that was given way to
    bool given = false;
  };
  PerProcess<Turn> turn_;
};

}  // namespace datashard::catalog
