// The manifest as one SQLite file, made and read in memory. Bytes from storage are untrusted: SQLite runs with everything off that a
// schema could start, and for as many steps and bytes as a file of that size can need.
// Source: docs/formats/sharded_manifest.md.
#include <sqlite3.h>

#include <memory>

#include "base/bytes.h"
#include "base/crc32.h"
#include "base/error.h"
#include "generation/manifest_columns.h"
#include "generation/manifest_rules.h"

namespace datashard {
namespace {

using generation::BuildRow;
using generation::ManifestRows;
using generation::ShardRow;

constexpr int64_t kFileBytesMax = int64_t{64} << 20;
constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr size_t kHeaderBytes = 100;
constexpr int kStepsAtOnce = 1000;
constexpr int kStepsMax = 100'000;  // of kStepsAtOnce: a hundred for each row of the largest manifest

constexpr const char* kSchema[] = {
    "CREATE TABLE build_meta (run_id TEXT NOT NULL, created_at TEXT NOT NULL, num_dbs INTEGER NOT NULL, s3_prefix TEXT NOT NULL, "
    "key_col TEXT NOT NULL, sharding TEXT NOT NULL, db_path_template TEXT NOT NULL, shard_prefix TEXT NOT NULL, "
    "format_version INTEGER NOT NULL, key_encoding TEXT NOT NULL, custom TEXT NOT NULL DEFAULT '{}')",
    "CREATE TABLE shards (db_id INTEGER NOT NULL PRIMARY KEY, db_url TEXT, attempt INTEGER NOT NULL, row_count INTEGER NOT NULL, "
    "db_bytes INTEGER NOT NULL, min_key TEXT, max_key TEXT, checkpoint_id TEXT, writer_info TEXT NOT NULL DEFAULT '{}')",
    "CREATE TABLE datashard_check (crc32 TEXT NOT NULL)",
};
constexpr const char* kReadBuild =
    "SELECT run_id, created_at, num_dbs, s3_prefix, key_col, sharding, db_path_template, shard_prefix, format_version, key_encoding, "
    "custom FROM build_meta LIMIT 1";
constexpr const char* kReadShards =
    "SELECT db_id, db_url, attempt, row_count, db_bytes, min_key, max_key, checkpoint_id, writer_info FROM shards ORDER BY db_id";

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  void operator()(unsigned char* bytes) const { sqlite3_free(bytes); }
};
using Database = std::unique_ptr<sqlite3, Close>;
using Statement = std::unique_ptr<sqlite3_stmt, Close>;

/// The check sum over all values.
class ValueCheck {
 public:
  void Null() { Add("n"); }
  void Integer(int64_t number) { Add(fmt::format("i{};", number)); }
  void Text(std::string_view text) {
    Add(fmt::format("t{}:", text.size()));
    Add(text);
  }
  std::string hex() const { return fmt::format("{:08x}", crc_); }

 private:
  void Add(std::string_view bytes) {
    crc_ = Crc32(bytes, crc_);
  }
  uint32_t crc_ = 0;
};

Result<Database> OpenEmpty() {
  sqlite3* opened = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(":memory:", &opened, flags, /*zVfs=*/nullptr);
  Database database(opened);
  if (code != SQLITE_OK) return Internal("SQLite opens no database in memory: {}", sqlite3_errstr(code));
  return database;
}

Result<Statement> Prepare(sqlite3* database, std::string_view sql) {
  sqlite3_stmt* prepared = nullptr;
  const int code = sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &prepared, nullptr);
  if (code != SQLITE_OK) return Corruption("{}", sqlite3_errmsg(database));
  return Statement(prepared);
}

// Writing: an error is a bug or a lack of memory.

Status WriteError(sqlite3* database) { return Internal("SQLite cannot write the manifest: {}", sqlite3_errmsg(database)); }

Status Execute(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return WriteError(database);
  return {};
}

