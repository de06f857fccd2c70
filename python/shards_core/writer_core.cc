#include "writer_core.h"

#include <atomic>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "settings.h"

namespace datashard::python {
namespace {

constexpr size_t kRowsPerBatch = 1024;
constexpr std::chrono::milliseconds kHurry{3000};

nb::object PartOf(nb::dict parts, const char* name) {
  if (!parts.contains(name)) return {};
  nb::object part = parts[name];
  return part.is_none() ? nb::object() : part;
}

std::string AtRow(int64_t row) { return fmt::format("row {}", row); }

/// Says on the pending Python exception, which `error` holds, which row it was.
void NoteRow(nb::python_error& error, int64_t row) {
  nb::handle raised = error.value();
  if (nb::hasattr(raised, "add_note")) raised.attr("add_note")(AtRow(row) + " of the records");
}

std::optional<std::string_view> BytesOf(PyObject* value) {
  if (PyBytes_Check(value)) return std::string_view(PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value)));
  return std::nullopt;
}

}  // namespace

/// Rows that are converted and not yet given to the core.
class WriterCore::Batch {
 public:
  explicit Batch(const CelColumns& columns) : columns_(columns) { rows_.reserve(kRowsPerBatch); }

  bool full() const { return rows_.size() == kRowsPerBatch; }
  size_t size() const { return rows_.size(); }
  void Take(nb::handle record, const RecordFunctions& functions) {
    Row row;
    nb::object key = functions.key(record);
    row.key.emplace(OrThrow(Doing::kRow, KeyOf(key.ptr())));
    nb::object value = functions.value(record);
    if (!BytesOf(value.ptr()).has_value()) value = AsBytes(value);
    row.value = *BytesOf(value.ptr());
    if (functions.columns.is_valid()) {
      nb::object columns = functions.columns(record);
      row.columns = OrThrow(Doing::kRow, CelRowOf(columns.ptr(), columns_, held_));
    }
    held_.push_back(std::move(key));
    held_.push_back(std::move(value));
    rows_.push_back(std::move(row));
  }
  /// Without the GIL.
  Status AddTo(ShardedWriter& writer, int64_t rows_before) const {
    for (size_t i = 0; i < rows_.size(); ++i) {
      Status added = writer.Add(*rows_[i].key, rows_[i].value, rows_[i].columns);
      if (!added.ok()) return std::move(added).error().In(AtRow(rows_before + static_cast<int64_t>(i)));
    }
    return {};
  }
  void Clear() {
    rows_.clear();
    held_.clear();
  }

 private:
  struct Row {
    std::optional<KeyView> key;
    std::string_view value;
    std::vector<CelValue> columns;
  };

  static nb::object AsBytes(nb::handle value) {
    if (PyObject_CheckBuffer(value.ptr()) != 0) return Steal(PyBytes_FromObject(value.ptr()));
    throw ContextError(Error(ErrorKind::kInvalidArgument, fmt::format("a value is bytes; given is {}", Py_TYPE(value.ptr())->tp_name)),
                       Doing::kRow);
  }

  const CelColumns& columns_;
  std::vector<Row> rows_;
  std::vector<nb::object> held_;
};

WriterCore::WriterCore(nb::dict fields, nb::dict parts) {
  ShardedWriteSettings settings = WriteSettingsOf(fields);
  if (settings.sharding.cel.has_value()) columns_ = settings.sharding.cel->columns;
  ShardedWriteParts made;
  if (nb::object bridge = PartOf(parts, "manifests"); bridge.is_valid()) {
    manifests_ = std::make_unique<PythonManifests>(bridge, callbacks_);
    made.manifests = manifests_.get();
  }
  if (nb::object bridge = PartOf(parts, "registry"); bridge.is_valid()) {
    registry_ = std::make_unique<PythonRegistry>(bridge, callbacks_);
    made.registry = registry_.get();
  }
  open_adapter_ = PartOf(parts, "adapters");
  if (open_adapter_.is_valid()) made.adapters = PythonAdapters(open_adapter_, callbacks_);
  emit_ = PartOf(parts, "events");
  if (emit_.is_valid()) made.events = PythonEvents(emit_, callbacks_);
  evaluate_cel_ = PartOf(parts, "evaluate_cel");
  if (evaluate_cel_.is_valid()) made.evaluate_cel = PythonCel(evaluate_cel_, callbacks_);
  const auto start = [&]() -> Status {
    // Kept here at once: a signal that came meanwhile must not let go of it with the GIL held.
    DS_ASSIGN_OR_RETURN(writer_, ShardedWriter::Start(std::move(settings), std::move(made)));
    return {};
  };
  try {
    Unlocked(Doing::kConfigure, start, &callbacks_);
  } catch (...) {
    Abandon(/*hurry=*/true);
    throw;
  }
  run_id_ = writer_->run_id();
}

WriterCore::~WriterCore() { Abandon(/*hurry=*/true); }

void WriterCore::Abandon(bool hurry) {
  if (writer_ == nullptr) return;
  Signals signals;
  nb::gil_scoped_release nogil;
  const Interrupted at_once = []() -> Status { return Error(ErrorKind::kUnavailable, "interrupted"); };
  {
    const InterruptScope scope(hurry ? at_once : signals.callback(), hurry ? kHurry : std::chrono::milliseconds{});
    writer_.reset();
  }
  // An exception in the user's hands may hold the frames that hold this write.
  nb::gil_scoped_acquire gil;
  manifests_.reset();
  registry_.reset();
  for (nb::object* part : {&open_adapter_, &emit_, &evaluate_cel_}) part->reset();
}

