// Bytes of files and standard input for the readers of row formats.
#pragma once

#include <arrow/type_fwd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "datashard/result.h"

namespace datashard::data {

/// The start of an input, looked at before it is read from its beginning.
struct PeekedInput {
  std::shared_ptr<arrow::Buffer> start;            // up to the bytes asked for
  std::shared_ptr<arrow::io::InputStream> stream;  // all bytes, `start` among them
};

/// Opens `path` ("-": standard input), unpacked where it begins as gzip does. `bytes_read` counts what was read from
/// the file, packed. Errors: kNotFound, kDenied, kInvalidArgument for a directory.
Result<PeekedInput> OpenInput(const std::string& path, int64_t peek_bytes, std::shared_ptr<std::atomic<int64_t>> bytes_read);

}  // namespace datashard::data
