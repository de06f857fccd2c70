// Options, their help texts and their limits. CLI11 throws; nothing it throws leaves this file.
#include "cli/shardy/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>

#include "cli/text.h"

namespace datashard::cli::shardy {
namespace {

constexpr std::string_view kContextHelp = "A column the snapshot's rule reads, as in region=eu; repeatable";

// All options of all commands; the App keeps pointers into it until parsing is over.
struct Values {
  GlobalArguments global;
  GetCommand get;
  MultiGetCommand multiget;
  RouteCommand route;
  HealthCommand health;
  ExecCommand exec;
  HistoryCommand history;
  RollbackCommand rollback;
  CleanupCommand cleanup;
  std::vector<std::string> context;
  std::optional<std::string> older_than;
  bool version = false;
};

void AddGlobal(CLI::App& app, GlobalArguments& global) {
  app.add_option("--current-url", global.current_url, "Pointer of the snapshot: s3://bucket/path/_CURRENT, file:///data/path/_CURRENT")
      ->option_text("URL");
  app.add_option("--config", global.config, "reader.toml; default: SHARDY_CONFIG, ./reader.toml, ~/.config/shardy/reader.toml")
      ->option_text("PATH");
  app.add_option("--credentials", global.credentials, "credentials.toml; default: SHARDY_CREDENTIALS, then as --config")->option_text("PATH");
  app.add_option("--s3-option", global.s3_options, "endpoint_url=…, region_name=…, addressing_style=path; repeatable")
      ->option_text("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--output-format", global.output_format, "json, jsonl, table or text; default: jsonl, json at the prompt")
      ->option_text("FORMAT");
  auto* ref = app.add_option("--ref", global.ref, "Read this manifest; the pointer stays")->option_text("REF");
  app.add_option("--offset", global.offset, "Read the manifest that is N older than the newest; the pointer stays")
      ->check(CLI::NonNegativeNumber)
      ->option_text("N")
      ->excludes(ref);
  app.add_option("--sqlite-mode", global.sqlite_mode, "SQLite shards in a bucket: download, range or auto")->option_text("MODE");
  app.add_option("--sqlite-auto-per-shard-bytes", global.sqlite_auto_per_shard_bytes, "auto: range from one shard of this size on")
      ->check(CLI::NonNegativeNumber)
      ->option_text("N");
  app.add_option("--sqlite-auto-total-bytes", global.sqlite_auto_total_bytes, "auto: range from this sum of shards on")
      ->check(CLI::NonNegativeNumber)
      ->option_text("N");
}

void AddContext(CLI::App& command, Values& values) {
  command.add_option("--routing-context", values.context, std::string(kContextHelp))->option_text("NAME=VALUE")->allow_extra_args(false);
}

void AddLookups(CLI::App& app, Values& values) {
  CLI::App& get = *app.add_subcommand("get", "Look up one key");
  get.add_option("KEY", values.get.key)->required();
  get.add_flag("--strict", values.get.strict, "Exit 1 where the key is absent");
  AddContext(get, values);
  CLI::App& multiget = *app.add_subcommand("multiget", "Look up many keys");
  multiget.add_option("KEY", values.multiget.keys, "Keys; - reads them from standard input, one a line")->required();
  AddContext(multiget, values);
  app.add_subcommand("info", "Show the snapshot that is read");
  app.add_subcommand("shards", "List its shards");
  CLI::App& route = *app.add_subcommand("route", "Show which shard a key belongs to");
  route.add_option("KEY", values.route.key)->required();
  AddContext(route, values);
  CLI::App& health = *app.add_subcommand("health", "Exit 0 where healthy, 1 where degraded, 2 where unhealthy");
  health.add_option("--staleness-threshold", values.health.staleness_threshold_s, "Degraded where the manifest is older")
      ->check(CLI::NonNegativeNumber)
      ->option_text("SECONDS");
  app.add_subcommand("refresh", "Look at the pointer again; tells whether it moved");
  CLI::App& exec = *app.add_subcommand("exec", "Run the commands of a YAML file");
  exec.add_option("--script", values.exec.script, "{on_error: stop|continue, commands: [{op: get, key: 42}, …]}")->required()->option_text("FILE");
  exec.add_option("--output", values.exec.output, "Answers go to this file")->option_text("FILE");
  app.add_subcommand("schema", "Print the JSON schema of such files");
}

void AddHistory(CLI::App& app, Values& values) {
  CLI::App& history = *app.add_subcommand("history", "List manifests, the newest first");
  history.add_option("--limit", values.history.limit, "default: 10")->check(CLI::PositiveNumber)->option_text("N");
  CLI::App& rollback = *app.add_subcommand("rollback", "Make another manifest the current one");
  auto& target = *rollback.add_option_group("target");
  target.add_option("--ref", values.rollback.target.ref, "as history shows it")->option_text("REF");
  target.add_option("--run-id", values.rollback.target.run_id, "of the run that published it")->option_text("ID");
  target.add_option("--offset", values.rollback.target.offset, "N older than the newest")->check(CLI::NonNegativeNumber)->option_text("N");
  target.require_option(1);
  CLI::App& cleanup = *app.add_subcommand("cleanup", "Remove attempts that lost and, if asked, old runs");
  CleanupOptions& options = values.cleanup.options;
  cleanup.add_flag("--dry-run", options.dry_run, "Only tell what would be removed");
  cleanup.add_flag("--include-old-runs", options.include_old_runs, "Also runs without a manifest that nobody writes any more");
  cleanup.add_option("--older-than", values.older_than, "Also published runs older than 7d, 24h, 30m")->option_text("AGE");
  cleanup.add_option("--keep-last", options.keep_last, "Also published runs but the newest N")->check(CLI::PositiveNumber)->option_text("N");
  cleanup.add_option("--max-retries", options.max_retries, "default: 3")->check(CLI::Range(0, 100))->option_text("N");
}

// Names the first word that nobody takes.
Error Unexpected(const CLI::App& app, int argc, const char* const* argv) {
  const std::vector<std::string> extras = app.remaining(/*recurse=*/true);
  const auto* const found = std::find_first_of(argv + 1, argv + argc, extras.begin(), extras.end(), std::equal_to<std::string>());
  const std::string word = found == argv + argc ? "" : *found;
  const std::vector<const CLI::App*> chosen = app.get_subcommands([](const CLI::App* command) { return command->parsed(); });
  const std::string help = fmt::format("see shardy {}--help", chosen.empty() ? "" : chosen.front()->get_name() + " ");
  if (!chosen.empty() || word.starts_with('-')) return Error(ErrorKind::kInvalidArgument, fmt::format("{} is not expected here; {}", word, help));
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(command->get_name());
  const std::optional<std::string> nearest = NearestName(word, names);
  return Error(ErrorKind::kInvalidArgument, fmt::format("there is no command {}{}; {}", word, nearest ? ", did you mean " + *nearest + "?" : "", help));
}

Result<Command> CommandOf(const CLI::App& app, Values& values) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  if (chosen.empty()) return Command(ReplCommand());
  const std::string name = chosen.front()->get_name();
  DS_ASSIGN_OR_RETURN(TypedContext context, ParseContext(values.context));
  values.get.context = values.multiget.context = values.route.context = std::move(context);
  if (values.older_than) {
    DS_ASSIGN_OR_RETURN(values.cleanup.options.older_than, ParseAge(*values.older_than));
  }
  if (name == "get") return Command(values.get);
  if (name == "multiget") return Command(values.multiget);
  if (name == "route") return Command(values.route);
  if (name == "info") return Command(InfoCommand());
  if (name == "shards") return Command(ShardsCommand());
  if (name == "health") return Command(values.health);
  if (name == "refresh") return Command(RefreshCommand());
  if (name == "exec") return Command(values.exec);
  if (name == "schema") return Command(SchemaCommand());
  if (name == "history") return Command(values.history);
  if (name == "rollback") return Command(values.rollback);
  return Command(values.cleanup);
}

}  // namespace

