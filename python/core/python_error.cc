#include "python_error.h"

namespace datashard::python {

void ThrowPending() { throw nb::python_error(); }

nb::object Steal(PyObject* object) {
  if (object == nullptr) ThrowPending();
  return nb::steal(object);
}

void RegisterErrors() {
  nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
    try {
      std::rethrow_exception(pointer);
    } catch (const CoreError& error) {
      try {
        nb::object exception = ExceptionOf(error.error(), error.overflow());
        PyErr_SetObject(exception.type().ptr(), exception.ptr());
      } catch (nb::python_error& failure) {
        failure.restore();
      }
    }
  });
}

}  // namespace datashard::python
