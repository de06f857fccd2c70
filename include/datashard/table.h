// Tables: create, open, append, read, travel in time. The state of a table is its newest version in `metadata/`;
// every call below that reads it looks for a newer version first (one stat when there is none).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datashard/arrow_c.h"
#include "datashard/filter.h"
#include "datashard/interrupt.h"
#include "datashard/maintenance.h"
#include "datashard/manifest.h"
#include "datashard/result.h"
#include "datashard/schema.h"
#include "datashard/snapshot.h"

namespace datashard {

using Properties = std::map<std::string, std::string>;

struct CreateOptions {
  /// None: the table takes the schema of its first append.
  std::optional<Schema> schema;
  Properties properties;
  /// Open a table that is already there, provided its schema is the same or none was given.
  bool open_existing = true;
};

/// How much of the bytes is checked on the way in.
enum class Verify {
  kOff,
  kPage,  ///< the CRC of every Parquet page read
};

struct ScanOptions {
  /// Top-level columns in the order wanted; none means all. An unknown or repeated name is an error.
  std::optional<std::vector<std::string>> columns;
  Filter filter;
  std::optional<int64_t> snapshot_id;  ///< none: the current snapshot
  int32_t threads = 1;                 ///< threads that decode; 0: one per core
  int64_t batch_rows = 0;              ///< most rows in one batch; 0: as the files are cut
  Verify verify = Verify::kPage;
};

struct SnapshotListOptions {
  std::optional<int64_t> limit;  ///< only the newest so many; none: all
};

class TableImpl;  // internal
class Transaction;

/// A handle on a table. Callable from several threads. Costs are given in file system calls of a local table.
class Table {
 public:
  /// Creates a table in directory `path` (made with its parents), or opens the one that is there.
  /// Errors: kInvalidArgument (schema), kAlreadyExists (kTable: it exists and open_existing is false; kSchema: it exists
  /// with another schema), kUnsupported (kLegacyLayout, or a file system without exclusive create), kDenied.
  static Result<std::unique_ptr<Table>> Create(std::string_view path, CreateOptions options = {});
  /// Errors: kNotFound (kTable; nothing is created), kCorruption, kUnsupported, kDenied.
  static Result<std::unique_ptr<Table>> Open(std::string_view path);
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  /// Did Create make the table, rather than find it?
  bool created() const;
  /// The path as it was given.
  const std::string& path() const;
  /// file:// URI of the directory the table really lies in, or s3:// URI of its place in a bucket.
  const std::string& location() const;

  /// The newest version's number (v{N}.metadata.json), its current schema (none while schema-less) and its properties.
  Result<int64_t> version() const;
  Result<std::string> uuid() const;
  Result<std::optional<Schema>> schema() const;
  Result<Properties> properties() const;
  /// The JSON text of the newest version as it lies in storage.
  Result<std::string> metadata_json() const;

  Result<std::optional<Snapshot>> current_snapshot() const;
  // The history: every snapshot ever made, those archived behind the metadata's window too. Errors of these calls, for
  // archived ones: kCorruption (kMetadata) that names the file which is missing or damaged.
  Result<std::optional<Snapshot>> snapshot_by_id(int64_t snapshot_id) const;
  /// Newest snapshot of the current line with timestamp_ms at or before the given one. Errors also: kInvalidArgument
  /// (kSnapshot) where it was expired.
  Result<std::optional<Snapshot>> snapshot_as_of(int64_t timestamp_ms) const;
  /// Snapshots, oldest first. Errors also: kInvalidArgument for a negative limit. Memory: about 1 KB each.
  Result<std::vector<Snapshot>> snapshots(SnapshotListOptions options = {}) const;
  /// How many snapshots() has; from the metadata alone.
  Result<int64_t> snapshot_count() const;
  /// Calls `visit` with every snapshot, oldest first, until it answers false or an error, which is returned. Memory: a few
  /// thousand snapshots, however many there are.
  Status ForEachSnapshot(const std::function<Result<bool>(const Snapshot&)>& visit) const;

  /// Rows in a snapshot, from its metadata alone. Errors: kInvalidArgument (kSnapshot) for an unknown id.
  Result<int64_t> row_count(std::optional<int64_t> snapshot_id = std::nullopt) const;
  /// The rows, in commit order and inside a file in insertion order. Planning happens here, reading while the stream is
  /// pulled, always of one snapshot; a stream that fails gives no further rows. The stream may outlive the table.
  /// Errors: kInvalidArgument (kColumn, kValue, kSnapshot), kNotFound (kDataFile), kCorruption, kUnsupported (deletes).
  Result<ArrowStream> Scan(ScanOptions options = {}) const;

