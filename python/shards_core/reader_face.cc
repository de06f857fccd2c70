// The class Reader: its `get` is a bare method of CPython, so that a lookup of what is mapped costs no frame and no argument tables.
#include "faces.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "reader_core.h"
#include "scan_face.h"
#include "settings.h"

namespace datashard::python {
namespace {

/// The key and the routing context of a call get(key, *, routing_context=None), borrowed. False with an exception pending.
bool TakeLookupArguments(PyObject* const* args, Py_ssize_t count, PyObject* names, PyObject** key, PyObject** context) {
  *key = count > 0 ? args[0] : nullptr;
  *context = nullptr;
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* name = PyTuple_GET_ITEM(names, i);
    if (PyUnicode_CompareWithASCIIString(name, "routing_context") == 0) {
      *context = args[count + i];
    } else if (count == 0 && PyUnicode_CompareWithASCIIString(name, "key") == 0) {
      *key = args[count + i];
    } else {
      PyErr_Format(PyExc_TypeError, "get() got an unexpected keyword argument '%U'", name);
      return false;
    }
  }
  if (count > 1 || *key == nullptr) {
    PyErr_Format(PyExc_TypeError, "get() takes one key, given are %zd", count);
    return false;
  }
  return true;
}

enum class How {
  kGet,       ///< may go to the Python method `_get`
  kDirect,    ///< never does
  kResident,  ///< waits for nothing
};

template <How how>
PyObject* LookUp(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* key = nullptr;
  PyObject* context = nullptr;
  if (!TakeLookupArguments(args, count, names, &key, &context)) return nullptr;
  try {
    if (!nb::inst_ready(self)) throw ContextError(Error(ErrorKind::kFenced, "the reader is not open"), Doing::kRead);
    auto* core = nb::inst_ptr<ReaderCore>(self);
    if (how == How::kResident) return core->GetResident(key, context);
    if (how == How::kDirect || !core->observed) return core->Get(key, context);
    return PyObject_CallMethod(self, "_get", "OO", key, context == nullptr ? Py_None : context);
  } catch (nb::python_error& error) {
    error.restore();
  } catch (const ContextError& error) {
    SetPending(error.error(), error.doing());
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

template <How how>
PyMethodDef LookupMethod(const char* name, const char* doc) {
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(LookUp<how>)), METH_FASTCALL | METH_KEYWORDS, doc};
}

PyMethodDef lookups[] = {
    LookupMethod<How::kGet>(
        "get",
        "get($self, key, *, routing_context=None)\n--\n\nThe value of `key` as bytes; None where it is absent.\n\n"
        "key: int, str or bytes. routing_context: the columns of a CEL rule that reads others than the key.\n"
        "Raises: ReaderStateError: closed; ConfigValidationError, which is a ValueError too: a key that the encoding cannot hold;\n"
        "DbAdapterError: a shard that is gone or damaged; S3TransientError: storage does not answer."),
    LookupMethod<How::kDirect>("_get_direct", "_get_direct($self, key, *, routing_context=None)\n--\n\n`get` that tells nobody."),
    LookupMethod<How::kResident>(
        "_get_resident", "_get_resident($self, key, *, routing_context=None)\n--\n\n`get` of what is mapped or cached; NotImplemented for the rest."),
};

/// A store of the user's may lead back to the reader that it serves.
int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (nb::inst_ready(self)) Py_VISIT(nb::inst_ptr<ReaderCore>(self)->bridge());
  return 0;
}
int Clear(PyObject* self) {
  if (nb::inst_ready(self)) nb::inst_ptr<ReaderCore>(self)->Clear();
  return 0;
}
PyType_Slot collection[] = {
    {Py_tp_traverse, reinterpret_cast<void*>(Traverse)}, {Py_tp_clear, reinterpret_cast<void*>(Clear)}, {0, nullptr}};

nb::object ManifestOf(ReaderCore& core) {
  // Both of one generation: a refresh may come between.
  std::shared_ptr<const ShardedManifest> manifest;
  std::string ref;
  do {
    ref = core.reader().manifest_ref();
    manifest = core.reader().manifest();
  } while (ref != core.reader().manifest_ref());
  nb::list shards;
  for (const ShardMeta& shard : manifest->shards) shards.append(ToPython(shard));
  return nb::make_tuple(ToPython(manifest->build), shards, manifest->custom, ref);
}

