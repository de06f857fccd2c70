// A few rows as bytes, to be handed to another process of this host through a slot of shared memory. Never on disk, so
// the layout may change with any release: whoever shares memory agrees on one build's layout first.
//
// Layout, integers little-endian, nothing aligned:
//   u32 magic "DSR1", u32 columns, u32 rows; then per column of the schema, in its order:
//     u8 the type's kind, with bit 7 set where a validity bitmap follows
//     [validity: 1 bit per row, least significant first, 1 for a value; ceil(rows / 8) bytes]
//     boolean: 1 bit per row, as above       string, binary: u32 length per row (0 for a null), then the bytes
//     all others: the value as Arrow has it, of fixed width (a decimal in 16 bytes)
// Arrow's own IPC messages say the same; one row takes them 4 times the bytes and 6 times as long to write.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "datashard/arrow_c.h"
#include "datashard/result.h"
#include "datashard/schema.h"

namespace datashard::data {

struct EncodedRows {
  Bytes bytes;
  int64_t row_count = 0;
  /// Where the rows need more than was allowed: all of them, from the first, and no bytes.
  std::optional<ArrowStream> too_large;
};

/// All of `rows`, which ConformRows made for `schema`, in at most `size_bytes_max` bytes (0..2^31-1), or as a stream again:
/// then no more was pulled than it took to see that they do not fit. No rows are a row_count of 0.
/// Errors: those of the stream; kInvalidArgument (kValue) for a null in a required column.
Result<EncodedRows> EncodeRows(ArrowStream rows, const Schema& schema, int64_t size_bytes_max);

/// The rows of all of `encoded` in order, as one batch. The bytes are trusted in nothing, but must not change during the
/// call, so copy them out of shared memory first. What the schema's types need is checked as for rows of a foreign stream;
/// that the writer used the same schema (decimals of the same scale) is for the caller to know.
/// Errors: kCorruption, naming the index of the first bad one; kInvalidArgument for over 2 GiB of one column's text.
Result<ArrowStream> DecodeRows(std::span<const ByteView> encoded, const Schema& schema);

}  // namespace datashard::data
