#include "python_error.h"

namespace datashard::python {

void ThrowPending() { throw nb::python_error(); }

nb::object Steal(PyObject* object) {
  if (object == nullptr) ThrowPending();
  return nb::steal(object);
}

namespace {

// In the order of ErrorSubject.
constexpr const char* kSubjects[] = {"none", "table", "snapshot", "data_file", "metadata",
                                     "column", "value", "operand", "schema", "legacy_layout"};

}  // namespace

nb::object ExceptionOf(const Error& error, bool overflow) {
  const std::string kind(ToString(error.kind()));
  return nb::module_::import_("datashard.exceptions")
      .attr("exception_of")(kind, kSubjects[static_cast<int>(error.subject())], error.message(), overflow);
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
