// A directory table's versions: metadata/v{N}.metadata.json, numbered from 1 without gaps. Creating v{N+1} exclusively is
// the commit; the hint file only saves readers a search. Bodies never change, so a loaded version is shared freely.
// Source: docs/design/0002-numbered-versions.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/outside.h"
#include "datashard/result.h"
#include "iceberg/metadata.h"
#include "storage/object_store.h"

namespace datashard::catalog {

/// One version of a table. Immutable.
struct Version {
  int64_t number = 0;
  std::string key;  // "metadata/v7.metadata.json"
  iceberg::TableMetadata metadata;
};
using VersionPtr = std::shared_ptr<const Version>;

/// "metadata/v7.metadata.json".
std::string VersionKey(int64_t number);

enum class Published { kWon, kLost };

/// Callable from several threads. Borrows `outside`; shares the store.
class DirectoryCatalog {
 public:
  DirectoryCatalog(std::shared_ptr<ObjectStore> store, Outside outside);

  /// The newest version, found from the hint (a list of the directory where it does not help).
  /// Errors: kNotFound (kTable): no table; kUnsupported (kLegacyLayout): only a table of releases before 0.10;
  /// kCorruption (kMetadata): the newest version cannot be read.
  Result<VersionPtr> Load() const;
  /// The newest version, given that `known` was one: one look at each spelling of the next name when it still is.
  /// Errors as Load; also kCorruption if the table at this place is another one by now.
  Result<VersionPtr> Refresh(const VersionPtr& known) const;

  /// The next version, whole but without its name.
  struct Prepared {
    VersionPtr version;
    Bytes body;
    std::unique_ptr<UnnamedObject> object;
  };
  /// Writes `metadata` as version `number` into `group`; its predecessor (where there is one) was loaded from here.
  /// Errors: kUnsupported (compressed metadata is asked for), those of storage; nothing is visible.
  Result<Prepared> Prepare(int64_t number, iceberg::TableMetadata metadata, WriteGroup& group);
  /// Gives a prepared version its name. Its group, and so everything the version names, must be synced. A lost answer is
  /// settled by reading the version back.
  /// \return kWon: prepared.version is published, durably; kLost: another writer has that number, nothing of ours is
  /// visible. Errors: kCommitUnknown: delete nothing; any other: certainly not published.
  Result<Published> Publish(const Prepared& prepared);

  /// Moves the hint to `number`, and on to any later version that appeared meanwhile. Only a hint: failures are logged.
  void AdvanceHint(int64_t number);

 private:
  Result<std::optional<std::string>> FindKey(int64_t number) const;
  Result<int64_t> HeadFrom(int64_t number) const;
  Result<std::optional<int64_t>> HeadByList() const;
  Result<VersionPtr> Read(int64_t number) const;
  Result<Published> Settle(const Prepared& prepared) const;

  std::shared_ptr<ObjectStore> store_;
  Outside outside_;
};

}  // namespace datashard::catalog
