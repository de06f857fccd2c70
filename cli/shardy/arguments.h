// The command line of `shardy` as plain values. Only arguments.cc knows the library that parses it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/shardy/operations.h"

namespace datashard::cli::shardy {

struct ReplCommand {};
struct ShowText {
  std::string text;  ///< --help, --version
};
struct GetCommand {
  std::string key;
  TypedContext context;
  bool strict = false;
};
struct MultiGetCommand {
  std::vector<std::string> keys;  ///< "-": lines of standard input
  TypedContext context;
};
struct RouteCommand {
  std::string key;
  TypedContext context;
};
struct InfoCommand {};
struct ShardsCommand {};
struct RefreshCommand {};
struct SchemaCommand {};
struct HealthCommand {
  std::optional<double> staleness_threshold_s;
};
struct ExecCommand {
  std::string script;
  std::optional<std::string> output;
};
struct HistoryCommand {
  int64_t limit = 10;
};
struct RollbackCommand {
  RollbackTarget target;
};
struct CleanupCommand {
  CleanupOptions options;
};

using Command = std::variant<ReplCommand, ShowText, GetCommand, MultiGetCommand, RouteCommand, InfoCommand, ShardsCommand, RefreshCommand,
                             SchemaCommand, HealthCommand, ExecCommand, HistoryCommand, RollbackCommand, CleanupCommand>;

struct Arguments {
  GlobalArguments global;
  Command command;
};

/// Errors: kInvalidArgument that names the option and the `--help` to read.
Result<Arguments> ParseArguments(int argc, const char* const* argv);
/// name=value. Errors: kInvalidArgument.
Result<TypedContext> ParseContext(const std::vector<std::string>& pairs);

}  // namespace datashard::cli::shardy