Result<TypedContext> ParseContext(const std::vector<std::string>& pairs) {
  TypedContext context;
  for (const std::string& pair : pairs) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error(ErrorKind::kInvalidArgument, fmt::format("routing context {}: write it as NAME=VALUE", pair));
    }
    context.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
  }
  return context;
}

Result<Arguments> ParseArguments(int argc, const char* const* argv) {
  Values values;
  CLI::App app("Look into sharded snapshots. Without a command: a prompt.", "shardy");
  app.set_help_flag("-h,--help", "Print this and exit");
  app.add_flag("--version", values.version, "Print the version and exit");
  app.footer("`shardy COMMAND --help` explains a command. Errors are a JSON object on standard error, and exit code 1.");
  app.require_subcommand(0, 1);
  app.fallthrough();  // options of all commands may stand behind the command too
  AddGlobal(app, values.global);
  AddLookups(app, values);
  AddHistory(app, values);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const auto chosen = app.get_subcommands();
    return Arguments{{}, ShowText{chosen.empty() ? app.help() : chosen.front()->help("shardy")}};
  } catch (const CLI::ExtrasError&) {
    return Unexpected(app, argc, argv);
  } catch (const CLI::ParseError& error) {
    return Error(ErrorKind::kInvalidArgument, fmt::format("{}; see shardy --help", error.what()));
  }
  if (values.version) return Arguments{{}, ShowText{"shardy " DATASHARD_VERSION "\n"}};
  DS_ASSIGN_OR_RETURN(Command command, CommandOf(app, values));
  return Arguments{std::move(values.global), std::move(command)};
}

}  // namespace datashard::cli::shardy
