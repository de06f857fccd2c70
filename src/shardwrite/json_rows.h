// Rows as JSON objects, byte for byte as Python's json.dumps(row, sort_keys=True, separators=(",", ":")) writes them.
#pragma once

#include <string>
#include <vector>

#include "shardwrite/arrow_columns.h"

namespace datashard::shardwrite {

/// Appends `text`, quoted, in ASCII. False where it is not UTF-8.
bool AppendJsonText(ByteView text, Bytes& out);
/// As Python's repr: 1.0, 1e-05, 1e+16, NaN, Infinity.
void AppendJsonFloat(double value, Bytes& out);

/// Columns of one batch by name. Borrows the batch.
class JsonRows {
 public:
  /// \param names  in any order; what the batch has not is null in every row. Errors: as ArrowBatch::Column; kUnsupported: bytes, which JSON has not.
  static Result<JsonRows> Make(const ArrowBatch& batch, std::vector<std::string> names);
  /// Errors: kInvalidArgument: text that is not UTF-8, with column and row.
  Status Append(int64_t row, Bytes& out) const;

 private:
  struct Field {
    Bytes name;  // quoted, with its colon
    std::optional<ArrowColumn> column;
  };
  std::vector<Field> fields_;
};

}  // namespace datashard::shardwrite
