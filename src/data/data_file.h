// Parquet data files on Arrow C++: writing rows of a schema, and reading many files as one stream. Arrow and Parquet
// headers stay in this room's sources; rows pass as Arrow C streams.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datashard/arrow_c.h"
#include "datashard/manifest.h"
#include "datashard/result.h"
#include "datashard/schema.h"
#include "datashard/table.h"
#include "storage/object_store.h"

namespace datashard::data {

struct WriteSettings {
  int64_t row_group_rows = 1 << 20;
  int64_t page_bytes = 1 << 20;
  /// Up to this many rows, of one page each column, make a file that is put together by hand (small_file_writer.h), PLAIN
  /// and without a page index, which would repeat the footer. More are worth the choice of encodings. 0: never.
  int64_t small_file_rows = 999;
};

/// Starts Arrow's allocator, once per process. It keeps a lock while it sets up its first memory, and a child that another thread
/// forks meanwhile would wait for that lock for ever; here no thread forks. Microseconds; without effect where others started it.
Status StartAllocator();

/// Casts a stream to the columns of `schema`: by name, in the schema's order, missing optional ones null, nothing lost.
/// string_view, large_*, dictionary and run-end encoded input is normalised. Errors come from the stream (see StreamError)
/// or here: kInvalidArgument (kColumn: unknown or missing required column, all named; kValue: a type that does not fit).
Result<ArrowStream> ConformRows(ArrowStream rows, const Schema& schema);

/// Writes `rows` (conforming to `schema`) as one Parquet file: zstd, page CRCs, page index (but for small files), field ids
/// on every column, dictionary only where it pays, delta encoding for integers. A required column with a null, or an error of the stream,
/// fails the call and the object never appears.
/// \return the file's statistics; file_path is `uri`; null bounds where not exact. Nothing for no rows (no object either).
Result<std::optional<DataFile>> WriteDataFile(ArrowStream rows, const Schema& schema, WriteGroup& group,
                                              std::string_view key, std::string uri, const WriteSettings& settings = {});

/// One file of a scan.
struct ScanFile {
  std::string key;   // below the store's root
  DataFile file;
  std::optional<std::string> name_mapping;  // JSON of schema.name-mapping.default, for files without field ids
};

struct ReadPlan {
  Schema schema;                      // of the snapshot read: what columns and filter refer to
  std::vector<int32_t> column_ids;    // top-level fields of `schema`, in the order wanted; may be empty (rows count)
  Filter filter;                      // coerced by BindFilter
  std::vector<ScanFile> files;        // in order
  int64_t files_pruned = 0;           // left out because no row of theirs can match
  int32_t threads = 1;                // >= 1
  int64_t batch_rows = 0;             // 0: as the files are cut
  Verify verify = Verify::kPage;
  int32_t requests = 1;               // a remote store is asked for so many files at once, by threads ahead of those that decode
};

/// Checks columns and operands of `filter` against `schema` and coerces the operands. Where a column of integers or dates
/// cannot hold one, the predicate becomes one that it can: x > 1.5 is x > 1, x == 1.5 is x in ().
/// Errors: kInvalidArgument (kColumn, kOperand).
Result<Filter> BindFilter(const Filter& filter, const Schema& schema);

/// May a row of a file with these statistics match? True when in doubt. `filter` is bound.
bool MayMatch(const Filter& filter, const Schema& schema, const DataFile& file);

/// The rows of `plan.files` that match, in file and row order, decoded by `plan.threads` threads ahead of the consumer by
/// a few row groups. Prunes row groups by their statistics. The first error ends the stream. A file whose rows or
/// columns differ from what the manifest says is kCorruption. From a remote store a small file comes by one request, another by
/// one for its end and then, in one round trip, the columns wanted; where plan.requests > 1, at most 128 MiB ahead.
Result<ArrowStream> ReadDataFiles(std::shared_ptr<ObjectStore> store, ReadPlan plan);

/// The error behind a failed ArrowStream of ours, or one made from its text for foreign streams. `code` is what
/// get_schema or get_next returned.
Error StreamError(ArrowArrayStream& stream, int code);

/// The Arrow schema of `schema` with PARQUET:field_id metadata.
Result<ArrowSchemaHandle> ExportSchema(const Schema& schema);

}  // namespace datashard::data
