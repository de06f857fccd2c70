// Columns of text as columns of other types, for formats that have no other way to write them.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>

#include "datashard/result.h"
#include "datashard/schema.h"

namespace datashard::data {

/// `text`, an array of utf8, as ArrowTypeOf(type): ISO 8601 for dates, times, timestamps and (with a zone) instants,
/// base64 for bytes, uuids as usual; text itself passes. Errors: kInvalidArgument (kValue) with the row from `first_row` on.
Result<std::shared_ptr<arrow::Array>> ConvertText(const std::shared_ptr<arrow::Array>& text, const Type& type,
                                                  int64_t first_row);

}  // namespace datashard::data
