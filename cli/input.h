// Files of rows as the command line names them: format, options, and the schema that fits them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "cli/arguments.h"
#include "datashard/arrow_c.h"
#include "datashard/result.h"
#include "datashard/schema.h"

namespace datashard::cli {

struct RowsRequest {
  std::string path;  ///< "-" is standard input
  /// The types of columns of this name in CSV and JSON Lines; none: only the overrides of `arguments`.
  std::optional<Schema> types;
  std::function<void(int64_t bytes)> on_progress;
};

/// Opens the rows of a file. Errors: as ReadRows; kInvalidArgument for an option that the format does not know, for
/// --type against `types`, and for an ending that names no format.
Result<ArrowStream> OpenRows(const RowsRequest& request, const InputArguments& arguments);

/// The schema of a new table for the rows of `stream`. Errors: kInvalidArgument (kSchema), also for a --type whose
/// column is not there.
Result<Schema> SchemaOfRows(const ArrowSchema& rows, const InputArguments& arguments);

/// Bytes of a regular file; none for standard input, pipes and what is missing.
std::optional<int64_t> SizeOfFile(const std::string& path);

}  // namespace datashard::cli
