// The state behind Table and Transaction, and the ways to build one on a given store (tests, simulations).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fork.h"
#include "base/outside.h"
#include "base/quiet_thread.h"
#include "catalog/directory_catalog.h"
#include "commit/committer.h"
#include "commit/group_committer.h"
#include "commit/lease.h"
#include "data/data_file.h"
#include "datashard/table.h"
#include "s3/settings.h"
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
  /// The manifest list that was added last, if its path is this.
  std::optional<std::vector<ManifestFile>> FindList(const std::string& path) const;
  void AddList(const std::string& path, std::vector<ManifestFile> manifests);

 private:
  struct Cached {
    std::map<std::string, Entries> by_path;
    size_t files = 0;
    std::string list_path;
    std::vector<ManifestFile> list;
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
  Result<std::vector<ManifestFile>> DataManifests(const catalog::VersionPtr& version, const Snapshot& snapshot);
  /// The live entries of each manifest; those not known yet are read, many at once from a remote store.
  Result<std::vector<ManifestCache::Entries>> EntriesOf(const catalog::VersionPtr& version, std::span<const ManifestFile> manifests);
  /// Calls `visit` with every data file of a snapshot, in the order of commits. Errors: those of `visit`, and as DataManifests.
  Status ForEachDataFile(const catalog::VersionPtr& version, const Snapshot& snapshot,
                         const std::function<Status(const DataFile&)>& visit);
  /// What `plan` makes of the newest version. On a remote store it is called with the version known while it is found out whether
  /// that is the newest, and once more if it is not: a round trip less where nothing has happened.
  template <typename T>
  Result<T> OnNewest(const std::function<Result<T>(const catalog::VersionPtr&)>& plan);
  /// How many requests a call that reads may have under way at once: many to a remote store, but one to a store of the caller's
  /// (a simulation's, say), whose calls keep their order.
  int32_t requests_max() const;
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
  std::optional<s3::S3Settings> bucket;  // TablePlace::bucket

 private:
  std::unique_ptr<TableSurroundings> surroundings_;

 public:
  const Outside outside;
  catalog::DirectoryCatalog catalog;
  commit::Committer committer;

 private:
  catalog::VersionPtr Known();
  Result<data::ReadPlan> PlanScan(const catalog::VersionPtr& version, const ScanOptions& options);
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
  /// Has `path` read anew next time if `error` says that it is damaged.
  Error Distrusted(Error error, const catalog::VersionPtr& version, std::string_view path);

  PerProcess<std::unique_ptr<commit::GroupCommitter>> group_;  // made by the first append
  ManifestCache manifests_;
  PerProcess<catalog::VersionPtr> current_;  // null in a fork child that has not looked yet
  std::string table_uuid_;
  std::unique_ptr<BackgroundMerges> merges_;  // none on a store of the caller's; last, so that its thread ends first
};

template <typename T>
Result<T> TableImpl::OnNewest(const std::function<Result<T>(const catalog::VersionPtr&)>& plan) {
  const catalog::VersionPtr known = requests_max() > 1 ? Known() : nullptr;
  if (known == nullptr) {
    DS_ASSIGN_OR_RETURN(const catalog::VersionPtr newest, Current());
    return plan(newest);
  }
  std::optional<Result<T>> planned;
  std::optional<Result<catalog::VersionPtr>> newest;
  RunAll(2, 2, [&](size_t which) {
    if (which == 0) planned = plan(known);
    if (which == 1) newest = Current();
  });
  if (!newest->ok()) return std::move(*newest).error();
  return **newest == known ? *std::move(planned) : plan(**newest);
}

/// A table on a store of the caller's, with the caller's clock and randomness, which must outlive it.
Result<std::unique_ptr<Table>> CreateTableOn(std::shared_ptr<ObjectStore> store, Outside outside, CreateOptions options,
                                             catalog::VersionLimits limits = {});
Result<std::unique_ptr<Table>> OpenTableOn(std::shared_ptr<ObjectStore> store, Outside outside,
                                           catalog::VersionLimits limits = {});

}  // namespace datashard
