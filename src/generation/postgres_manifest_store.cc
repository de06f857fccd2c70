// Manifests and the pointer to the current one in PostgreSQL. The pointer is the last row of a table that only grows.
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/fork.h"
#include "generation/postgres_tables.h"
#include "generation/utc_text.h"

namespace datashard {
namespace {

using generation::ManifestRows;
using generation::PostgresConnection;
using generation::PostgresTables;
using generation::SqlRows;

constexpr int kTriesMax = 32;
constexpr const char* kUtc = R"('YYYY-MM-DD"T"HH24:MI:SS.US"Z"')";

/// A row of the pointer's table.
struct PointerRow {
  std::optional<int64_t> number;  ///< of seq
  std::string updated_at;
  ManifestRef ref;
  bool IsSameRow(const PointerRow& other) const { return number == other.number && updated_at == other.updated_at && ref.ref == other.ref.ref; }
};
bool IsSame(const std::optional<PointerRow>& a, const std::optional<PointerRow>& b) { return a ? b && a->IsSameRow(*b) : !b; }

Result<UtcTime> TimeOf(const std::string& text) {
  const std::optional<UtcTime> time = generation::ReadUtcText(text);
  if (!time) return Corruption("'{}' is no time of PostgreSQL", text);
  return *time;
}

class PostgresManifestStore final : public ManifestStore {
 public:
  PostgresManifestStore(std::string dsn, PostgresTables tables) : dsn_(std::move(dsn)), tables_(std::move(tables)) {}

  Status Prepare(bool ensure) {
    return With([&](PostgresConnection& connection) { return generation::EnsureTables(connection, tables_, ensure); });
  }
  Result<std::string> Store(const ShardedManifest& manifest) override;
  Status SetCurrent(const std::string& ref, const CurrentGuard& guard) override;
  Result<std::optional<ManifestRef>> LoadCurrent() override;
  Result<ShardedManifest> LoadManifest(const std::string& ref) override;
  Result<std::vector<ManifestRef>> ListManifests(int64_t limit) override;

 private:
  /// Runs `work` on a connection that works, in no transaction before and after; a child of a fork has one of its own.
  template <typename Work>
  auto With(Work&& work) -> decltype(work(std::declval<PostgresConnection&>())) {
    auto connection = connection_.Lock();
    if (*connection == nullptr) {
      DS_ASSIGN_OR_RETURN(*connection, PostgresConnection::Open(dsn_));
    }
    DS_RETURN_IF_ERROR((*connection)->Revive());
    auto result = work(**connection);
    (*connection)->Abandon();
    return result;
  }
  Result<std::optional<PointerRow>> Last(PostgresConnection& connection) const;
  Result<int64_t> Append(PostgresConnection& connection, const std::string& ref, const std::optional<PointerRow>& expected) const;
  Result<bool> HasRow(PostgresConnection& connection, int64_t number) const;
  Status Settle(int64_t number, Status committed);

