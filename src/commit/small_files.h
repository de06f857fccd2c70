// Which small data files of a table are due to become one: a run of neighbours in commit order. Only looks; the change that
// replaces them is merge_files.h. Why: docs/design/0006-small-files.md.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "commit/change.h"
#include "datashard/manifest.h"
#include "datashard/result.h"
#include "iceberg/metadata.h"

namespace datashard::commit {

/// Property datashard.auto-merge: "on" (the default) is true, "off" is false. Errors: kInvalidArgument.
Result<bool> MayMerge(const iceberg::TableMetadata& metadata);

struct MergeLimits {
  int64_t trigger_files = 256;          ///< nothing is done in a table with this many small files or fewer
  int64_t small_file_bytes = 64 << 10;  ///< a file below this is small
  int64_t files_min = 16;               ///< a shorter run is left as it is
  int64_t files_max = 256;              ///< of one run, as are
  int64_t bytes_max = 4 << 20;
  int64_t rows_max = 1 << 20;
  int64_t manifests_read_max = 64;      ///< by one look; the next one goes on where it ended
  bool operator==(const MergeLimits&) const = default;
};

/// Names of merged files start so. One is never merged again, whatever its size, or every row would be written anew over and over.
inline constexpr std::string_view kMergedFilePrefix = "merged_";

/// Is it small, in Parquet, and not itself a merge's result?
bool IsSmall(const DataFile& file, const MergeLimits& limits);

/// Manifests that were read, by path; they never change. Of one without a small file only that fact is kept.
class SeenManifests {
 public:
  using Entries = std::shared_ptr<const std::vector<ManifestEntry>>;

  explicit SeenManifests(MergeLimits limits) : limits_(limits) {}
  /// None: not seen. Null: without a small file.
  std::optional<Entries> Find(const ManifestFile& manifest) const;
  /// As Find, reading it where it was not seen.
  Result<Entries> Get(const ManifestFile& manifest, const ReadEntries& read);
  /// Forgets what `manifests` do not name.
  void KeepOnly(const std::vector<ManifestFile>& manifests);
  int64_t reads() const { return reads_; }

 private:
  const MergeLimits limits_;
  std::map<std::string, Entries, std::less<>> by_path_;
  int64_t reads_ = 0;
};

/// Live files in its line.
inline int64_t LiveFiles(const ManifestFile& manifest) {
  return int64_t{manifest.added_files_count} + manifest.existing_files_count;
}
/// Are files of `manifest` candidates: data of a partition spec without fields, not encrypted?
bool HoldsCandidates(const iceberg::TableMetadata& metadata, const ManifestFile& manifest);
/// Does anything delete rows of this snapshot? Then its files are left alone.
bool HasDeletes(const std::vector<ManifestFile>& manifests);

struct SmallFiles {
  int64_t count = 0;                 ///< found so far
  bool complete = false;             ///< every manifest was looked at, so that `count` is exact
  std::vector<ManifestEntry> run;    ///< due to become one file; empty: none
};
/// The oldest run that is due in a list of `manifests` without deletes: neighbours of one partition spec, ascending sequence
/// numbers, none of them `refused`. Errors: those of `read`.
Result<SmallFiles> FindSmallFiles(const iceberg::TableMetadata& metadata, const std::vector<ManifestFile>& manifests,
                                  const MergeLimits& limits, SeenManifests& seen, const ReadEntries& read,
                                  const std::function<bool(const DataFile&)>& refused);

}  // namespace datashard::commit