ShardedWriter& WriterCore::writer() {
  if (writer_ == nullptr) throw ContextError(Error(ErrorKind::kFenced, "the write is over"), Doing::kBuild);
  return *writer_;
}

void WriterCore::AddRecords(nb::iterable records, const RecordFunctions& functions) {
  ShardedWriter& open = writer();
  Batch batch(columns_);
  const auto flush = [&] {
    Unlocked(Doing::kRow, [&] { return batch.AddTo(open, rows_added_); }, &callbacks_);
    rows_added_ += static_cast<int64_t>(batch.size());
    batch.Clear();
    if (functions.progress.is_valid()) functions.progress(rows_added_);
    // The functions may be C code throughout, which looks at no signals.
    if (PyErr_CheckSignals() != 0) ThrowPending();
  };
  for (nb::handle record : records) {
    const int64_t row = rows_added_ + static_cast<int64_t>(batch.size());
    try {
      batch.Take(record, functions);
    } catch (nb::python_error& error) {
      NoteRow(error, row);
      throw;
    } catch (const ContextError& error) {
      throw ContextError(Error(error.error()).In(AtRow(row)), error.doing());
    }
    if (batch.full()) flush();
  }
  flush();
}

namespace {

/// A stream that passes on another's batches and counts their rows.
struct CountedStream {
  ArrowStream inner;
  std::function<void(int64_t rows)> passed;
};

CountedStream& Counted(ArrowArrayStream* stream) { return *static_cast<CountedStream*>(stream->private_data); }

ArrowStream Counting(ArrowStream inner, std::function<void(int64_t rows)> passed) {
  ArrowArrayStream raw;
  raw.get_schema = [](ArrowArrayStream* stream, ArrowSchema* out) { return Counted(stream).inner->get_schema(Counted(stream).inner.get(), out); };
  raw.get_next = [](ArrowArrayStream* stream, ArrowArray* out) {
    CountedStream& counted = Counted(stream);
    const int code = counted.inner->get_next(counted.inner.get(), out);
    if (code == 0 && out->release != nullptr) counted.passed(out->length);
    return code;
  };
  raw.get_last_error = [](ArrowArrayStream* stream) { return Counted(stream).inner->get_last_error(Counted(stream).inner.get()); };
  raw.release = [](ArrowArrayStream* stream) {
    delete &Counted(stream);
    stream->release = nullptr;
  };
  raw.private_data = std::make_unique<CountedStream>(std::move(inner), std::move(passed)).release();
  return ArrowStream(&raw);
}

ArrowStream StreamOf(nb::handle rows) {
  nb::object capsule = rows.attr("__arrow_c_stream__")();
  auto* raw = static_cast<ArrowArrayStream*>(PyCapsule_GetPointer(capsule.ptr(), "arrow_array_stream"));
  if (raw == nullptr) ThrowPending();
  if (raw->release == nullptr) {
    throw ContextError(Error(ErrorKind::kInvalidArgument, "the rows were already used: a stream can be read only once"), Doing::kRow);
  }
  return ArrowStream(raw);
}

}  // namespace

void WriterCore::AddRows(nb::object rows, const std::string& key_col, std::optional<std::string> value_col,
                         std::optional<std::vector<std::string>> json_cols, bool json, nb::object progress) {
  ShardedWriter& open = writer();
  ArrowKeyValue columns{.key_col = key_col, .value_col = std::move(value_col)};
  if (json) columns.json_cols = json_cols.value_or(std::vector<std::string>());
  std::atomic<int64_t> passed = 0;
  ArrowStream stream = Counting(StreamOf(rows), [&](int64_t count) {
    const int64_t total = passed += count;
    if (progress.is_none()) return;
    const Status told = callbacks_.Run([&] { progress(rows_added_ + total); });
    (void)told;  // a line on a terminal ends no write
  });
  Unlocked(Doing::kRow, [&] { return open.AddRows(std::move(stream), columns); }, &callbacks_);
  rows_added_ += passed;
}

nb::dict WriterCore::Finish() {
  ShardedWriter& open = writer();
  const BuildResult built = Unlocked(Doing::kBuild, [&] { return open.Finish(); }, &callbacks_);
  Abandon(/*hurry=*/false);
  nb::list winners;
  for (const ShardMeta& shard : built.winners) winners.append(ToPython(shard));
  nb::dict fields;
  fields["run_id"] = built.run_id;
  fields["winners"] = winners;
  fields["manifest_ref"] = built.manifest_ref;
  fields["sharding_ms"] = built.durations.sharding_ms;
  fields["write_ms"] = built.durations.write_ms;
  fields["manifest_ms"] = built.durations.manifest_ms;
  fields["total_ms"] = built.durations.total_ms;
  fields["num_attempt_results"] = built.num_attempt_results;
  fields["rows_written"] = built.rows_written;
  fields["run_record_ref"] = nb::cast(built.run_record_ref);
  return fields;
}

}  // namespace datashard::python