  const std::string dsn_;
  PostgresTables tables_;
  PerProcess<std::unique_ptr<PostgresConnection>> connection_;
};

Result<std::string> PostgresManifestStore::Store(const ShardedManifest& manifest) {
  DS_ASSIGN_OR_RETURN(const ManifestRows rows, generation::RowsOf(manifest, generation::NulCharacters::kCannot));
  const auto write = [&](PostgresConnection& connection) -> Status {
    DS_RETURN_IF_ERROR(connection.Run("BEGIN"));
    DS_RETURN_IF_ERROR(generation::WriteManifest(connection, tables_, rows));
    return connection.Commit();
  };
  Status written;
  for (int attempt = 0; attempt < kTriesMax; ++attempt) {
    written = With(write);
    // Storing again what is stored changes nothing, so that it does not matter what became of the first try.
    const bool again = !written.ok() && (written.kind() == ErrorKind::kConflict || written.kind() == ErrorKind::kCommitUnknown);
    if (!again) break;
  }
  if (!written.ok()) return written.error();
  return manifest.build.run_id;
}

Result<std::optional<PointerRow>> PostgresManifestStore::Last(PostgresConnection& connection) const {
  const std::string read_last =
      fmt::format("SELECT p.manifest_ref, to_char(p.updated_at AT TIME ZONE 'UTC', {0}), to_char(b.created_at AT TIME ZONE 'UTC', {0}), {1} "
                  "FROM {2} p LEFT JOIN {3} b ON b.run_id = p.manifest_ref ORDER BY p.{4} LIMIT 1",
                  kUtc, tables_.has_sequence ? "p.seq" : "NULL", tables_.pointer, tables_.builds, tables_.newest_first());
  DS_ASSIGN_OR_RETURN(const SqlRows rows, connection.Run(read_last));
  if (rows.size() == 0) return std::optional<PointerRow>();
  PointerRow row;
  DS_ASSIGN_OR_RETURN(row.ref.ref, rows.TextAt(0, 0));
  row.ref.run_id = row.ref.ref;
  DS_ASSIGN_OR_RETURN(row.updated_at, rows.TextAt(0, 1));
  DS_ASSIGN_OR_RETURN(row.ref.published_at, TimeOf(rows.At(0, 2).value_or(row.updated_at)));
  if (tables_.has_sequence) {
    DS_ASSIGN_OR_RETURN(row.number, rows.IntegerAt(0, 3));
  }
  return std::optional(std::move(row));
}

/// Appends, if the last row is still `expected`; the number of the row, 0 without numbers. Errors: kConflict: it is another one.
Result<int64_t> PostgresManifestStore::Append(PostgresConnection& connection, const std::string& ref,
                                              const std::optional<PointerRow>& expected) const {
  DS_RETURN_IF_ERROR(connection.Run("BEGIN"));
  // Held to the end: rows are visible in the order of their numbers, and other writers' plain inserts wait too.
  DS_RETURN_IF_ERROR(connection.Run(fmt::format("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", tables_.pointer)));
  DS_ASSIGN_OR_RETURN(const std::optional<PointerRow> last, Last(connection));
  if (!IsSame(last, expected)) return Conflict("the pointer in {} was moved meanwhile", tables_.pointer);
  DS_ASSIGN_OR_RETURN(const SqlRows build, connection.Run(fmt::format("SELECT 1 FROM {} WHERE run_id = $1", tables_.builds), {ref}));
  if (build.size() == 0) return NotFound("there is no manifest of run {} in {}", ref, tables_.builds);
  // Later than the one before, also where clocks are not, for readers that order by time.
  DS_ASSIGN_OR_RETURN(const SqlRows added,
                      connection.Run(fmt::format("INSERT INTO {0} (manifest_ref, updated_at) VALUES ($1, GREATEST(clock_timestamp(), "
                                                 "(SELECT max(updated_at) FROM {0}) + interval '1 microsecond')) RETURNING {1}",
                                                 tables_.pointer, tables_.has_sequence ? "seq" : "0"), {ref}));
  return added.IntegerAt(0, 0);
}

Result<bool> PostgresManifestStore::HasRow(PostgresConnection& connection, int64_t number) const {
  DS_RETURN_IF_ERROR(connection.Run("BEGIN"));
  // Waits for the end of the transaction whose answer was lost.
  DS_RETURN_IF_ERROR(connection.Run(fmt::format("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", tables_.pointer)));
  const std::string find = fmt::format("SELECT 1 FROM {} WHERE seq = $1::bigint", tables_.pointer);
  DS_ASSIGN_OR_RETURN(const SqlRows rows, connection.Run(find, {std::to_string(number)}));
  return rows.size() > 0;
}

/// What became of a COMMIT without an answer. Ok: it was committed; kConflict: it was not.
Status PostgresManifestStore::Settle(int64_t number, Status committed) {
  if (!tables_.has_sequence) return committed;
  const Result<bool> there = With([&](PostgresConnection& connection) { return HasRow(connection, number); });
  if (!there.ok()) return CommitUnknown("{}; looking failed: {}", committed.error().message(), there.error().message());
  return *there ? Status() : Status(Conflict("the connection broke before COMMIT"));
}

Status PostgresManifestStore::SetCurrent(const std::string& ref, const CurrentGuard& guard) {
  for (int attempt = 0; attempt < kTriesMax; ++attempt) {
    DS_ASSIGN_OR_RETURN(const std::optional<PointerRow> seen, With([&](PostgresConnection& connection) { return Last(connection); }));
    // Without the connection: the guard may ask this store.
    if (guard) DS_RETURN_IF_ERROR(guard(seen ? std::optional(seen->ref) : std::nullopt));
    int64_t number = 0;
    Status set = With([&](PostgresConnection& connection) -> Status {
      DS_ASSIGN_OR_RETURN(number, Append(connection, ref, seen));
      return connection.Commit();
    });
    if (!set.ok() && set.kind() == ErrorKind::kCommitUnknown) set = Settle(number, std::move(set));
    if (set.ok() || set.kind() != ErrorKind::kConflict) return set;
  }
  return Unavailable("the pointer in {} was moved by others {} times while {} was to become current; try again", tables_.pointer, kTriesMax, ref);
}

Result<std::optional<ManifestRef>> PostgresManifestStore::LoadCurrent() {
  DS_ASSIGN_OR_RETURN(const std::optional<PointerRow> last, With([&](PostgresConnection& connection) { return Last(connection); }));
  return last ? std::optional(last->ref) : std::nullopt;
}

Result<ShardedManifest> PostgresManifestStore::LoadManifest(const std::string& ref) {
  const Result<ManifestRows> rows = With([&](PostgresConnection& connection) -> Result<ManifestRows> {
    DS_RETURN_IF_ERROR(connection.Run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    return generation::ReadManifest(connection, tables_, ref);
  });
  if (!rows.ok()) return rows.error();
  Result<ShardedManifest> manifest = generation::ManifestOf(*rows);
  if (!manifest.ok()) return std::move(manifest).error().In(fmt::format("damaged manifest of run {} in {}", ref, tables_.builds));
  return manifest;
}

Result<std::vector<ManifestRef>> PostgresManifestStore::ListManifests(int64_t limit) {
  const std::string list = fmt::format("SELECT run_id, to_char(created_at AT TIME ZONE 'UTC', {}) FROM {} ORDER BY created_at DESC, run_id DESC "
                                       "LIMIT $1::bigint", kUtc, tables_.builds);
  const std::string count = std::to_string(std::max<int64_t>(limit, 0));
  DS_ASSIGN_OR_RETURN(const SqlRows rows, With([&](PostgresConnection& connection) { return connection.Run(list, {count}); }));
  std::vector<ManifestRef> refs;
  for (int i = 0; i < rows.size(); ++i) {
    DS_ASSIGN_OR_RETURN(const std::string run_id, rows.TextAt(i, 0));
    DS_ASSIGN_OR_RETURN(const std::string created, rows.TextAt(i, 1));
    DS_ASSIGN_OR_RETURN(const UtcTime time, TimeOf(created));
    refs.push_back({.ref = run_id, .run_id = run_id, .published_at = time});
  }
  return refs;
}

}  // namespace

Result<std::unique_ptr<ManifestStore>> OpenPostgresManifestStore(const std::string& dsn, PostgresManifestOptions options) {
  DS_ASSIGN_OR_RETURN(PostgresTables tables, generation::TablesOf(options));
  auto store = std::make_unique<PostgresManifestStore>(dsn, std::move(tables));
  DS_RETURN_IF_ERROR(store->Prepare(options.ensure_tables));
  return std::unique_ptr<ManifestStore>(std::move(store));
}

}  // namespace datashard
