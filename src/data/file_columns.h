// Which column of a Parquet file is which field of the table: by field id, and by name where a file carries no ids.
#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datashard/manifest.h"
#include "datashard/result.h"
#include "datashard/schema.h"

namespace parquet::arrow {
class FileReader;
}

namespace datashard::data {

/// A field of the table as one file has it.
struct FileColumn {
  Field field;
  std::shared_ptr<arrow::DataType> type;  // ArrowTypeOf(field.type)
  std::optional<int> leaf;                // index among the file's leaf columns; none: every row is null
};

/// The columns for `fields`, in their order. `name_mapping` is the table's, as JSON; without one a file without ids is
/// read by the fields' names. Errors: kCorruption (kDataFile) where a required field is missing, where the manifest
/// counts values of a field the file does not have, or where a type is not one the field can have had.
Result<std::vector<FileColumn>> MapColumns(const parquet::arrow::FileReader& reader, const std::vector<Field>& fields,
                                           const std::optional<std::string>& name_mapping, const DataFile& file);

/// `column` as read from Parquet as the field's type: widened, layouts made plain, text checked to be UTF-8.
Result<std::shared_ptr<arrow::Array>> ReadAs(const FileColumn& column, std::shared_ptr<arrow::Array> array);

}  // namespace datashard::data
