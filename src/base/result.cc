#include "datashard/result.h"

#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace datashard {

std::string_view ToString(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument: return "invalid argument";
    case ErrorKind::kNotFound: return "not found";
    case ErrorKind::kAlreadyExists: return "already exists";
    case ErrorKind::kConflict: return "conflict";
    case ErrorKind::kCommitUnknown: return "commit unknown";
    case ErrorKind::kUnavailable: return "unavailable";
    case ErrorKind::kDenied: return "denied";
    case ErrorKind::kFenced: return "fenced";
    case ErrorKind::kCorruption: return "corruption";
    case ErrorKind::kUnsupported: return "unsupported";
    case ErrorKind::kInternal: return "internal error";
  }
  return "internal error";
}

std::string Error::ToString() const { return fmt::format("{}: {}", datashard::ToString(kind_), message_); }

Error FromErrno(int error_number, std::string_view what) {
  const std::string text = fmt::format("{}: {}", what, std::strerror(error_number));
  switch (error_number) {
    case EACCES:
    case EPERM:
    case EROFS: return Error(ErrorKind::kDenied, text);
    case ENOENT: return Error(ErrorKind::kNotFound, text);
    case EEXIST: return Error(ErrorKind::kAlreadyExists, text);
    default: return Error(ErrorKind::kUnavailable, text);
  }
}

void AbortOnCheck(const char* condition, const char* file, int line) {
  fmt::print(stderr, "check failed: {} ({}:{})\n", condition, file, line);
  std::abort();
}

}  // namespace datashard