/// Binds values from the left and adds each to the check sum.
class RowWriter {
 public:
  RowWriter(sqlite3_stmt* statement, ValueCheck& check) : statement_(statement), check_(check) {}
  RowWriter& operator<<(int64_t number) {
    check_.Integer(number);
    sqlite3_bind_int64(statement_, ++index_, number);
    return *this;
  }
  RowWriter& operator<<(const std::string& text) {
    check_.Text(text);
    sqlite3_bind_text64(statement_, ++index_, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
    return *this;
  }
  RowWriter& operator<<(const std::optional<std::string>& text) {
    if (text) return *this << *text;
    check_.Null();
    sqlite3_bind_null(statement_, ++index_);
    return *this;
  }
  Status Write() {
    const bool written = sqlite3_step(statement_) == SQLITE_DONE;
    sqlite3_reset(statement_);
    return written ? Status() : WriteError(sqlite3_db_handle(statement_));
  }

 private:
  sqlite3_stmt* statement_;
  ValueCheck& check_;
  int index_ = 0;
};

Status WriteRows(sqlite3* database, const ManifestRows& rows) {
  ValueCheck check;
  DS_ASSIGN_OR_RETURN(const Statement build, Prepare(database, "INSERT INTO build_meta VALUES (?,?,?,?,?,?,?,?,?,?,?)"));
  const BuildRow& b = rows.build;
  RowWriter row(build.get(), check);
  row << b.run_id << b.created_at << b.num_dbs << b.s3_prefix << b.key_col << b.sharding << b.db_path_template << b.shard_prefix
      << b.format_version << b.key_encoding << b.custom;
  DS_RETURN_IF_ERROR(row.Write());
  DS_ASSIGN_OR_RETURN(const Statement shards, Prepare(database, "INSERT INTO shards VALUES (?,?,?,?,?,?,?,?,?)"));
  for (const ShardRow& s : rows.shards) {
    RowWriter shard(shards.get(), check);
    shard << s.db_id << s.db_url << s.attempt << s.row_count << s.db_bytes << s.min_key << s.max_key << s.checkpoint_id << s.writer_info;
    DS_RETURN_IF_ERROR(shard.Write());
  }
  const std::string sum = check.hex();
  DS_ASSIGN_OR_RETURN(const Statement checked, Prepare(database, "INSERT INTO datashard_check VALUES (?)"));
  return (RowWriter(checked.get(), check) << sum).Write();
}

// Reading.

int CountSteps(void* left) { return --*static_cast<int*>(left) < 0 ? 1 : 0; }

/// A database over `bytes`, which must live as long.
class UntrustedDatabase {
 public:
  static Result<std::unique_ptr<UntrustedDatabase>> Open(std::string_view bytes) {
    DS_RETURN_IF_ERROR(CheckHeader(bytes));
    DS_ASSIGN_OR_RETURN(Database database, OpenEmpty());
    auto opened = std::make_unique<UntrustedDatabase>(std::move(database), static_cast<int64_t>(bytes.size()));
    DS_RETURN_IF_ERROR(opened->Harden());
    // Read-only: SQLite does not write to what it is lent.
    auto* const borrowed = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
    const auto size = static_cast<sqlite3_int64>(bytes.size());
    if (sqlite3_deserialize(opened->get(), "main", borrowed, size, size, SQLITE_DESERIALIZE_READONLY) != SQLITE_OK)
      return Corruption("{}", sqlite3_errmsg(opened->get()));
    return opened;
  }
  UntrustedDatabase(Database database, int64_t bytes_left) : bytes_left_(bytes_left), database_(std::move(database)) {}

  sqlite3* get() const { return database_.get(); }
  /// Next row? Errors: kCorruption.
  Result<bool> Step(sqlite3_stmt* statement) const {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    if (code == SQLITE_INTERRUPT) return Corruption("its pages lead in circles");
    return Corruption("{}", sqlite3_errmsg(get()));
  }
  /// A real table, not a view and not virtual.
  Result<bool> HasTable(const char* name) const {
    DS_ASSIGN_OR_RETURN(const Statement found,
                        Prepare(get(), "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND lower(name) = ?"));
    sqlite3_bind_text(found.get(), 1, name, -1, SQLITE_STATIC);
    return Step(found.get());
  }
  Status NeedTable(const char* name) const {
    DS_ASSIGN_OR_RETURN(const bool there, HasTable(name));
    return there ? Status() : Status(Corruption("there is no table {}", name));
  }
  /// All values together are no longer than the file, unless some of its pages belong to several.
  Status Take(int64_t bytes) {
    bytes_left_ -= bytes;
    return bytes_left_ >= 0 ? Status() : Status(Corruption("its values are longer than the file"));
  }

