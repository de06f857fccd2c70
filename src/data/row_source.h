// Rows as this room's parts hand them to each other, and their passage through Arrow C streams. A stream made here is
// unwrapped again on the way in, so conforming, writing and reading do not pay for the C structs between them.
#pragma once

#include <arrow/type_fwd.h>

#include <memory>

#include "data/data_file.h"
#include "datashard/arrow_c.h"
#include "datashard/result.h"

namespace datashard::data {

/// Record batches of one schema. One thread at a time.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual const std::shared_ptr<arrow::Schema>& schema() const = 0;
  /// The next batch; null at the end and ever after. After an error the source is not asked again.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
};

/// As an Arrow C stream. Its errors keep their kind: see StreamError. After an error it only repeats that error.
ArrowStream ExportRows(std::unique_ptr<RowSource> source);

/// The batches of `stream`, ours or foreign; foreign ones are checked for sane buffers.
/// Errors: what StreamError says of the stream; kInvalidArgument for a stream that is not one of structs.
Result<std::unique_ptr<RowSource>> ImportRows(ArrowStream stream);

}  // namespace datashard::data
