#include "row_stream.h"

#include <nanobind/stl/optional.h>

#include <string>
#include <utility>
#include <vector>

#include "datashard/rows.h"
#include "python_error.h"
#include "python_values.h"
#include "signals.h"
#include "uuid_text.h"

namespace datashard::python {
namespace {

constexpr const char* kStreamCapsule = "arrow_array_stream";

/// What `capsule` holds, taken over by the caller.
template <typename Handle, typename Raw>
Handle TakeCapsule(nb::handle capsule, const char* name) {
  auto* raw = static_cast<Raw*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (raw == nullptr) ThrowPending();
  if (raw->release == nullptr) Refuse(ErrorSubject::kValue, "the rows were already used: a stream can be read only once");
  return Handle(raw);
}

/// A schema that owns copies of all its parts.
struct SchemaCopy {
  std::string format;
  std::string name;
  std::string metadata;
  std::vector<ArrowSchema> children;
  std::vector<ArrowSchema*> child_pointers;
  ArrowSchema dictionary{};
};
void ReleaseSchemaCopy(ArrowSchema* schema) {
  const std::unique_ptr<SchemaCopy> copy(static_cast<SchemaCopy*>(schema->private_data));
  for (ArrowSchema& child : copy->children) child.release(&child);
  if (copy->dictionary.release != nullptr) copy->dictionary.release(&copy->dictionary);
  schema->release = nullptr;
}
void CopySchema(const ArrowSchema& from, ArrowSchema* to) {
  auto copy = std::make_unique<SchemaCopy>();
  copy->format = from.format;
  if (from.name != nullptr) copy->name = from.name;
  copy->metadata = CopyMetadata(from.metadata);
  copy->children.resize(static_cast<size_t>(from.n_children));
  for (size_t i = 0; i < copy->children.size(); ++i) {
    CopySchema(*from.children[i], &copy->children[i]);
    copy->child_pointers.push_back(&copy->children[i]);
  }
  if (from.dictionary != nullptr) CopySchema(*from.dictionary, &copy->dictionary);
  *to = ArrowSchema{.format = copy->format.c_str(),
                    .name = copy->name.c_str(),
                    .metadata = from.metadata == nullptr ? nullptr : copy->metadata.data(),
                    .flags = from.flags,
                    .n_children = from.n_children,
                    .children = copy->child_pointers.data(),
                    .dictionary = from.dictionary == nullptr ? nullptr : &copy->dictionary,
                    .release = ReleaseSchemaCopy};
  to->private_data = copy.release();
}

/// One batch as a stream.
struct OneBatch {
  ArrowSchemaHandle schema;
  ArrowArrayHandle batch;
};
int GetOneSchema(ArrowArrayStream* stream, ArrowSchema* out) {
  CopySchema(*static_cast<OneBatch*>(stream->private_data)->schema.get(), out);
  return 0;
}
int GetOneBatch(ArrowArrayStream* stream, ArrowArray* out) {
  static_cast<OneBatch*>(stream->private_data)->batch.MoveTo(out);
  return 0;
}
const char* NoError(ArrowArrayStream*) { return nullptr; }
void ReleaseOne(ArrowArrayStream* stream) {
  delete static_cast<OneBatch*>(stream->private_data);
  stream->release = nullptr;
}

ArrowStream StreamOfBatch(ArrowSchemaHandle schema, ArrowArrayHandle batch) {
  auto one = std::make_unique<OneBatch>(std::move(schema), std::move(batch));
  ArrowStream stream;
  *stream.get() = ArrowArrayStream{.get_schema = GetOneSchema, .get_next = GetOneBatch, .get_last_error = NoError,
                                   .release = ReleaseOne, .private_data = one.release()};
  return stream;
}

/// A stream given to Python, which notes how it ended.
struct Watched {
  ArrowStream inner;
  std::shared_ptr<std::optional<Error>> error;
};
Watched& WatchedOf(ArrowArrayStream* stream) { return *static_cast<Watched*>(stream->private_data); }
int Note(Watched& watched, int code) {
  if (code != 0) *watched.error = data::StreamError(*watched.inner.get(), code);
  return code;
}
int GetWatchedSchema(ArrowArrayStream* stream, ArrowSchema* out) {
  Watched& watched = WatchedOf(stream);
  return Note(watched, watched.inner->get_schema(watched.inner.get(), out));
}
int GetWatchedNext(ArrowArrayStream* stream, ArrowArray* out) {
  Watched& watched = WatchedOf(stream);
  const InterruptScope scope(SignalsForStrangers());
  return Note(watched, watched.inner->get_next(watched.inner.get(), out));
}
const char* GetWatchedError(ArrowArrayStream* stream) {
  Watched& watched = WatchedOf(stream);
  return watched.inner->get_last_error(watched.inner.get());
}
void ReleaseWatched(ArrowArrayStream* stream) {
  delete &WatchedOf(stream);
  stream->release = nullptr;
}

void DropCapsule(PyObject* capsule) noexcept {
  auto* stream = static_cast<ArrowArrayStream*>(PyCapsule_GetPointer(capsule, kStreamCapsule));
  if (stream->release != nullptr) {
    PyThreadState* state = PyEval_SaveThread();
    stream->release(stream);
    PyEval_RestoreThread(state);
  }
  delete stream;
}

}  // namespace

ArrowStream StreamOfObject(nb::handle object) {
  if (nb::hasattr(object, "__arrow_c_stream__"))
    return TakeCapsule<ArrowStream, ArrowArrayStream>(object.attr("__arrow_c_stream__")(), kStreamCapsule);
  if (nb::hasattr(object, "__arrow_c_array__")) {
    const nb::tuple capsules = nb::cast<nb::tuple>(object.attr("__arrow_c_array__")());
    auto schema = TakeCapsule<ArrowSchemaHandle, ArrowSchema>(capsules[0], "arrow_schema");
    return StreamOfBatch(std::move(schema), TakeCapsule<ArrowArrayHandle, ArrowArray>(capsules[1], "arrow_array"));
  }
  Refuse(ErrorSubject::kValue,
         "{} holds no Arrow data; give a table, record batch, reader or data frame that has __arrow_c_stream__",
         Shown(object.ptr()));
}

RowStream::RowStream(ArrowStream stream) : stream_(std::move(stream)) {}

RowStream::~RowStream() {
  if (stream_.empty()) return;
  // A scan that nobody reads to its end waits for its threads here.
  nb::gil_scoped_release nogil;
  stream_.Reset();
}

ArrowArrayHandle RowStream::Pull() {
  if (stream_.empty()) return {};
  if (busy_) Refuse(ErrorSubject::kNone, "another thread is reading these rows; give each thread a scan of its own");
  ArrowArrayHandle batch;
  busy_ = true;
  Signals signals;
  const Status pulled = [&]() -> Status {
    nb::gil_scoped_release nogil;
    const InterruptScope scope(signals.callback());
    const int code = stream_->get_next(stream_.get(), batch.get());
    if (code == 0) return {};
    batch->release = nullptr;  // the interface leaves it undefined after a failure
    return data::StreamError(*stream_.get(), code);
  }();
  busy_ = false;
  signals.RaiseAfter(pulled);
  ValueOrThrow(pulled);
  if (PyErr_CheckSignals() != 0) ThrowPending();
  return batch;
}

RecordMaker& RowStream::maker() {
  if (maker_ == nullptr) {
    ArrowSchemaHandle schema;
    const int code = stream_->get_schema(stream_.get(), schema.get());
    if (code != 0) {
      schema->release = nullptr;
      throw CoreError(data::StreamError(*stream_.get(), code));
    }
    maker_ = std::make_unique<RecordMaker>(*schema.get());
  }
  return *maker_;
}

std::optional<nb::list> RowStream::NextRecords() {
  for (;;) {
    if (stream_.empty()) return std::nullopt;
    RecordMaker& make = maker();
    const ArrowArrayHandle batch = Pull();
    if (batch.empty()) return std::nullopt;
    if (batch->length == 0) continue;
    nb::list records;
    make.Append(*batch.get(), records);
    return records;
  }
}

nb::list RowStream::AllRecords() {
  nb::list records;
  if (stream_.empty()) return records;
  RecordMaker& make = maker();
  for (;;) {
    const ArrowArrayHandle batch = Pull();
    if (batch.empty()) return records;
    make.Append(*batch.get(), records);
  }
}

nb::object RowStream::Capsule(bool uuids_as_text) {
  if (stream_.empty() || busy_) Refuse(ErrorSubject::kNone, "the rows of this scan were already handed over; scan again");
  auto watched = std::make_unique<Watched>(std::move(stream_), handed_over_error_);
  ArrowStream outer;
  *outer.get() = ArrowArrayStream{.get_schema = GetWatchedSchema, .get_next = GetWatchedNext,
                                  .get_last_error = GetWatchedError, .release = ReleaseWatched,
                                  .private_data = watched.release()};
  if (uuids_as_text) outer = WithUuidsAsText(std::move(outer));
  auto raw = std::make_unique<ArrowArrayStream>();
  outer.MoveTo(raw.get());
  nb::object capsule = nb::steal(PyCapsule_New(raw.get(), kStreamCapsule, DropCapsule));
  if (!capsule.is_valid()) {
    raw->release(raw.get());
    ThrowPending();
  }
  (void)raw.release();
  return capsule;
}

void RowStream::RaiseError() const {
  if (PyErr_CheckSignals() != 0) ThrowPending();
  if (handed_over_error_->has_value()) throw CoreError(**handed_over_error_);
}

void BindRowStream(nb::module_& module) {
  nb::class_<RowStream>(module, "RowStream", "Rows of one scan, given out once; also an Arrow stream.")
      .def("next_records", &RowStream::NextRecords, "The next batch as a list of dicts; None at the end.")
      .def("all_records", &RowStream::AllRecords, "The remaining rows as a list of dicts.")
      .def("capsule", &RowStream::Capsule, nb::arg("uuids_as_text"), "The rows as an Arrow stream capsule.")
      .def("raise_error", &RowStream::RaiseError, "Raise the error the handed-over stream ended with, if any.")
      .def(
          "__arrow_c_stream__",
          [](RowStream& stream, nb::handle requested_schema) { return stream.Capsule(/*uuids_as_text=*/false); },
          nb::arg("requested_schema") = nb::none(), "Arrow's PyCapsule interface; the types are never changed.");
}

}  // namespace datashard::python