 private:
  static Status CheckHeader(std::string_view bytes) {
    if (bytes.size() < kHeaderBytes || !bytes.starts_with(kMagic)) return Corruption("it is no SQLite file");
    if (static_cast<int64_t>(bytes.size()) > kFileBytesMax)
      return Corruption("{} bytes are more than the {} of a manifest", bytes.size(), kFileBytesMax);
    if (bytes[18] != 1 || bytes[19] != 1) return Corruption("it is in write-ahead mode, so that a part of it may be missing");
    // 0: nothing was ever written.
    if (bytes.substr(56, 4) != std::string_view("\0\0\0\1", 4)) return Corruption("its text is not UTF-8");
    return {};
  }
  Status Harden() {
    for (const auto& [option, value] : {std::pair(SQLITE_DBCONFIG_DEFENSIVE, 1), std::pair(SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
                                        std::pair(SQLITE_DBCONFIG_DQS_DML, 0), std::pair(SQLITE_DBCONFIG_DQS_DDL, 0),
                                        std::pair(SQLITE_DBCONFIG_ENABLE_TRIGGER, 0), std::pair(SQLITE_DBCONFIG_ENABLE_VIEW, 0)}) {
      if (sqlite3_db_config(get(), option, value, nullptr) != SQLITE_OK) return Internal("SQLite does not know the setting {}", option);
    }
    sqlite3_limit(get(), SQLITE_LIMIT_LENGTH, static_cast<int>(kFileBytesMax));
    sqlite3_limit(get(), SQLITE_LIMIT_EXPR_DEPTH, 100);
    sqlite3_limit(get(), SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_progress_handler(get(), kStepsAtOnce, CountSteps, &steps_left_);
    return {};
  }

  int steps_left_ = kStepsMax;
  int64_t bytes_left_;
  Database database_;  // last: closed before what it refers to
};

/// Takes values from the left and adds each to the check sum. After an error nothing more is taken.
class RowReader {
 public:
  RowReader(UntrustedDatabase& database, sqlite3_stmt* statement, const char* table, ValueCheck& check)
      : database_(database), statement_(statement), table_(table), check_(check) {}
  RowReader& operator>>(int64_t& number) {
    if (!Expect(SQLITE_INTEGER, "an integer")) return *this;
    number = sqlite3_column_int64(statement_, index_);
    check_.Integer(number);
    return *this;
  }
  RowReader& operator>>(std::string& text) {
    if (!Expect(SQLITE_TEXT, "text")) return *this;
    const auto* const bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, index_));
    const int size = sqlite3_column_bytes(statement_, index_);
    status_ = database_.Take(size);
    if (bytes == nullptr) status_ = Corruption("a text cannot be read");
    if (!status_.ok()) return *this;
    text.assign(bytes, static_cast<size_t>(size));
    check_.Text(text);
    return *this;
  }
  RowReader& operator>>(std::optional<std::string>& text) {
    if (sqlite3_column_type(statement_, index_ + 1) != SQLITE_NULL) return *this >> text.emplace();
    ++index_;
    check_.Null();
    return *this;
  }
  const Status& status() const { return status_; }

 private:
  bool Expect(int type, std::string_view what) {
    if (!status_.ok()) return false;
    ++index_;
    if (sqlite3_column_type(statement_, index_) == type) return true;
    status_ = Corruption("column {} of {} is not {}", sqlite3_column_name(statement_, index_), table_, what);
    return false;
  }

