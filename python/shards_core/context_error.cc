#include "context_error.h"

namespace datashard::python {
namespace {

// In the order of Doing.
constexpr const char* kDoings[] = {"configure", "key", "open", "read", "row", "build", "object"};

nb::module_ Failures() { return nb::module_::import_("shardyfusion._failures"); }

ErrorKind KindNamed(std::string_view name) {
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::kInternal); ++kind) {
    if (ToString(static_cast<ErrorKind>(kind)) == name) return static_cast<ErrorKind>(kind);
  }
  return ErrorKind::kInternal;
}

}  // namespace

nb::object ExceptionOf(const Error& error, Doing doing) {
  const std::string kind(ToString(error.kind()));
  return Failures().attr("exception_of")(kind, kDoings[static_cast<int>(doing)], error.message());
}

// What signals.cc hangs on a signal's exception: a commit that is open.
nb::object ExceptionOf(const Error& error, bool) { return ExceptionOf(error, Doing::kBuild); }

void SetPending(const Error& error, Doing doing) {
  try {
    nb::object exception = ExceptionOf(error, doing);
    PyErr_SetObject(exception.type().ptr(), exception.ptr());
  } catch (nb::python_error& failure) {
    failure.restore();
  }
}

void RegisterContextErrors() {
  nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
    try {
      std::rethrow_exception(pointer);
    } catch (const ContextError& error) {
      SetPending(error.error(), error.doing());
    }
  });
}

Error Callbacks::Caught(nb::python_error& error) {
  nb::object raised = nb::borrow(error.value());
  std::string text, kind;
  try {
    text = nb::cast<std::string>(Failures().attr("text_of")(raised));
    kind = nb::cast<std::string>(Failures().attr("kind_of")(raised));
  } catch (nb::python_error& failure) {
    text = failure.what();
  }
  if (!kept_.is_valid()) kept_ = raised;
  return Error(KindNamed(kind), text);
}

void Callbacks::Raise(Doing doing, const Error& error, nb::object kept) {
  nb::object exception = Failures().attr("raised_by_user")(kept, ExceptionOf(error, doing));
  PyErr_SetObject(exception.type().ptr(), exception.ptr());
  ThrowPending();
}

}  // namespace datashard::python
