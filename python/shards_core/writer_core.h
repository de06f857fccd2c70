// One write of the package's writers: rows from Python objects or Arrow, one generation out.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "context_error.h"
#include "datashard/sharded_writer.h"
#include "python_key.h"
#include "python_manifests.h"
#include "python_parts.h"

namespace datashard::python {

/// Code of the user's that takes a record to pieces, and who hears about progress. None: nobody.
struct RecordFunctions {
  nb::object key, value, columns;
  nb::object progress;  ///< called with the number of rows now and then
};

/// The GIL is never held while the core works: its threads may be waiting for it.
class WriterCore {
 public:
  /// \param parts  dict of "manifests", "registry", "adapters", "events", "evaluate_cel": bridges; a missing one is our own.
  WriterCore(nb::dict settings, nb::dict parts);
  ~WriterCore();
  WriterCore(const WriterCore&) = delete;

  void AddRecords(nb::iterable records, const RecordFunctions& functions);
  /// \param rows  what has __arrow_c_stream__.
  void AddRows(nb::object rows, const std::string& key_col, std::optional<std::string> value_col,
               std::optional<std::vector<std::string>> json_cols, bool json, nb::object progress);
  /// The fields of BuildResult.
  nb::dict Finish();
  /// Ends a write that is not finished: what it made is removed, as far as that goes in a few seconds where `hurry`.
  void Abandon(bool hurry);
  const std::string& run_id() const { return run_id_; }
  int64_t rows_added() const { return rows_added_; }

 private:
  class Batch;
  ShardedWriter& writer();

  Callbacks callbacks_;
  nb::object open_adapter_, emit_, evaluate_cel_;
  std::unique_ptr<PythonManifests> manifests_;
  std::unique_ptr<PythonRegistry> registry_;
  CelColumns columns_;
  std::string run_id_;
  int64_t rows_added_ = 0;
  std::unique_ptr<ShardedWriter> writer_;
};

}  // namespace datashard::python
