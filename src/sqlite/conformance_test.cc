// The suite of all formats, over SQLite shards: with pages of the default size, with the smallest, and with checked pages.
#include "kv/conformance.h"

#include "sqlite/sqlite_shard.h"

namespace datashard::kv {
namespace {

Format SqliteFormat(std::string name, sqlite::SqliteWriterOptions writer, sqlite::SqliteReaderOptions reader = {}) {
  return {.name = std::move(name),
          .new_writer = [writer](OutputFactory outputs) { return sqlite::NewSqliteWriter(writer, std::move(outputs)); },
          .open = [reader](const ShardDirectory& directory) { return sqlite::OpenSqliteShard(directory, reader); },
          .every_byte_is_checked = reader.use_page_checksums};
}

DS_DATABASE_CONFORMANCE(Sqlite, SqliteFormat("sqlite", {}));
DS_DATABASE_CONFORMANCE(SqliteSmallPages, SqliteFormat("sqliteSmallPages", {.page_size = 512}));
// Only pages that are fetched are checked.
INSTANTIATE_TEST_SUITE_P(SqliteChecked, DatabaseConformance,
                         testing::Values(FormatInPlace{
                             SqliteFormat("sqliteChecked", {.page_checksums = true}, {.use_page_checksums = true}), Place::kStored}),
                         NameOfCase);

}  // namespace
}  // namespace datashard::kv
