#include "cli/shardy/repl.h"

#include <editline/readline.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <iostream>
#include <optional>

#include "cli/interrupt.h"
#include "cli/shardy/arguments.h"
#include "cli/shardy/render.h"
#include "cli/text.h"

namespace datashard::cli::shardy {
namespace {

constexpr std::string_view kPrompt = "shardy> ";
constexpr std::string_view kHelp =
    "get KEY [NAME=VALUE]...       look up one key\n"
    "multiget KEY...               look up many keys\n"
    "route KEY [NAME=VALUE]...     which shard a key belongs to\n"
    "info, shards, health [S]      what is read\n"
    "history [N]                   manifests, the newest first\n"
    "refresh                       look at the pointer again\n"
    "use --offset N | --ref R | --latest   read another manifest, in this session only\n"
    "quit, exit, Ctrl-D            leave\n";

Error Usage(std::string_view usage) { return Error(ErrorKind::kInvalidArgument, fmt::format("usage: {}", usage)); }

// Lines with editing and a history on a terminal, plain ones elsewhere.
class Lines {
 public:
  Lines() : on_terminal_(isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1) {}
  std::optional<std::string> Next() {
    if (!on_terminal_) {
      std::string line;
      if (!std::getline(std::cin, line)) return std::nullopt;
      return line;
    }
    char* const read = readline(kPrompt.data());
    if (read == nullptr) return std::nullopt;
    std::string line(read);
    std::free(read);
    if (!line.empty()) add_history(line.c_str());
    return line;
  }
  bool on_terminal() const { return on_terminal_; }

 private:
  const bool on_terminal_;
};

template <typename T>
Result<T> Number(const std::string& text, std::string_view usage) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return Usage(usage);
  return number;
}

Result<Json> Use(Session& session, const std::vector<std::string>& words) {
  constexpr std::string_view kUsage = "use --offset N | --ref REF | --latest";
  const std::optional<std::string> before = session.config().reader.pinned_ref;
  if (words.size() == 2 && words[1] == "--latest") {
    session.Pin(std::nullopt);
  } else if (words.size() == 3 && words[1] == "--ref") {
    session.Pin(words[2]);
  } else if (words.size() == 3 && words[1] == "--offset") {
    DS_ASSIGN_OR_RETURN(const int64_t offset, Number<int64_t>(words[2], kUsage));
    DS_ASSIGN_OR_RETURN(const ManifestRef manifest, session.AtOffset(offset));
    session.Pin(manifest.ref);
  } else {
    return Usage(kUsage);
  }
  Result<Json> info = Info(session);
  if (!info.ok()) session.Pin(before);
  return info;
}

Result<Json> RunLine(Session& session, const std::vector<std::string>& words) {
  const std::string& op = words[0];
  if (op == "get" || op == "route") {
    if (words.size() < 2) return Usage(op + " KEY [NAME=VALUE]...");
    DS_ASSIGN_OR_RETURN(const TypedContext context, ParseContext({words.begin() + 2, words.end()}));
    return op == "get" ? Get(session, words[1], context) : Route(session, words[1], context);
  }
  if (op == "multiget") {
    if (words.size() < 2) return Usage("multiget KEY...");
    return MultiGet(session, {words.begin() + 1, words.end()}, {});
  }
  if (op == "use") return Use(session, words);
  if (op == "health") {
    std::optional<double> threshold;
    if (words.size() > 2) return Usage("health [SECONDS]");
    if (words.size() == 2) {
      DS_ASSIGN_OR_RETURN(threshold, Number<double>(words[1], "health [SECONDS]"));
    }
    return Health(session, threshold);
  }
  if (op == "history") {
    if (words.size() > 2) return Usage("history [N]");
    int64_t limit = 10;
    if (words.size() == 2) {
      DS_ASSIGN_OR_RETURN(limit, Number<int64_t>(words[1], "history [N]"));
      if (limit < 1) return Usage("history [N]");
    }
    return History(session, limit);
  }
  if (words.size() > 1) return Usage(op);
  if (op == "refresh") return Refresh(session);
  if (op == "info") return Info(session);
  if (op == "shards") return Shards(session);
  return Error(ErrorKind::kInvalidArgument, fmt::format("there is no command {}; `help` lists them", Printable(op)));
}

Status Greet(Session& session, Output& out) {
  DS_ASSIGN_OR_RETURN(ShardedReader* const reader, session.Reader());
  const auto manifest = reader->manifest();
  const bool is_hash = manifest->build.sharding.strategy == ShardingStrategy::kHash;
  return out.Write(fmt::format("Loaded manifest run_id={}  ({} shards, {} sharding)\n", Printable(manifest->build.run_id), manifest->build.num_dbs,
                               is_hash ? "hash" : "cel"));
}

}  // namespace

Result<std::vector<std::string>> Words(const std::string& line) {
  std::vector<std::string> words;
  std::optional<std::string> word;
  char quote = '\0';
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    const bool is_space = c == ' ' || c == '\t' || c == '\r';
    if (quote == '\0' && is_space) {
      if (word) words.push_back(std::move(*word));
      word.reset();
      continue;
    }
    if (!word) word.emplace();
    if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
      *word += line[++i];
    } else if (quote != '\0' && c == quote) {
      quote = '\0';
    } else if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    } else {
      *word += c;
    }
  }
  if (quote != '\0') return Error(ErrorKind::kInvalidArgument, fmt::format("the quote {} has no end", quote));
  if (word) words.push_back(std::move(*word));
  return words;
}

Status RunRepl(Session& session, Output& out) {
  Lines lines;
  const Format format = session.config().format == Format::kJsonLines ? Format::kJson : session.config().format;
  DS_RETURN_IF_ERROR(Greet(session, out));
  DS_RETURN_IF_ERROR(out.Flush());
  while (const std::optional<std::string> line = lines.Next()) {
    DS_RETURN_IF_ERROR(CheckSignals());
    const Result<std::vector<std::string>> words = Words(*line);
    if (words.ok() && words->empty()) continue;
    const std::string op = words.ok() ? words->front() : "";
    if (op == "quit" || op == "exit") break;
    if (op == "help") {
      DS_RETURN_IF_ERROR(out.Write(kHelp));
    } else {
      const Result<Json> answer = words.ok() ? RunLine(session, *words) : Result<Json>(words.error());
      DS_RETURN_IF_ERROR(out.Write(Render(answer.ok() ? *answer : ErrorJson(op, answer.error()), format, session.config().null_repr)));
    }
    DS_RETURN_IF_ERROR(out.Flush());
  }
  DS_RETURN_IF_ERROR(CheckSignals());  // a signal looks like the end of the input
  return lines.on_terminal() ? out.Write("\n") : Status();
}

}  // namespace datashard::cli::shardy
