// Errors on their way to Python. Inside this module failures travel as C++ exceptions, because CPython's API and nanobind
// leave no other way out of a half-built object; the classes users catch are chosen in datashard/exceptions.py.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>  // without it a std::string is converted to nothing, at run time

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "datashard/result.h"

namespace datashard::python {

namespace nb = nanobind;

/// Carries an Error to nanobind's translator.
class CoreError : public std::exception {
 public:
  explicit CoreError(Error error, bool overflow = false) : error_(std::move(error)), overflow_(overflow) {}
  const Error& error() const { return error_; }
  /// Was it an integer that no 64-bit column can hold? Such errors are OverflowErrors too.
  bool overflow() const { return overflow_; }
  const char* what() const noexcept override { return error_.message().c_str(); }

 private:
  Error error_;
  bool overflow_;
};

template <typename... Args>
[[noreturn]] void Refuse(ErrorSubject subject, fmt::format_string<Args...> text, Args&&... args) {
  throw CoreError(Error(ErrorKind::kInvalidArgument, fmt::format(text, std::forward<Args>(args)...), subject));
}

template <typename T>
T ValueOrThrow(Result<T> result) {
  if (!result.ok()) throw CoreError(std::move(result).error());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

/// Throws the pending Python exception.
[[noreturn]] void ThrowPending();
/// `object`, a new reference, or the pending Python exception.
nb::object Steal(PyObject* object);

/// The Python exception for `error` (not raised).
nb::object ExceptionOf(const Error& error, bool overflow = false);

/// Makes CoreError known to nanobind.
void RegisterErrors();

}  // namespace datashard::python
