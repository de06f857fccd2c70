// Merges a table's small data files, one run at a time, in the caller's thread. It shares nothing with a table handle but the
// store: a process may fork while it runs in another thread, and the child must find no lock of the handle's taken.
// Why: docs/design/0006-small-files.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/outside.h"
#include "catalog/directory_catalog.h"
#include "commit/committer.h"
#include "commit/group_committer.h"
#include "commit/merge_files.h"
#include "commit/small_files.h"
#include "storage/object_store.h"

namespace datashard {

/// One thread at a time. Borrows what `outside` names.
class SmallFileMerger {
 public:
  /// Files that must come before another look while one is under way, or where something stood in the way of a merge.
  static constexpr int64_t kFilesBetweenLooks = 64;

  /// \param open_ring  joins the table's ring; none: merges do not know of each other, and race with appends.
  /// \param requests  ReadPlan::requests.
  SmallFileMerger(std::shared_ptr<ObjectStore> store, Outside outside, commit::OpenRing open_ring,
                  commit::MergeLimits limits = {}, int32_t requests = 1);

  struct Outcome {
    bool merged = false;
    /// Another look is not worth it before the table has this many data files.
    int64_t next_look_files = 0;
  };
  /// Looks at the newest version and merges the oldest run that is due, if nobody on this host is doing it.
  /// \param stopped  asked now and then: once true, the merge is abandoned.
  /// Errors: of storage; kInvalidArgument (property datashard.auto-merge); kCommitUnknown: every file is kept. After others
  /// nothing of the merge remains.
  Result<Outcome> MergeOnce(const std::function<bool()>& stopped);

 private:
  Result<bool> Merge(const commit::Base& base, std::vector<ManifestEntry> run, const std::function<bool()>& stopped);
  Result<DataFile> Write(const commit::Base& base, const std::vector<ManifestEntry>& run, WriteGroup& group,
                         const std::string& key, const std::function<bool()>& stopped);
  Result<bool> Publish(commit::MergeFiles& change, WriteGroup& group, const std::function<bool()>& stopped);
  void Refuse(const std::vector<ManifestEntry>& run, const Error& error);
  void Drop(const std::string& key);

  const std::shared_ptr<ObjectStore> store_;
  const Outside outside_;
  const commit::MergeLimits limits_;
  const int32_t requests_;
  catalog::DirectoryCatalog catalog_;
  commit::Committer committer_;
  commit::GroupCommitter group_;
  commit::SeenManifests seen_;
  catalog::VersionPtr known_;
  std::set<std::string> refused_;  // files of runs that could not be read
};

}  // namespace datashard
