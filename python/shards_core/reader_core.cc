#include "reader_core.h"

#include <nanobind/stl/string.h>

#include "settings.h"

namespace datashard::python {
namespace {

PyObject* BytesObject(std::string_view bytes) { return PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())); }

nb::object BytesOrNone(const std::optional<PinnedValue>& value) {
  return value.has_value() ? Steal(BytesObject(value->bytes())) : nb::none();
}

}  // namespace

Context::Context(PyObject* columns) {
  if (columns == nullptr || columns == Py_None) return;
  given_ = true;
  for (nb::handle item : Steal(PyMapping_Items(columns))) {
    const auto pair = nb::cast<nb::tuple>(item);
    std::string name;
    if (!nb::try_cast(nb::object(pair[0]), name)) {
      throw ContextError(Error(ErrorKind::kInvalidArgument, "a routing context has the columns' names for its keys, which are str"), Doing::kKey);
    }
    columns_.emplace_back(name, OrThrow(Doing::kKey, CelValueOf(nb::object(pair[1]).ptr(), held_)));
  }
}

ReaderCore::~ReaderCore() {
  // Threads of the reader may be waiting for the interpreter.
  nb::gil_scoped_release nogil;
  reader_.reset();
}

void ReaderCore::Clear() {
  {
    nb::gil_scoped_release nogil;
    reader_.reset();
  }
  manifests_.reset();
}

void ReaderCore::Open(nb::dict settings, nb::object manifests) {
  {
    nb::gil_scoped_release nogil;
    reader_.reset();
  }
  if (!manifests.is_none()) manifests_ = std::make_unique<PythonManifests>(std::move(manifests), callbacks_);
  ShardedReaderSettings made = ReaderSettingsOf(settings);
  const auto open = [&]() -> Status {
    const InterruptScope scope([this]() -> Status { return given_up_ ? Status(Error(ErrorKind::kUnavailable, "given up")) : Status(); });
    DS_ASSIGN_OR_RETURN(reader_, ShardedReader::Open(std::move(made), manifests_.get()));
    return {};
  };
  Unlocked(Doing::kOpen, open, &callbacks_);
}

ShardedReader& ReaderCore::reader() {
  if (reader_ == nullptr) throw ContextError(Error(ErrorKind::kFenced, "the reader is not open"), Doing::kRead);
  return *reader_;
}

PyObject* ReaderCore::Get(PyObject* key, PyObject* context) { return Look(key, context, true); }
PyObject* ReaderCore::GetResident(PyObject* key, PyObject* context) { return Look(key, context, false); }

PyObject* ReaderCore::Look(PyObject* key, PyObject* context, bool wait) {
  const Result<KeyView> view = KeyOf(key);
  if (!view.ok()) {
    SetPending(view.error(), Doing::kKey);
    return nullptr;
  }
  std::optional<Context> columns;
  if (context != nullptr && context != Py_None) columns.emplace(context);
  const RoutingContext* given = columns.has_value() ? columns->get() : nullptr;
  PyObject* value = nullptr;
  bool found = false;
  const Result<LookupOutcome> outcome = reader().Visit(
      *view, LookupReach::kResidentOnly,
      [&](std::string_view bytes) {
        found = true;
        value = BytesObject(bytes);
      },
      given);
  if (!outcome.ok()) {
    Py_XDECREF(value);
    SetPending(outcome.error(), outcome.kind() == ErrorKind::kInvalidArgument ? Doing::kKey : Doing::kRead);
    return nullptr;
  }
  if (*outcome == LookupOutcome::kFound) return found ? value : BytesObject({});
  if (*outcome == LookupOutcome::kAbsent) Py_RETURN_NONE;
  if (!wait) return Py_NewRef(Py_NotImplemented);
  // A value is built once the interpreter is ours again: a wait for it inside of Visit could hold what the owner waits for.
  const std::optional<PinnedValue> pinned = Unlocked(Doing::kRead, [&] { return reader_->Get(*view, given); }, &callbacks_);
  return BytesOrNone(pinned).release().ptr();
}

nb::dict ReaderCore::MultiGet(nb::handle keys, nb::handle context) {
  const nb::object held = Steal(PySequence_Tuple(keys.ptr()));
  const auto count = static_cast<size_t>(PyTuple_GET_SIZE(held.ptr()));
  std::vector<KeyView> views;
  views.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    views.push_back(OrThrow(Doing::kKey, KeyOf(PyTuple_GET_ITEM(held.ptr(), static_cast<Py_ssize_t>(i)))));
  }
  const Context columns(context.ptr());
  ShardedReader& open = reader();
  const auto values = Unlocked(
      Doing::kRead, [&] { return open.MultiGet(views, columns.get()); }, &callbacks_);
  nb::dict found;
  for (size_t i = 0; i < count; ++i) {
    nb::object value = BytesOrNone(values[i]);
    if (PyDict_SetItem(found.ptr(), PyTuple_GET_ITEM(held.ptr(), static_cast<Py_ssize_t>(i)), value.ptr()) != 0) ThrowPending();
  }
  return found;
}

}  // namespace datashard::python
