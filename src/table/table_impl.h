// The state behind Table and Transaction, and the ways to build one on a given store (tests, simulations).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fork.h"
#include "base/outside.h"
#include "catalog/directory_catalog.h"
#include "commit/committer.h"
#include "commit/group_committer.h"
#include "commit/lease.h"
#include "datashard/table.h"
#include "storage/object_store.h"
#include "table/background_merges.h"

namespace datashard {

/// How long a commit goes on after Ctrl-C, for an outcome.
inline constexpr std::chrono::seconds kCommitGrace{1};

/// The components of a table that real programs use, and their owner.
struct TableSurroundings {
  MetricSums metrics;
  Outside outside{SystemClock(), SystemRandom(), metrics, StderrLog()};
};

/// Live entries of manifests by path. Manifests never change, so an entry is good for ever; the whole is dropped when it
/// holds too many files.
class ManifestCache {
 public:
  using Entries = std::shared_ptr<const std::vector<ManifestEntry>>;
  Entries Find(const std::string& path) const;
  void Add(const std::string& path, Entries entries);

 private:
  struct Cached {
    std::map<std::string, Entries> by_path;
    size_t files = 0;
  };
  mutable PerProcess<Cached> cached_;
};

class TableImpl {
 public:
  TableImpl(std::string path, std::shared_ptr<ObjectStore> store, std::unique_ptr<TableSurroundings> surroundings,
            Outside outside, catalog::VersionLimits limits = {});

  /// Makes version 1, or opens what is there, as Table::Create says. Sets `created`.
  Status Create(CreateOptions options);
  Status Open();

  /// The newest version. Errors: as DirectoryCatalog::Refresh.
  Result<catalog::VersionPtr> Current();
  /// Remembers a version that is known to be newest or nearly so.
  void Remember(const catalog::VersionPtr& version);

  /// The snapshot with this id, archived ones too, or the current one; none for an empty table.
  /// Errors: kInvalidArgument (kSnapshot); kCorruption (kMetadata) of the archive.
  Result<std::optional<Snapshot>> FindSnapshot(const catalog::VersionPtr& version, std::optional<int64_t> snapshot_id) const;
  /// The data manifests of a snapshot. Errors: kUnsupported where it has live delete files.
  Result<std::vector<ManifestFile>> DataManifests(const catalog::VersionPtr& version, const Snapshot& snapshot) const;
  Result<ManifestCache::Entries> EntriesOf(const catalog::VersionPtr& version, const ManifestFile& manifest);
  /// `path` in any form users hand back to us (URI, absolute, relative to the table) as a key.
  Result<std::string> KeyOfUserPath(std::string_view path);

  Result<ArrowStream> Scan(const ScanOptions& options);

  /// As Table::Append says.
  Result<std::optional<CommittedSnapshot>> Append(ArrowStream rows, const std::optional<Schema>& given,
                                                  const Interrupted& interrupted);
  /// Files of one snapshot, written into a group that is not synced yet, and what they were planned on.
  struct StagedFiles {
    std::vector<DataFile> files;
    Schema schema;
    catalog::VersionPtr base;
  };
  /// Publishes them, as a transaction or as a plain append (`kind`). After an error the files are still there.
  Result<CommittedSnapshot> CommitFiles(StagedFiles staged, WriteGroup& group, commit::PayloadKind kind,
                                        const commit::Until& until);
  /// Publishes a change of no rows, in turn with this host's appends: a reader of long histories would lose every race.
  Result<commit::Committed> CommitInTurn(commit::Change& change, const catalog::VersionPtr& known,
                                         const Interrupted& interrupted);
  /// The newest version that is known without a look, if it has a schema; else the newest there is.
  Result<catalog::VersionPtr> KnownWithSchema();
  /// Sums by name; none on a store of the caller's, who has the metrics.
  std::map<std::string, double> ReadMetrics() const;

  const std::string path;
  const std::shared_ptr<ObjectStore> store;
  bool created = false;
  std::string place_identity;  // TablePlace::identity

 private:
  std::unique_ptr<TableSurroundings> surroundings_;

 public:
  const Outside outside;
  catalog::DirectoryCatalog catalog;
  commit::Committer committer;

 private:
  catalog::VersionPtr Known();
  commit::GroupCommitter& group_committer(const catalog::VersionPtr& known);
  commit::OpenRing RingOpener(const iceberg::TableMetadata& metadata) const;
  /// Has small files merged where this process has just published and there are enough of them.
  void MergeLater();
  Result<std::optional<CommittedSnapshot>> AppendAsFile(ArrowStream conformed, Schema schema, const catalog::VersionPtr& base,
                                                        const commit::Until& until);
  Result<std::optional<CommittedSnapshot>> AppendUnderLease(ArrowStream conformed, Schema schema,
                                                            const catalog::VersionPtr& base, commit::Lease& lease,
                                                            const commit::Until& until);
  void DropUnnamed(const std::string& key);

  PerProcess<std::unique_ptr<commit::GroupCommitter>> group_;  // made by the first append
  ManifestCache manifests_;
  PerProcess<catalog::VersionPtr> current_;  // null in a fork child that has not looked yet
  std::string table_uuid_;
  std::unique_ptr<BackgroundMerges> merges_;  // none on a store of the caller's; last, so that its thread ends first
};

/// A table on a store of the caller's, with the caller's clock and randomness, which must outlive it.
Result<std::unique_ptr<Table>> CreateTableOn(std::shared_ptr<ObjectStore> store, Outside outside, CreateOptions options,
                                             catalog::VersionLimits limits = {});
Result<std::unique_ptr<Table>> OpenTableOn(std::shared_ptr<ObjectStore> store, Outside outside,
                                           catalog::VersionLimits limits = {});

}  // namespace datashard
