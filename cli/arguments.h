// The command line as plain values, one struct per command. Only arguments.cc knows the library that parses it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "datashard/result.h"
#include "datashard/rows.h"

namespace datashard::cli {

/// How files of rows are read; the same options wherever a file is named.
struct InputArguments {
  std::optional<RowFormat> format;          ///< none: by the file's ending; standard input is JSON Lines
  std::optional<char> delimiter;            ///< none: a tab for .tsv, else a comma
  std::vector<std::string> null_values;     ///< beside the empty text
  std::vector<std::string> type_overrides;  ///< column=type
};

enum class RowStyle { kByTerminal, kTable, kJsonLines, kCsv };

struct CreateArguments {
  std::string table;
  std::optional<std::string> schema_text;
  std::optional<std::string> schema_file;
  std::optional<std::string> like;
  bool ignore_existing = false;
  std::vector<std::string> properties;  ///< key=value
  InputArguments input;
  bool json = false;
};

struct ImportArguments {
  std::string table;
  std::vector<std::string> files;
  InputArguments input;
  int64_t batch_rows = 500'000;
  bool single_snapshot = false;
  bool no_create = false;
  bool json = false;
};

struct AppendArguments {
  std::string table;
  std::optional<std::string> file;  ///< none: standard input, which must not be a terminal then
  InputArguments input;
  bool json = false;
};

struct ScanArguments {
  std::string table;
  std::vector<std::string> columns;  ///< lists of names
  std::vector<std::string> where;
  std::optional<int64_t> limit;
  std::optional<std::string> at;
  int32_t threads = 0;
  RowStyle style = RowStyle::kByTerminal;
};

struct CountArguments {
  std::string table;
  std::vector<std::string> where;
  std::optional<std::string> at;
  int32_t threads = 0;
  bool json = false;
};

struct InfoArguments {
  std::string table;
  bool json = false;
};

struct LogArguments {
  std::string table;
  std::optional<int64_t> limit;
  bool json = false;
};

struct VersionArguments {
  bool json = false;
};

/// Text that was asked for: --help of the program or of a command.
struct HelpText {
  std::string text;
};

using Arguments = std::variant<HelpText, CreateArguments, ImportArguments, AppendArguments, ScanArguments,
                               CountArguments, InfoArguments, LogArguments, VersionArguments>;

/// Reads the command line. No command at all is a question for help.
/// Errors: kInvalidArgument that names the option and the `--help` to read.
Result<Arguments> ParseArguments(int argc, const char* const* argv);

}  // namespace datashard::cli
