// Files that writers have not named yet and have asked to be left alone: leases of ours, and the markers that the released
// package (0.10 to 0.11) puts beside the files it is writing.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "datashard/result.h"
#include "storage/object_store.h"

namespace datashard::collect {

class WritersFiles {
 public:
  /// Reads metadata/inflight/. To be called before the table's newest version is looked for: a writer that is missed here has
  /// either named its files by then, or begins with younger ones.
  /// \param location  where the table's metadata says it lies. \param now  by the store's clock.
  static Result<WritersFiles> Read(ObjectStore& store, const std::string& location, Instant now);

  bool Hold(const ObjectInfo& file) const;

 private:
  Status ReadMarker(ObjectStore& store, const std::string& location, const ObjectInfo& marker);
  void HoldSince(Instant instant);

  std::optional<Instant> since_;  // files of that time or younger
  std::set<std::string> keys_;
};

}  // namespace datashard::collect
