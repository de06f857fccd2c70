// Puts the options of a command together with the file's name; reading is ReadRows' work.
#include "cli/input.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <string_view>
#include <utility>

#include "cli/columns.h"
#include "cli/interrupt.h"
#include "cli/text.h"

namespace datashard::cli {
namespace {

Error Wrong(std::string message) { return Error(ErrorKind::kInvalidArgument, std::move(message)); }

Result<RowFormat> FormatOf(const std::string& path, const InputArguments& arguments) {
  if (arguments.format) return *arguments.format;
  if (path == "-") return RowFormat::kJsonLines;
  Result<RowFormat> format = RowFormatOfPath(path);
  if (format.ok()) return format;
  return Wrong(fmt::format("the ending of '{}' tells no format; give --format csv, parquet or jsonl", Printable(path)));
}

// What --type says, against what the table's columns already are.
Result<std::optional<Schema>> TypesOf(const RowsRequest& request, const InputArguments& arguments) {
  std::optional<Schema> types = request.types;
  for (const std::string& text : arguments.type_overrides) {
    DS_ASSIGN_OR_RETURN(const auto override, ParseTypeOverride(text));
    const auto& [name, type] = override;
    if (request.types) {
      DS_ASSIGN_OR_RETURN(const Field* field, FindColumn(*request.types, name));
      if (!(field->type == type))
        return Wrong(
            fmt::format("--type {}: the table has this column as {}; --type chooses the types of a new table only",
                        Printable(text), field->type.ToString()));
      continue;
    }
    if (!types) types.emplace();
    types->fields.push_back(Field{.id = static_cast<int32_t>(types->fields.size()) + 1, .name = name, .type = type});
  }
  if (types && !request.types) DS_RETURN_IF_ERROR(types->Validate());  // the same column twice
  return types;
}

}  // namespace

Result<ArrowStream> OpenRows(const RowsRequest& request, const InputArguments& arguments) {
  DS_ASSIGN_OR_RETURN(const RowFormat format, FormatOf(request.path, arguments));
  const std::string shown = request.path == "-" ? "standard input" : Printable(request.path);
  if (format != RowFormat::kCsv && (arguments.delimiter || !arguments.null_values.empty()))
    return Wrong(fmt::format("{} is not read as CSV, and only CSV has --delimiter and --null", shown));
  if (format == RowFormat::kParquet && !arguments.type_overrides.empty())
    return Wrong(fmt::format("{} is read as Parquet, which has types of its own; leave out --type", shown));
  ReadRowsOptions options;
  DS_ASSIGN_OR_RETURN(options.schema, TypesOf(request, arguments));
  const bool tabs = request.path.ends_with(".tsv") || request.path.ends_with(".tsv.gz");
  options.delimiter = arguments.delimiter.value_or(tabs ? '\t' : ',');
  options.null_values.insert(options.null_values.end(), arguments.null_values.begin(), arguments.null_values.end());
  options.on_progress = request.on_progress;
  Result<ArrowStream> rows = ReadRows(request.path, format, std::move(options));
  DS_RETURN_IF_ERROR(CheckSignals());  // an interrupted input ends early, and then it may not even parse
  if (!rows.ok() && request.path == "-" && !arguments.format)
    return Error(rows.kind(), rows.error().message() + "; without --format, standard input is read as JSON Lines",
                 rows.error().subject());
  return rows;
}

Result<Schema> SchemaOfRows(const ArrowSchema& rows, const InputArguments& arguments) {
  DS_ASSIGN_OR_RETURN(Schema schema, InferSchema(rows));
  for (const std::string& text : arguments.type_overrides) {
    DS_ASSIGN_OR_RETURN(const auto override, ParseTypeOverride(text));
    Result<const Field*> field = FindColumn(schema, override.first);
    if (!field.ok()) return std::move(field).error().In("--type");
  }
  return schema;
}

std::optional<int64_t> SizeOfFile(const std::string& path) {
  struct stat facts {};
  if (path == "-" || stat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) return std::nullopt;
  return static_cast<int64_t>(facts.st_size);
}

}  // namespace datashard::cli
