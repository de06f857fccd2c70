// The `shardy` command: parse, run, print; an error is a JSON object on standard error and exit code 1.
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>

#include "cli/exit_codes.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/shardy/arguments.h"
#include "cli/shardy/batch.h"
#include "cli/shardy/render.h"
#include "cli/shardy/repl.h"
#include "cli/text.h"
#include "datashard/interrupt.h"

namespace datashard::cli::shardy {
namespace {

constexpr int kExitFailed = 1;

void Complain(const Json& error) {
  const std::string line = JsonText(error) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

// Runs one command; the exit code of one that worked.
class Runner {
 public:
  Runner(Session& session, Output& out) : session_(session), out_(out) {}

  Result<int> operator()(const ReplCommand&) {
    DS_RETURN_IF_ERROR(RunRepl(session_, out_));
    return kExitOk;
  }
  Result<int> operator()(const ShowText& command) { return Written(out_.Write(command.text)); }
  Result<int> operator()(const GetCommand& command) {
    DS_ASSIGN_OR_RETURN(const Json answer, Get(session_, command.key, command.context));
    DS_RETURN_IF_ERROR(Print(answer));
    return command.strict && !answer["found"].get<bool>() ? kExitFailed : kExitOk;
  }
  Result<int> operator()(const MultiGetCommand& command) {
    std::vector<std::string> keys;
    for (const std::string& key : command.keys) {
      if (key != "-") keys.push_back(key);
      for (std::string line; key == "-" && std::getline(std::cin, line);) {
        DS_RETURN_IF_ERROR(CheckSignals());
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (!line.empty()) keys.push_back(line);
      }
    }
    DS_RETURN_IF_ERROR(CheckSignals());  // a signal looks like the end of the input
    return Answer(MultiGet(session_, keys, command.context));
  }
  Result<int> operator()(const RouteCommand& command) { return Answer(Route(session_, command.key, command.context)); }
  Result<int> operator()(const InfoCommand&) { return Answer(Info(session_)); }
  Result<int> operator()(const ShardsCommand&) { return Answer(Shards(session_)); }
  Result<int> operator()(const RefreshCommand&) { return Answer(Refresh(session_)); }
  Result<int> operator()(const SchemaCommand&) { return Written(out_.Write(ScriptSchema().dump(2) + "\n")); }
  Result<int> operator()(const HealthCommand& command) {
    DS_ASSIGN_OR_RETURN(const Json answer, Health(session_, command.staleness_threshold_s));
    DS_RETURN_IF_ERROR(Print(answer));
    return answer["status"] == "healthy" ? 0 : answer["status"] == "degraded" ? 1 : 2;
  }
  Result<int> operator()(const ExecCommand& command);
  Result<int> operator()(const HistoryCommand& command) { return Answer(History(session_, command.limit)); }
  Result<int> operator()(const RollbackCommand& command) { return Answer(Rollback(session_, command.target)); }
  Result<int> operator()(const CleanupCommand& command) { return Answer(Cleanup(session_, command.options)); }

 private:
  Result<int> Written(const Status& status) {
    DS_RETURN_IF_ERROR(status);
    return kExitOk;
  }
  Status Print(const Json& answer) { return out_.Write(Render(answer, session_.config().format, session_.config().null_repr)); }
  Result<int> Answer(const Result<Json>& answer) {
    DS_RETURN_IF_ERROR(answer);
    return Written(Print(*answer));
  }

  Session& session_;
  Output& out_;
};

Result<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) {
    return Error(ErrorKind::kNotFound, fmt::format("the script {} cannot be read or is empty", path));
  }
  return text.str();
}

Result<int> Runner::operator()(const ExecCommand& command) {
  DS_ASSIGN_OR_RETURN(const std::string yaml, ReadWhole(command.script));
  Result<Batch> batch = ParseBatch(yaml);
  if (!batch.ok()) return std::move(batch).error().In(command.script);
  const Format format = session_.config().format == Format::kJson ? Format::kJsonLines : session_.config().format;
  std::ofstream file;
  if (command.output) {
    file.open(*command.output, std::ios::trunc);
    if (!file) return Error(ErrorKind::kDenied, fmt::format("the output file {} cannot be written", *command.output));
  }
  int exit_code = kExitOk;
  for (const BatchItem& item : batch->items) {
    DS_RETURN_IF_ERROR(CheckSignals());
    const Result<Json> answer = RunItem(session_, item);
    if (!answer.ok()) exit_code = kExitFailed;
    const std::optional<std::string> key = item.keys.size() == 1 ? std::optional(item.keys.front()) : std::nullopt;
    const std::string line = Render(answer.ok() ? *answer : ErrorJson(item.op, answer.error(), key), format, session_.config().null_repr);
    if (command.output) {
      file << line;
    } else {
      DS_RETURN_IF_ERROR(out_.Write(line));
    }
    if (!answer.ok() && batch->stop_on_error) break;
  }
  if (command.output && !file.flush()) return Error(ErrorKind::kUnavailable, fmt::format("writing {} failed", *command.output));
  return exit_code;
}

std::string OpOf(const Command& command) {
  static constexpr const char* kNames[] = {"repl",    "help",   "get",  "multiget", "route",    "info",   "shards",
                                           "refresh", "schema", "health", "exec",     "history", "rollback", "cleanup"};
  static_assert(std::size(kNames) == std::variant_size_v<Command>);
  return kNames[command.index()];
}

Result<int> RunCommand(const Arguments& arguments, Output& out) {
  Config config;
  const bool needs_snapshot = !std::holds_alternative<ShowText>(arguments.command) && !std::holds_alternative<SchemaCommand>(arguments.command);
  if (needs_snapshot) {
    DS_ASSIGN_OR_RETURN(config, LoadConfig(arguments.global));
    for (const std::string& warning : config.warnings) std::fputs(fmt::format("warning: {}\n", Printable(warning)).c_str(), stderr);
  }
  Session session(std::move(config));
  if (arguments.global.ref) session.Pin(arguments.global.ref);
  if (arguments.global.offset) {
    DS_ASSIGN_OR_RETURN(const ManifestRef manifest, session.AtOffset(*arguments.global.offset));
    session.Pin(manifest.ref);
  }
  return std::visit(Runner(session, out), arguments.command);
}

int Main(int argc, const char* const* argv) {
  WatchSignals();
  Output out(STDOUT_FILENO);
  const InterruptScope scope(CheckSignals);
  const Result<Arguments> arguments = ParseArguments(argc, argv);
  if (!arguments.ok()) {
    Complain(ErrorJson("arguments", arguments.error()));
    return kExitFailed;
  }
  Result<int> code = RunCommand(*arguments, out);
  if (const Status flushed = out.Flush(); code.ok() && !flushed.ok()) code = flushed.error();
  if (code.ok() || out.reader_gone()) return code.ok() ? *code : kExitOk;
  Complain(ErrorJson(OpOf(arguments->command), code.error()));
  if (PendingSignal() != 0) return PendingSignal() == SIGTERM ? kExitTerminated : kExitInterrupted;
  return std::holds_alternative<HealthCommand>(arguments->command) ? 2 : kExitFailed;
}

}  // namespace
}  // namespace datashard::cli::shardy

int main(int argc, char** argv) {
  try {
    return datashard::cli::shardy::Main(argc, argv);
  } catch (const std::exception& exception) {
    using namespace datashard::cli::shardy;
    Complain({{"op", "internal"}, {"error", fmt::format("unexpected failure: {}; please report it", exception.what())}});
    return kExitFailed;
  }
}
