// gMock matchers for Result: EXPECT_THAT(result, IsOk()), HasKind(ErrorKind::kConflict), HasMessage("base 7").
#pragma once

#include <gmock/gmock.h>

#include <ostream>

#include "datashard/result.h"

namespace datashard {

inline void PrintTo(ErrorKind kind, std::ostream* out) { *out << ToString(kind); }
template <typename T>
void PrintTo(const Result<T>& result, std::ostream* out) {
  *out << (result.ok() ? std::string("ok") : result.error().ToString());
}

MATCHER(IsOk, "is ok") {
  if (!arg.ok()) *result_listener << arg.error().ToString();
  return arg.ok();
}
MATCHER_P(HasKind, kind, "has kind " + std::string(ToString(kind))) {
  if (!arg.ok()) *result_listener << arg.error().ToString();
  return !arg.ok() && arg.error().kind() == kind;
}
MATCHER_P(HasSubject, subject, "is about the subject") { return !arg.ok() && arg.error().subject() == subject; }
MATCHER_P(HasMessage, part, "says \"" + std::string(part) + "\"") {
  if (!arg.ok()) *result_listener << arg.error().ToString();
  return !arg.ok() && arg.error().message().find(part) != std::string::npos;
}

}  // namespace datashard

/// Asserts that `expr` is ok and binds its value.
#define ASSERT_OK_AND_ASSIGN(lhs, expr) ASSERT_OK_AND_ASSIGN_IMPL(DS_CONCAT(ds_test_, __LINE__), lhs, expr)
#define ASSERT_OK_AND_ASSIGN_IMPL(result, lhs, expr) \
  auto result = (expr);                              \
  ASSERT_THAT(result, ::datashard::IsOk());          \
  lhs = std::move(result).value()
