// Rows from files of other formats, and rows as text: what the command line needs beside a table.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datashard/arrow_c.h"
#include "datashard/filter.h"
#include "datashard/result.h"
#include "datashard/schema.h"

namespace datashard {

namespace data {
/// The error behind `code`, which get_schema or get_next of `stream` returned: errors of this library keep their kind.
Error StreamError(ArrowArrayStream& stream, int code);
}  // namespace data

enum class RowFormat { kCsv, kParquet, kJsonLines };

/// By ending: .csv .tsv, .parquet .pq, .jsonl .ndjson .json (a .gz behind the first and last is looked through).
Result<RowFormat> RowFormatOfPath(std::string_view path);

struct ReadRowsOptions {
  /// Types of the columns of CSV and JSON Lines; none: taken from the first block of the input.
  std::optional<Schema> schema;
  char delimiter = ',';
  /// Spellings of null in CSV, exact.
  std::vector<std::string> null_values = {""};
  /// Called with the bytes read so far, from the thread that pulls the stream.
  std::function<void(int64_t bytes)> on_progress;
};

/// The rows of file `path` ("-" is standard input; Parquet needs a real file). Streams: a few blocks at a time.
/// Errors: kNotFound, kDenied, kInvalidArgument (text that does not parse, with the line), kCorruption (Parquet).
Result<ArrowStream> ReadRows(std::string_view path, RowFormat format, ReadRowsOptions options = {});

/// The Iceberg schema that fits the columns of `schema`: field ids 1, 2, … in order, all optional unless declared
/// non-nullable. Errors: kInvalidArgument (kSchema) for a type Iceberg v2 has no word for.
Result<Schema> InferSchema(const ArrowSchema& schema);

/// Pulls `stream` to its end and hands over one line of JSON per row, without line end. Binary is base64, decimals,
/// dates, times and instants are strings (ISO 8601), NaN and infinities are strings, null is null.
Status ForEachJsonLine(ArrowStream stream, const std::function<Status(std::string_view line)>& sink);
/// The same as cells of text: first the column names, then a vector per row; null is nullopt. Texts are as they are in the
/// table, control characters included: CSV needs them so, and a caller that prints to a terminal escapes them.
Status ForEachTextRow(ArrowStream stream,
                      const std::function<Status(const std::vector<std::optional<std::string>>& cells)>& sink);

/// Reads a constant as a user types it on a command line, for a column of type `type`: 2013-01-01, 12.5, true, text.
/// A number that a column of integers cannot hold, 12.5, becomes a DecimalValue, which filters compare exactly.
/// Errors: kInvalidArgument (kOperand) that names the type and shows an example.
Result<Literal> ParseLiteral(std::string_view text, const Type& type);

}  // namespace datashard
