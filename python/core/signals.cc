#include "signals.h"

#include <unistd.h>

namespace datashard::python {
namespace {

Error WasInterrupted() { return Error(ErrorKind::kUnavailable, "interrupted"); }

PyObject* FetchRaised() {
#if PY_VERSION_HEX >= 0x030C0000
  return PyErr_GetRaisedException();
#else
  PyObject* type = nullptr;
  PyObject* value = nullptr;
  PyObject* trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  if (trace != nullptr) PyException_SetTraceback(value, trace);
  Py_XDECREF(type);
  Py_XDECREF(trace);
  return value;
#endif
}

}  // namespace

Interrupted Signals::callback() {
  return [this]() -> Status {
    nb::gil_scoped_acquire gil;
    if (!exception_.is_valid() && PyErr_CheckSignals() != 0) exception_ = nb::steal(FetchRaised());
    if (exception_.is_valid()) return WasInterrupted();
    return {};
  };
}

void Signals::Raise(const Error* open, const char* note) {
  if (open != nullptr) {
    nb::object cause = ExceptionOf(*open);
    PyException_SetCause(exception_.ptr(), cause.release().ptr());
  }
  if (note != nullptr && nb::hasattr(exception_, "add_note")) exception_.attr("add_note")(note);
  PyErr_SetObject(exception_.type().ptr(), exception_.ptr());
  ThrowPending();
}

Interrupted SignalsForStrangers() {
  if (gettid() != getpid()) return {};
  return []() -> Status {
    nb::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() == 0) return {};
    PyErr_Clear();
    PyErr_SetInterrupt();
    return WasInterrupted();
  };
}

}  // namespace datashard::python
