// Errors on their way to Python: an error of the core becomes a class of shardyfusion/_failures.py by its kind and by what was being done.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "datashard/result.h"
#include "python_error.h"
#include "signals.h"

namespace datashard::python {

/// What a call was about when it failed.
enum class Doing {
  kConfigure,  ///< checking options, rules, expressions
  kKey,        ///< a key or a routing context of a lookup
  kOpen,       ///< finding and reading a manifest
  kRead,       ///< looking up, scanning
  kRow,        ///< taking in a row
  kBuild,      ///< building shards and publishing
  kObject,     ///< single objects of a store
};

class ContextError : public std::exception {
 public:
  ContextError(Error error, Doing doing) : error_(std::move(error)), doing_(doing) {}
  const Error& error() const { return error_; }
  Doing doing() const { return doing_; }
  const char* what() const noexcept override { return error_.message().c_str(); }

 private:
  Error error_;
  Doing doing_;
};

nb::object ExceptionOf(const Error& error, Doing doing);
/// Leaves the exception for `error` pending.
void SetPending(const Error& error, Doing doing);
void RegisterContextErrors();

template <typename T>
T OrThrow(Doing doing, Result<T> result) {
  if (!result.ok()) throw ContextError(std::move(result).error(), doing);
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

/// The first exception that code of the user's raised when the core called it. Outlives those calls.
class Callbacks {
 public:
  /// Calls `call` with the GIL; an exception is kept and becomes an error of the kind that _failures.kind_of says.
  template <typename Call>
  auto Run(Call call) -> Result<decltype(call())> {
    nb::gil_scoped_acquire gil;
    try {
      if constexpr (std::is_void_v<decltype(call())>) {
        call();
        return {};
      } else {
        return call();
      }
    } catch (nb::python_error& error) {
      return Caught(error);
    } catch (const std::exception& error) {
      return Error(ErrorKind::kInvalidArgument, fmt::format("code of yours answered with a value of another type ({})", error.what()));
    }
  }
  /// With the GIL: raises the exception that was kept, or one with it as its cause, where `result` is an error.
  template <typename T>
  void RaiseAfter(Doing doing, const Result<T>& result) {
    nb::object kept = std::move(kept_);
    kept_ = nb::object();
    if (!result.ok() && kept.is_valid()) Raise(doing, result.error(), kept);
  }

 private:
  Error Caught(nb::python_error& error);
  [[noreturn]] void Raise(Doing doing, const Error& error, nb::object kept);

  nb::object kept_;  // under the GIL
};

/// Calls `call` without the GIL and gives back its value. Ctrl-C ends its waits for a bucket.
template <typename Call>
auto Unlocked(Doing doing, Call call, Callbacks* callbacks = nullptr) {
  Signals signals;
  auto result = [&] {
    nb::gil_scoped_release nogil;
    const InterruptScope scope(signals.callback());
    return call();
  }();
  signals.RaiseAfter(result);
  if (callbacks != nullptr) callbacks->RaiseAfter(doing, result);
  return OrThrow(doing, std::move(result));
}

}  // namespace datashard::python