  /// Appends the rows of `rows` and returns the snapshot they are in once it is durable; nothing (and no snapshot) for no
  /// rows. Appends that wait at the same moment, in any thread or process of this host, share a snapshot; an append on its
  /// own has one of its own.
  /// Columns are matched by name; a missing optional column is null. A schema-less table adopts the stream's schema, or
  /// `schema` where given; on a table that has one, a differing `schema` is refused.
  /// Errors: kInvalidArgument (kSchema, kColumn, kValue), kConflict (time-out, nothing published), kCommitUnknown.
  Result<std::optional<CommittedSnapshot>> Append(ArrowStream rows, const std::optional<Schema>& schema = std::nullopt,
                                                  const Interrupted& interrupted = {});
  /// The schema rows are to have, without a look for a newer version: an append notices by itself if it has changed.
  Result<std::optional<Schema>> schema_for_append() const;
  /// Sums of what happened through this handle, by name: attempts, groups and appends in them, retries, seconds by phase.
  /// docs/observability.md lists them.
  std::map<std::string, double> metrics() const;
  /// A new transaction on this table, which must outlive it.
  std::unique_ptr<Transaction> NewTransaction();

  /// Forgets snapshots, those archived too; the current one and all that branches and tags need stay. Their files are removed
  /// by the next collection. Time travel by time to before a forgotten snapshot of the metadata's window, or to a moment when a
  /// forgotten one was current, is an error afterwards; by id it finds all that are left. Errors: kInvalidArgument (kSnapshot for
  /// unknown ids, and those that a branch or tag names), kConflict, kCommitUnknown, kCorruption of the archive.
  /// Cost: reads the archive, some 3 s and 80 MB for a million snapshots; publishes one version if anything is due.
  Result<ExpireReport> ExpireSnapshots(const ExpireOptions& options, const Interrupted& interrupted = {});
  /// Removes the files below data/ and metadata/ that no snapshot needs: those of commits that failed, of expired snapshots and
  /// of killed processes. Every manifest list and manifest is read and checked first. Anything doubtful ends the call
  /// with nothing removed: kCorruption (a file that a snapshot needs is missing or damaged), kInvalidArgument (options; a URI
  /// outside the root), kUnsupported (symbolic links, a table inside the table, gc.enabled=false), kConflict (a new version names
  /// a file that was about to go). Errors of storage may come after some files have gone; the table is whole.
  /// Publishes a version without a snapshot if anything goes. Threads and processes may read and write at the same time.
  /// Cost: one read per snapshot and per manifest, and a listing; memory: some 200 bytes per file there is.
  Result<CollectReport> CollectGarbage(const CollectOptions& options = {}, const Interrupted& interrupted = {});

  /// The lines of a manifest list and the live files of a manifest. `path` is a URI of this table, an absolute path
  /// below its root, or relative to it. Errors: kInvalidArgument outside the root, kNotFound, kCorruption.
  Result<std::vector<ManifestFile>> ReadManifestList(std::string_view path) const;
  Result<std::vector<ManifestEntry>> ReadManifest(std::string_view path) const;
  /// `uri` relative to the table's root ("data/x.parquet"). Errors: kInvalidArgument where it lies outside.
  Result<std::string> RelativePath(std::string_view uri) const;
  /// Is there a file at `path` (any form ReadManifestList takes)?
  Result<bool> FileExists(std::string_view path) const;

  // For other engines, which read by themselves and check nothing of what this library checks.

  /// The Parquet files of a snapshot, in the order of commits: absolute paths in a directory, s3:// URIs in a bucket.
  /// Errors: kInvalidArgument (kSnapshot) for an unknown id, kCorruption, kUnsupported (deletes).
  Result<std::vector<std::string>> DataFilePaths(std::optional<int64_t> snapshot_id = std::nullopt) const;
  /// The metadata file of the newest version, in the same form: what Iceberg readers open a table by.
  Result<std::string> MetadataPath() const;
  /// The statement that lets DuckDB read the table's bucket, with its keys in it: hand it to DuckDB and keep it nowhere.
  /// Errors: kInvalidArgument: the table lies in a directory, or `name` is empty.
  Result<std::string> DuckDbSecretSql(std::string_view name = "datashard_s3") const;

  explicit Table(std::shared_ptr<TableImpl> impl);

 private:
  std::shared_ptr<TableImpl> impl_;
};

/// Several appends that become visible in one snapshot. Rows are written as they are given and named only by Commit.
/// One thread at a time. Dropped without Commit, it publishes nothing.
class Transaction {
 public:
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  /// Starts afresh; rows of an earlier life of this object are forgotten.
  void Begin();
  bool is_active() const;
  /// As Table::Append, but staged. Errors also: kInvalidArgument where the transaction is not active.
  Status Append(ArrowStream rows, const std::optional<Schema>& schema = std::nullopt);
  /// Publishes what was staged; nothing for no rows. Not active afterwards, whatever the outcome:
  /// after an error nothing is published and the staged files are gone, except after kCommitUnknown, which keeps them.
  Result<std::optional<CommittedSnapshot>> Commit(const Interrupted& interrupted = {});
  /// Forgets what was staged and removes its files. False where the transaction was not active.
  bool Rollback();

  explicit Transaction(std::shared_ptr<TableImpl> impl);

 private:
  struct Staged;
  std::shared_ptr<TableImpl> impl_;
  std::unique_ptr<Staged> staged_;
};

}  // namespace datashard
