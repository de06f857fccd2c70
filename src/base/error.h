// Makers of errors, one per kind, with fmt's formatting: NotFound("no table at {}", path).
#pragma once

#include <fmt/format.h>

#include <utility>

#include "datashard/result.h"

namespace datashard {

#define DS_ERROR_MAKER(name)                                                    \
  template <typename... Args>                                                   \
  Error name(fmt::format_string<Args...> format, Args&&... args) {              \
    return Error(ErrorKind::k##name, fmt::format(format, std::forward<Args>(args)...)); \
  }
DS_ERROR_MAKER(InvalidArgument)
DS_ERROR_MAKER(NotFound)
DS_ERROR_MAKER(AlreadyExists)
DS_ERROR_MAKER(Conflict)
DS_ERROR_MAKER(CommitUnknown)
DS_ERROR_MAKER(Unavailable)
DS_ERROR_MAKER(Denied)
DS_ERROR_MAKER(Fenced)
DS_ERROR_MAKER(Corruption)
DS_ERROR_MAKER(Unsupported)
DS_ERROR_MAKER(Internal)
#undef DS_ERROR_MAKER

/// The error of a failed system call: EACCES, EPERM and EROFS are kDenied, ENOENT kNotFound, EEXIST kAlreadyExists, else
/// kUnavailable. `what` says which call on which object.
Error FromErrno(int error_number, std::string_view what);

}  // namespace datashard