  UntrustedDatabase& database_;
  sqlite3_stmt* statement_;
  const char* table_;
  ValueCheck& check_;
  int index_ = -1;
  Status status_;
};

Result<ManifestRows> ReadRows(UntrustedDatabase& database, ValueCheck& check) {
  ManifestRows rows;
  DS_RETURN_IF_ERROR(database.NeedTable("build_meta"));
  DS_RETURN_IF_ERROR(database.NeedTable("shards"));
  DS_ASSIGN_OR_RETURN(const Statement build, Prepare(database.get(), kReadBuild));
  DS_ASSIGN_OR_RETURN(const bool has_build, database.Step(build.get()));
  if (!has_build) return Corruption("build_meta has no row");
  BuildRow& b = rows.build;
  RowReader row(database, build.get(), "build_meta", check);
  row >> b.run_id >> b.created_at >> b.num_dbs >> b.s3_prefix >> b.key_col >> b.sharding >> b.db_path_template >> b.shard_prefix >>
      b.format_version >> b.key_encoding >> b.custom;
  DS_RETURN_IF_ERROR(row.status());
  DS_ASSIGN_OR_RETURN(const Statement shards, Prepare(database.get(), kReadShards));
  for (;;) {
    DS_ASSIGN_OR_RETURN(const bool more, database.Step(shards.get()));
    if (!more) return rows;
    if (static_cast<int64_t>(rows.shards.size()) >= std::min<int64_t>(b.num_dbs, generation::kNumDbsMax))
      return Corruption("there are more than the {} shards of num_dbs", b.num_dbs);
    ShardRow& s = rows.shards.emplace_back();
    RowReader shard(database, shards.get(), "shards", check);
    shard >> s.db_id >> s.db_url >> s.attempt >> s.row_count >> s.db_bytes >> s.min_key >> s.max_key >> s.checkpoint_id >> s.writer_info;
    DS_RETURN_IF_ERROR(shard.status());
  }
}

/// A manifest without the table is another writer's.
Status CompareCheck(UntrustedDatabase& database, const std::string& expected) {
  DS_ASSIGN_OR_RETURN(const bool there, database.HasTable("datashard_check"));
  if (!there) return {};
  DS_ASSIGN_OR_RETURN(const Statement read, Prepare(database.get(), "SELECT crc32 FROM datashard_check LIMIT 1"));
  DS_ASSIGN_OR_RETURN(const bool has_row, database.Step(read.get()));
  if (!has_row) return Corruption("datashard_check has no row");
  ValueCheck unused;
  std::string found;
  RowReader row(database, read.get(), "datashard_check", unused);
  row >> found;
  DS_RETURN_IF_ERROR(row.status());
  if (found != expected) return Corruption("its check sum is {}, that of its values {}", found, expected);
  return {};
}

Result<ShardedManifest> Decode(std::string_view bytes) {
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<UntrustedDatabase> database, UntrustedDatabase::Open(bytes));
  ValueCheck check;
  DS_ASSIGN_OR_RETURN(const ManifestRows rows, ReadRows(*database, check));
  DS_RETURN_IF_ERROR(CompareCheck(*database, check.hex()));
  return generation::ManifestOf(rows);
}

}  // namespace

Result<std::string> EncodeManifest(const ShardedManifest& manifest) {
  DS_ASSIGN_OR_RETURN(const ManifestRows rows, generation::RowsOf(manifest));
  DS_ASSIGN_OR_RETURN(const Database database, OpenEmpty());
  DS_RETURN_IF_ERROR(Execute(database.get(), "PRAGMA page_size = 4096"));
  DS_RETURN_IF_ERROR(Execute(database.get(), "BEGIN"));
  for (const char* const table : kSchema) DS_RETURN_IF_ERROR(Execute(database.get(), table));
  DS_RETURN_IF_ERROR(WriteRows(database.get(), rows));
  DS_RETURN_IF_ERROR(Execute(database.get(), "COMMIT"));
  sqlite3_int64 size = 0;
  const std::unique_ptr<unsigned char, Close> bytes(sqlite3_serialize(database.get(), "main", &size, /*mFlags=*/0));
  if (bytes == nullptr) return Internal("SQLite does not hand out the manifest");
  if (size > kFileBytesMax)
    return InvalidArgument("the manifest of run {} has {} bytes; at most {} can be read", manifest.build.run_id, size, kFileBytesMax);
  return std::string(reinterpret_cast<const char*>(bytes.get()), static_cast<size_t>(size));
}

Result<ShardedManifest> DecodeManifest(std::string_view bytes) {
  Result<ShardedManifest> manifest = Decode(bytes);
  if (!manifest.ok()) return std::move(manifest).error().In("damaged manifest");
  return manifest;
}

}  // namespace datashard
