// Streams of rows across the border: from any Python object with an Arrow capsule, and to Python as RowStream.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <optional>

#include "arrow_to_records.h"
#include "datashard/arrow_c.h"
#include "datashard/result.h"

namespace datashard::python {

/// The rows of an object with __arrow_c_stream__ (tables, data frames, readers, relations) or __arrow_c_array__ (a record
/// batch). Throws CoreError kInvalidArgument for other objects. Pulling the stream does not need the GIL.
ArrowStream StreamOfObject(nanobind::handle object);

/// Rows on their way to Python, from one scan; each row is given out once. One thread at a time.
class RowStream {
 public:
  explicit RowStream(ArrowStream stream);
  RowStream(RowStream&&) = default;
  ~RowStream();

  /// The next batch as a list of dicts; None at the end. Waits without the GIL.
  std::optional<nanobind::list> NextRecords();
  /// The remaining rows as a list of dicts.
  nanobind::list AllRecords();
  /// Hands the stream over as an Arrow capsule, uuids as strings if asked for. The error behind a failure of that stream,
  /// of which Arrow only passes on the text, is kept for RaiseError.
  nanobind::object Capsule(bool uuids_as_text);
  /// Raises the error the handed-over stream ended with, if any; Ctrl-C's where that ended it.
  void RaiseError() const;

 private:
  RecordMaker& maker();
  /// The next batch; empty at the end.
  ArrowArrayHandle Pull();

  ArrowStream stream_;
  bool busy_ = false;  // guarded by the GIL
  std::unique_ptr<RecordMaker> maker_;
  std::shared_ptr<std::optional<Error>> handed_over_error_ = std::make_shared<std::optional<Error>>();
};

void BindRowStream(nanobind::module_& module);

}  // namespace datashard::python
