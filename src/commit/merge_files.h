// The change that replaces a run of small data files by the one file their rows were written into: an Iceberg `replace`
// snapshot, and a second one without the list of what is gone. It never wins against anybody: on every attempt it looks anew
// whether all its inputs are still live neighbours and no other engine has written lately, and otherwise withdraws. Why: docs/design/0006-small-files.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "commit/change.h"
#include "commit/new_snapshot.h"
#include "commit/small_files.h"
#include "datashard/manifest.h"
#include "datashard/schema.h"

namespace datashard::commit {

/// A snapshot of another engine younger than this keeps merges away: it may be at work on files it has read the names of.
inline constexpr std::chrono::milliseconds kForeignQuiet = std::chrono::seconds(60);
/// Does the window of `metadata` have such a snapshot?
bool HasRecentForeignCommit(const iceberg::TableMetadata& metadata, Instant now);

class MergeFiles final : public Change {
 public:
  /// \param inputs      a run that FindSmallFiles gave; `merged` holds their rows, in their order.
  /// \param planned_on  the table before `merged` was written: its schema is that file's, and files collected since may be it.
  /// \param seen        borrowed; may know manifests of the base already.
  MergeFiles(std::vector<ManifestEntry> inputs, DataFile merged, const iceberg::TableMetadata& planned_on, Random& random,
             MergeLimits limits, SeenManifests& seen);

  /// Leaves the draft as it is where it withdraws. Errors: kInvalidArgument (property datashard.auto-merge), of reading.
  Status Apply(Draft& draft) override;

  /// Why the last attempt withdrew; empty: it did not.
  const std::string& withdrawn() const { return withdrawn_; }

 private:
  /// Where the inputs are: entries [first_begin, …) of manifest `first` up to [… , last_end) of manifest `last`.
  struct Place {
    size_t first = 0;
    size_t first_begin = 0;
    size_t last = 0;
    size_t last_end = 0;
  };
  Result<std::string> WhyNot(const Draft& draft) const;
  Result<std::optional<Place>> Find(const Draft& draft) const;
  Status Replace(Draft& draft, const Place& place);

  const std::vector<ManifestEntry> inputs_;
  const DataFile merged_;
  const Schema schema_;
  const std::string collected_;
  const ChangeIds ids_;
  const ChangeIds settled_ids_;  // of the second snapshot
  const MergeLimits limits_;
  SeenManifests& seen_;
  std::string withdrawn_;
};

}  // namespace datashard::commit
