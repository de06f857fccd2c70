// Bridges between Arrow's way of failing (Status, and exceptions in Parquet) and ours, and the start of its kernels.
#pragma once

#include <arrow/result.h>
#include <arrow/status.h>
#include <arrow/type_fwd.h>

#include <string_view>
#include <utility>

#include "datashard/result.h"

namespace datashard::data {

/// Starts Arrow's compute kernels, once per process; every entry of this room that casts or compares calls it first.
Status StartCompute();

/// Our error inside an arrow::Status, so that it survives its way through Arrow and comes out of FromArrow unchanged.
arrow::Status ToArrow(const Error& error);

/// The error of a failed `status`: our own where one is inside; out of memory is kUnavailable, what Arrow cannot do
/// kUnsupported, a failed system call kUnavailable; everything else has `kind`.
Error FromArrow(const arrow::Status& status, ErrorKind kind);

inline Status Lift(const arrow::Status& status, ErrorKind kind) {
  if (status.ok()) return {};
  return FromArrow(status, kind);
}
template <typename T>
Result<T> Lift(arrow::Result<T> result, ErrorKind kind) {
  if (result.ok()) return std::move(result).ValueUnsafe();
  return FromArrow(result.status(), kind);
}

/// The error for the exception being handled, in the sense of FromArrow. Call it in a catch block only.
Error FromCurrentException(ErrorKind kind);

/// Calls `body`, which returns a Result; exceptions become errors of `kind`.
template <typename Body>
auto Guarded(ErrorKind kind, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (...) {
    return FromCurrentException(kind);
  }
}

}  // namespace datashard::data
