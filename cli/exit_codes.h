// The exit codes of the command: one per thing a script does about a failure, so one per ErrorKind.
#pragma once

#include <array>
#include <string_view>

#include "datashard/result.h"

namespace datashard::cli {

inline constexpr int kExitOk = 0;
/// 128 + the signal's number, as shells report a process that the signal ended.
inline constexpr int kExitInterrupted = 130;
inline constexpr int kExitTerminated = 143;

struct ExitCode {
  ErrorKind kind;
  int code;
  std::string_view meaning;
};

/// Every kind once, by code. `datashard --help` and docs/cli.md print this table.
inline constexpr std::array<ExitCode, 11> kExitCodes = {{
    {ErrorKind::kInternal, 1, "a bug in datashard; nothing doubtful was published"},
    {ErrorKind::kInvalidArgument, 2, "wrong usage, or input that does not fit the table"},
    {ErrorKind::kNotFound, 3, "no such table, snapshot or file"},
    {ErrorKind::kAlreadyExists, 4, "the table exists already"},
    {ErrorKind::kConflict, 5, "other writers won every attempt; nothing was published"},
    {ErrorKind::kCommitUnknown, 6, "the outcome of a commit is unknown; look before retrying"},
    {ErrorKind::kUnavailable, 7, "storage or output failed for now; retry"},
    {ErrorKind::kDenied, 8, "no permission"},
    {ErrorKind::kFenced, 9, "a newer writer owns the place"},
    {ErrorKind::kCorruption, 10, "a file of the table or the input is damaged"},
    {ErrorKind::kUnsupported, 11, "valid, but not something this version handles"},
}};

constexpr int ExitCodeOf(ErrorKind kind) {
  for (const ExitCode& entry : kExitCodes)
    if (entry.kind == kind) return entry.code;
  return 1;
}

}  // namespace datashard::cli
