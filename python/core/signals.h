// Ctrl-C while the core works without the GIL.
#pragma once

#include <nanobind/nanobind.h>

#include "datashard/interrupt.h"
#include "datashard/result.h"
#include "python_error.h"

namespace datashard::python {

/// Lets Ctrl-C end a call of the core. The signal's exception is kept until the core has tidied up. Made and destroyed with the
/// GIL.
class Signals {
 public:
  /// Takes the GIL when asked. Borrows this.
  Interrupted callback();
  /// Raises the signal's exception if there was one; what the core says about a commit hangs on it as its cause.
  /// \param if_done  a note for the user where the call succeeded nevertheless; may be null.
  template <typename T>
  void RaiseAfter(const Result<T>& result, const char* if_done = nullptr) {
    const bool open = !result.ok() && result.kind() == ErrorKind::kCommitUnknown;
    if (exception_.is_valid()) Raise(open ? &result.error() : nullptr, result.ok() ? if_done : nullptr);
  }

 private:
  [[noreturn]] void Raise(const Error* open, const char* note);

  nb::object exception_;
};

/// For a stream whose reader is a stranger that would take no exception of ours: the signal is raised again once that has
/// returned. Only in the main thread, which gets Python's signals; else it is empty.
Interrupted SignalsForStrangers();

/// Calls `call` without the GIL and gives back its value. Ctrl-C ends its waits for a bucket.
template <typename Call>
auto Unlocked(Call call) {
  Signals signals;
  auto result = [&] {
    nb::gil_scoped_release nogil;
    const InterruptScope scope(signals.callback());
    return call();
  }();
  signals.RaiseAfter(result);
  return ValueOrThrow(std::move(result));
}

}  // namespace datashard::python
