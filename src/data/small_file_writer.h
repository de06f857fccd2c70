// A whole Parquet file of a few rows, put together by hand. Parquet's own writer takes 89 us for one row of five columns and
// 132 us for twelve, most of it to set up what pays off over millions of rows; this takes 5 and 13.
// The bytes: docs/formats/data_file.md.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>

#include "base/bytes.h"
#include "datashard/manifest.h"
#include "datashard/schema.h"

namespace datashard::data {

struct SmallFile {
  Bytes bytes;
  DataFile file;  // all but its name
};

/// Is no column of `batches` (of the Arrow types of a schema) over `page_bytes` large?
bool FitsOnePage(const arrow::RecordBatchVector& batches, int64_t page_bytes);

/// `batches` hold 1 row at least, 2^31-1 at most, of the Arrow types of `schema`, which has a column; they fit one page of
/// 1 GiB at most. Errors: kInvalidArgument (kValue) for a null in a required column; kUnavailable where zstd gets no memory.
Result<SmallFile> EncodeSmallFile(const arrow::RecordBatchVector& batches, const Schema& schema);

}  // namespace datashard::data
