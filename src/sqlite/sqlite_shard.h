// The SQLite shard format: one file `shard.db` with the table kv(k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID.
// Written and read by code of our own, straight from and to the file format; why so: docs/design/0012-sqlite-shards.md.
// Bytes: docs/formats/sqlite_shard.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "kv/database.h"
#include "kv/database_writer.h"
#include "kv/shard_directory.h"

namespace datashard::sqlite {

struct SqliteWriterOptions {
  int32_t page_size = 4096;  ///< a power of two of 512 .. 65,536
  bool sidecar = false;      ///< for who uploads: also `shard.sidecar`, made when the ETag of shard.db is known (sidecar.h)
  bool page_checksums = false;  ///< also `shard.pages.crc32c`, so that pages read by ranges are checked
};

/// Objects of Finish: [shard.pages.crc32c,] shard.db.
/// Errors: kInvalidArgument for options out of range (at Add or Finish), for rows above 1,000,000,000 bytes, which the engine would refuse to
/// read. Memory: a page for each level, and 4 bytes for each page with checksums.
std::unique_ptr<kv::DatabaseWriter> NewSqliteWriter(SqliteWriterOptions options, kv::OutputFactory outputs);

struct SqliteReaderOptions {
  bool use_page_checksums = false;  ///< read shard.pages.crc32c first and check every page that is fetched
};

/// Opens `shard.db` of `directory` and reads its first page: one request where it is not mapped (two with page checksums, or with pages
/// above 8 KiB). `directory` is borrowed by the database. Of a mapped shard that is asked often, 12 bytes are kept for each leaf page
/// from then on. Errors: kNotFound; kCorruption: not a SQLite file, or damaged; kUnsupported: no table kv of this
/// shape, WAL mode, text encoding other than UTF-8.
Result<std::unique_ptr<kv::Database>> OpenSqliteShard(const kv::ShardDirectory& directory, SqliteReaderOptions options = {});

}  // namespace datashard::sqlite
