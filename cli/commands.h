// The commands. Each takes its arguments, writes its answer to `out` and returns; main turns errors into exit codes.
// On a terminal an answer is for a person; elsewhere, and with --json, it is JSON Lines.
#pragma once

#include "cli/arguments.h"
#include "datashard/result.h"
#include "cli/output.h"

namespace datashard::cli {

Status Run(const HelpText& help, Output& out);
Status Run(const CreateArguments& arguments, Output& out);
Status Run(const ImportArguments& arguments, Output& out);
Status Run(const AppendArguments& arguments, Output& out);
Status Run(const ScanArguments& arguments, Output& out);
Status Run(const CountArguments& arguments, Output& out);
Status Run(const InfoArguments& arguments, Output& out);
Status Run(const LogArguments& arguments, Output& out);
Status Run(const VersionArguments& arguments, Output& out);

}  // namespace datashard::cli
