// Options, their help texts and their limits. CLI11 throws; nothing it throws leaves this file.
#include "cli/arguments.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>

#include "cli/exit_codes.h"
#include "cli/text.h"

namespace datashard::cli {
namespace {

constexpr std::string_view kTableHelp = "Directory of the table, or s3://bucket/path";
constexpr std::string_view kAtHelp =
    "Read the table as of a snapshot id, epoch milliseconds or an ISO 8601 time (UTC where no zone is given)";
constexpr std::string_view kWhereHelp =
    "Keep rows that match, as in 'dep_delay >= 120 and origin in (EWR, JFK)'; repeated options must all match";
constexpr std::string_view kJsonHelp = "Answer in JSON Lines on a terminal too";

// All options of all commands; the App keeps pointers into it until parsing is over.
struct Values {
  CreateArguments create;
  ImportArguments import;
  AppendArguments append;
  ScanArguments scan;
  CountArguments count;
  InfoArguments info;
  LogArguments log;
  VersionArguments version;
  // Options whose text needs another look after parsing.
  std::string format;
  std::optional<std::string> delimiter;
  std::string if_exists = "error";
  std::string style;
  bool json_rows = false;
  bool version_flag = false;
};

std::string Footer() {
  std::string text = fmt::format("Exit codes:\n  {:3}  success", kExitOk);
  for (const ExitCode& entry : kExitCodes) text += fmt::format("\n  {:3}  {}", entry.code, entry.meaning);
  text += fmt::format("\n  {}  interrupted (Ctrl-C)\n  {}  terminated", kExitInterrupted, kExitTerminated);
  return text +
         "\n\nTables in a bucket: s3://bucket/path, or any path with DATASHARD_STORAGE_TYPE=s3 and DATASHARD_S3_BUCKET; the "
         "keys in\nDATASHARD_S3_ACCESS_KEY and DATASHARD_S3_SECRET_KEY, or where AWS's tools look; another server than AWS's in\n"
         "DATASHARD_S3_ENDPOINT.\n\n`datashard COMMAND --help` explains a command.";
}

void AddTable(CLI::App& command, std::string& table) {
  command.add_option("TABLE", table, std::string(kTableHelp))->required();
}

void AddInput(CLI::App& command, InputArguments& input, Values& values) {
  command
      .add_option(
          "--format", values.format,
          "Format of the input: csv, parquet or jsonl; default: by the file's ending, and jsonl for standard input")
      ->check(CLI::IsMember({"csv", "parquet", "jsonl"}))
      ->option_text("FORMAT");
  command.add_option("--delimiter", values.delimiter, "CSV: the character between two cells; 'tab' or '\\t' for a tab")
      ->option_text("CHAR");
  command.add_option("--null", input.null_values, "CSV: a spelling of null, beside the empty cell; repeatable")
      ->option_text("TEXT")
      ->allow_extra_args(false);
  command
      .add_option("--type", input.type_overrides,
                  "CSV, JSON Lines: the type of a column of a new table, as in time_hour=timestamptz; repeatable")
      ->option_text("COLUMN=TYPE")
      ->allow_extra_args(false);
}

void AddWhereAt(CLI::App& command, std::vector<std::string>& where, std::optional<std::string>& at, int32_t& threads) {
  command.add_option("--where", where, std::string(kWhereHelp))->option_text("PREDICATE")->allow_extra_args(false);
  command.add_option("--at", at, std::string(kAtHelp))->option_text("SNAPSHOT|TIMESTAMP");
  command.add_option("--threads", threads, "Threads that decode; default: one per core")
      ->check(CLI::Range(1, 1024))
      ->option_text("N");
}

void AddJson(CLI::App& command, bool& json) { command.add_flag("--json", json, std::string(kJsonHelp)); }

void AddWriters(CLI::App& app, Values& values) {
  CLI::App& create = *app.add_subcommand("create", "Create a table");
  AddTable(create, values.create.table);
  auto* schema = create
                     .add_option("--schema", values.create.schema_text,
                                 "Columns as name:type, '!' for required: 'id:long!,name:string,amount:decimal(10,2)'")
                     ->option_text("COLUMNS");
  auto* file = create
                   .add_option("--schema-file", values.create.schema_file,
                               "JSON file with an Iceberg schema or {\"fields\": [...]}")
                   ->option_text("FILE")
                   ->excludes(schema);
  create
      .add_option("--like", values.create.like,
                  "Take the columns of a CSV, Parquet or JSON Lines file; its rows are not read in")
      ->option_text("FILE")
      ->excludes(schema)
      ->excludes(file);
  create
      .add_option("--if-exists", values.if_exists,
                  "If the table is there: error, or ignore (its schema must be the same)")
      ->check(CLI::IsMember({"error", "ignore"}))
      ->option_text("error|ignore");
  create.add_option("--property", values.create.properties, "A property of the table; repeatable")
      ->option_text("KEY=VALUE")
      ->allow_extra_args(false);
  AddInput(create, values.create.input, values);
  AddJson(create, values.create.json);
  create.footer(
      "Without a schema the table takes that of its first append.\nExample: datashard create sales --schema "
      "'id:long!,at:timestamptz,amount:decimal(10,2)'");

  CLI::App& import = *app.add_subcommand("import", "Load files into a table, in batches");
  AddTable(import, values.import.table);
  import.add_option("FILE", values.import.files, "CSV, Parquet or JSON Lines files; - is standard input")->required();
  import.add_option("--batch-rows", values.import.batch_rows, "Rows of one snapshot; default: 500000")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->option_text("N");
  import.add_flag("--single-snapshot", values.import.single_snapshot,
                  "All rows of all files in one snapshot: everything or nothing");
  import.add_flag("--no-create", values.import.no_create,
                  "Fail if the table is missing instead of creating it with the columns of the first file");
  AddInput(import, values.import.input, values);
  AddJson(import, values.import.json);
  import.footer("Example: datashard import flights flights.csv.gz --null NA --type time_hour=timestamptz");

  CLI::App& append = *app.add_subcommand("append", "Append one file to a table, in one snapshot");
  AddTable(append, values.append.table);
  append.add_option("FILE", values.append.file,
                    "CSV, Parquet or JSON Lines file; without it, or with -, standard input");
  AddInput(append, values.append.input, values);
  AddJson(append, values.append.json);
  append.footer("Example: echo '{\"id\": 1, \"amount\": \"9.50\"}' | datashard append sales");
}

void AddReaders(CLI::App& app, Values& values) {
  CLI::App& scan = *app.add_subcommand("scan", "Print rows");
  AddTable(scan, values.scan.table);
  scan.add_option("--columns", values.scan.columns, "Columns in the order wanted: a,b; default: all")
      ->option_text("NAMES")
      ->allow_extra_args(false);
  AddWhereAt(scan, values.scan.where, values.scan.at, values.scan.threads);
  scan.add_option("--limit", values.scan.limit, "Stop after N rows")->check(CLI::NonNegativeNumber)->option_text("N");
  auto* style =
      scan.add_option("--format", values.style, "table, jsonl or csv; default: table on a terminal, else jsonl")
          ->check(CLI::IsMember({"table", "jsonl", "csv"}))
          ->option_text("FORMAT");
  scan.add_flag("--json", values.json_rows, "The same as --format jsonl")->excludes(style);
  scan.footer(
      "Example: datashard scan flights --columns carrier,flight,dep_delay --where 'dep_delay >= 120' --limit 10");

  CLI::App& count = *app.add_subcommand("count", "Count rows");
  AddTable(count, values.count.table);
  AddWhereAt(count, values.count.where, values.count.at, values.count.threads);
  AddJson(count, values.count.json);
  count.footer("Prints one number. Example: datashard count flights --where 'dest = HNL'");

  CLI::App& info = *app.add_subcommand("info", "Show location, schema, size and properties");
  AddTable(info, values.info.table);
  AddJson(info, values.info.json);
  info.footer("Example: datashard info flights --json");

  CLI::App& log = *app.add_subcommand("log", "List snapshots, newest first");
  AddTable(log, values.log.table);
  log.add_option("--limit", values.log.limit, "Stop after N snapshots")
      ->check(CLI::NonNegativeNumber)
      ->option_text("N");
  AddJson(log, values.log.json);
  log.footer("Example: datashard log flights --limit 5");

  CLI::App& version = *app.add_subcommand("version", "Show the version of this program");
  AddJson(version, values.version.json);
  version.footer("Example: datashard version");
}

Status FinishInput(InputArguments& input, const Values& values) {
  if (values.format == "csv") input.format = RowFormat::kCsv;
  if (values.format == "parquet") input.format = RowFormat::kParquet;
  if (values.format == "jsonl") input.format = RowFormat::kJsonLines;
  if (!values.delimiter) return {};
  const std::string delimiter = values.delimiter == "tab" || values.delimiter == "\\t" ? "\t" : *values.delimiter;
  if (delimiter.size() != 1 || static_cast<uint8_t>(delimiter[0]) >= 0x80 || delimiter == "\n" || delimiter == "\r" ||
      delimiter == "\"")
    return Error(ErrorKind::kInvalidArgument,
                 fmt::format("--delimiter '{}': expected one ASCII character that is no quote or line end, or 'tab'",
                             Printable(delimiter)));
  input.delimiter = delimiter[0];
  return {};
}

Result<Arguments> Chosen(const CLI::App& app, Values& values) {
  DS_RETURN_IF_ERROR(FinishInput(values.create.input, values));
  DS_RETURN_IF_ERROR(FinishInput(values.import.input, values));
  DS_RETURN_IF_ERROR(FinishInput(values.append.input, values));
  values.create.ignore_existing = values.if_exists == "ignore";
  if (values.style == "table") values.scan.style = RowStyle::kTable;
  if (values.style == "jsonl" || values.json_rows) values.scan.style = RowStyle::kJsonLines;
  if (values.style == "csv") values.scan.style = RowStyle::kCsv;

  if (app.got_subcommand("create")) return Arguments(std::move(values.create));
  if (app.got_subcommand("import")) return Arguments(std::move(values.import));
  if (app.got_subcommand("append")) return Arguments(std::move(values.append));
  if (app.got_subcommand("scan")) return Arguments(std::move(values.scan));
  if (app.got_subcommand("count")) return Arguments(std::move(values.count));
  if (app.got_subcommand("info")) return Arguments(std::move(values.info));
  if (app.got_subcommand("log")) return Arguments(std::move(values.log));
  if (app.got_subcommand("version") || values.version_flag) return Arguments(std::move(values.version));
  return Arguments(HelpText{app.help()});
}

// "`datashard scan --help`" for errors after a command, "`datashard --help`" for errors before one.
std::string HelpCommand(const CLI::App& app) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  return fmt::format("`datashard {}--help`", chosen.empty() ? "" : chosen.front()->get_name() + " ");
}

Error UsageError(const CLI::App& app, std::string_view problem) {
  return Error(ErrorKind::kInvalidArgument, fmt::format("{}; see {}", Printable(problem), HelpCommand(app)));
}

// An argument that nothing takes: a mistyped command or option gets the name that was probably meant.
Error UnknownArgument(const CLI::App& app, const CLI::ExtrasError& error) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
  if (unknown.empty()) return UsageError(app, error.what());
  const auto option =
      std::find_if(unknown.begin(), unknown.end(), [](const std::string& text) { return text.starts_with("-"); });
  const std::string& name = option == unknown.end() ? unknown.front() : *option;
  std::vector<std::string> known;
  std::string problem;
  if (option != unknown.end()) {
    for (const CLI::Option* have : (chosen.empty() ? app : *chosen.front()).get_options())
      for (const std::string& long_name : have->get_lnames()) known.push_back("--" + long_name);
    problem = fmt::format("there is no option {}", name);
  } else if (chosen.empty()) {
    for (const CLI::App* command : app.get_subcommands(nullptr)) known.push_back(command->get_name());
    problem = fmt::format("there is no command {}", name);
  } else {
    problem = fmt::format("{} takes no further argument, but there is '{}'; put texts with spaces in quotes",
                          chosen.front()->get_name(), name);
  }
  if (const std::optional<std::string> nearest = NearestName(name, known))
    problem += fmt::format("; {} is the nearest", *nearest);
  return UsageError(app, problem);
}

}  // namespace

Result<Arguments> ParseArguments(int argc, const char* const* argv) {
  Values values;
  CLI::App app("ACID Apache Iceberg tables on a plain directory or in an S3 bucket.", "datashard");
  app.get_formatter()->column_width(34);
  app.get_formatter()->label("REQUIRED", "(required)");
  app.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app.get_formatter()->label("TEXT", "");
  app.add_flag("--version", values.version_flag, "Show the version of this program");
  AddWriters(app, values);
  AddReaders(app, values);
  for (CLI::App* command : app.get_subcommands(nullptr)) command->group("Commands");
  app.footer(Footer());
  try {
    app.parse(argc, argv);
    return Chosen(app, values);
  } catch (const CLI::CallForHelp&) {
    const std::vector<CLI::App*> chosen = app.get_subcommands();
    return Arguments(HelpText{chosen.empty() ? app.help() : chosen.front()->help("datashard")});
  } catch (const CLI::ExtrasError& error) {
    return UnknownArgument(app, error);
  } catch (const CLI::ParseError& error) {
    return UsageError(app, error.what());
  }
}

}  // namespace datashard::cli
