// The `datashard` command: parse, run, print, and turn an error into one line and an exit code.
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/exit_codes.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "datashard/interrupt.h"

namespace datashard::cli {
namespace {

Status RunCommand(int argc, const char* const* argv, Output& out) {
  DS_ASSIGN_OR_RETURN(const Arguments arguments, ParseArguments(argc, argv));
  DS_RETURN_IF_ERROR(std::visit([&](const auto& command) { return Run(command, out); }, arguments));
  return out.Flush();
}

int Fail(const Error& error) {
  const Terminal terminal = Terminal::Of(STDERR_FILENO);
  const std::string line = fmt::format("{} {}\n", terminal.Red("datashard:"), Printable(error.message()));
  std::fwrite(line.data(), 1, line.size(), stderr);
  // A signal ends waiting and reading with kUnavailable; any other kind says more than the signal does.
  if (PendingSignal() != 0 && error.kind() == ErrorKind::kUnavailable)
    return PendingSignal() == SIGTERM ? kExitTerminated : kExitInterrupted;
  return ExitCodeOf(error.kind());
}

int Main(int argc, const char* const* argv) {
  WatchSignals();
  Output out(STDOUT_FILENO);
  const InterruptScope scope(CheckSignals);
  const Status status = RunCommand(argc, argv, out);
  if (status.ok()) return kExitOk;
  // `datashard scan t | head` has all it wanted: neither a failure nor worth a word.
  if (out.reader_gone()) return kExitOk;
  // Rows that were printed before an error are no secret; the error line and the exit code tell that some are missing.
  if (const Status flushed = out.Flush(); !flushed.ok() && !out.reader_gone()) return Fail(flushed.error());
  return Fail(status.error());
}

}  // namespace
}  // namespace datashard::cli

int main(int argc, char** argv) {
  try {
    return datashard::cli::Main(argc, argv);
  } catch (const std::exception& exception) {
    return datashard::cli::Fail(datashard::Error(
        datashard::ErrorKind::kInternal, fmt::format("unexpected failure: {}; please report it", exception.what())));
  }
}
