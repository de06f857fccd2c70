// A column of a few rows as the content of one Parquet data page, with the statistics Parquet's writer would give it.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "datashard/schema.h"

namespace datashard::data {

struct PlainColumn {
  Bytes page;  // definition levels where the column is optional, then the values, PLAIN
  int64_t nulls = 0;
  int64_t nans = 0;
  int64_t text_bytes = 0;  // of strings and binary, without their lengths
  /// Over values neither null nor NaN, in the file type's PLAIN encoding; a zero minimum is -0.0, a zero maximum +0.0.
  /// Each absent where there is no such value or where it is of over 4,096 bytes.
  std::optional<std::string> min;
  std::optional<std::string> max;
};

/// Column `index` of `batches`, which has the Arrow type of `field`.
PlainColumn EncodePlain(const arrow::RecordBatchVector& batches, int index, const Field& field);

}  // namespace datashard::data