nb::list DetailsOf(ReaderCore& core) {
  nb::list details;
  for (const ShardDetail& shard : core.reader().shard_details()) {
    details.append(nb::make_tuple(shard.db_id, shard.row_count, ToPython(shard.min_key), ToPython(shard.max_key), nb::cast(shard.db_url)));
  }
  return details;
}

nb::list SkippedOf(ReaderCore& core) {
  nb::list skipped;
  for (const SkippedManifest& manifest : core.reader().skipped_manifests()) skipped.append(nb::make_tuple(manifest.ref, manifest.problem));
  return skipped;
}

nb::tuple HealthOf(ReaderCore& core, std::optional<int64_t> staleness_us) {
  std::optional<std::chrono::microseconds> threshold;
  if (staleness_us.has_value()) threshold = std::chrono::microseconds(*staleness_us);
  const ReaderHealth health = core.reader().health(threshold);
  constexpr const char* kNames[] = {"healthy", "degraded", "unhealthy"};
  return nb::make_tuple(kNames[static_cast<int>(health.status)], health.manifest_ref, health.manifest_age.count(), health.num_shards,
                        health.is_closed);
}

nb::tuple Refresh(ReaderCore& core) {
  std::optional<Error> problem;
  ShardedReader& reader = core.reader();
  const bool changed = Unlocked(
      Doing::kOpen, [&] { return reader.Refresh(&problem); }, &core.callbacks());
  return nb::make_tuple(changed, problem.has_value() ? nb::object(nb::str(problem->message().c_str())) : nb::none());
}

std::optional<int32_t> Route(ReaderCore& core, nb::handle key, nb::handle context) {
  const Context columns(context.ptr());
  const KeyView view = OrThrow(Doing::kKey, KeyOf(key.ptr()));
  return OrThrow(Doing::kKey, core.reader().Route(view, columns.get()));
}

void Close(ReaderCore& core) {
  if (!core.is_open()) return;
  nb::gil_scoped_release nogil;
  core.reader().Close();
}

}  // namespace

void BindReader(nb::module_& module) {
  using namespace nb::literals;
  nb::class_<ReaderCore> reader(module, "Reader", nb::type_slots(collection), "A reader of the current generation of a snapshot; the base of the package's readers.");
  reader.def(nb::init<>())
      .def("_open", &ReaderCore::Open, "settings"_a, "manifests"_a.none(), "Finds and reads the manifest. See shardyfusion/_settings.py.")
      .def("_give_up", &ReaderCore::GiveUp, "Ends an _open in another thread.")
      .def_prop_ro("_is_open", &ReaderCore::is_open)
      .def_prop_ro("_ref", [](ReaderCore& core) { return core.reader().manifest_ref(); }, "Of the manifest that is read.")
      .def_prop_ro("_key_encoding", [](ReaderCore& core) { return std::string(ToString(core.reader().manifest()->build.key_encoding)); })
      .def_rw("_observed", &ReaderCore::observed, "Do lookups go to the methods `_get` and `_multi_get`?")
      .def("_multi_get_direct", &ReaderCore::MultiGet, "keys"_a, "routing_context"_a.none(),
           "Values by key in the order of `keys`, which may repeat; None for absent ones.")
      .def("_route", &Route, "key"_a.none(), "routing_context"_a.none(), "The shard of a key; None where the rule does not know it.")
      .def("_manifest", &ManifestOf, "(build, shards, custom as JSON, ref) of the generation that is read.")
      .def("_skipped", &SkippedOf, "(ref, what is wrong) of the manifests that the opening passed over.")
      .def("_details", &DetailsOf, "(db_id, row_count, min_key, max_key, db_url) of all shards.")
      .def("_health", &HealthOf, "staleness_us"_a.none(), "(status, ref, age in microseconds, shards, is_closed)")
      .def("_refresh", &Refresh, "(changed, why not)")
      .def("_close", &Close);
  BindScan(module, reader);
  for (PyMethodDef& method : lookups) {
    nb::object descriptor = Steal(PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(reader.ptr()), &method));
    nb::setattr(reader, method.ml_name, descriptor);
  }
}

}  // namespace datashard::python
