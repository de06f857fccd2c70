// `datashard create`: a table from a written schema, a schema file or the columns of a file.
#include <fmt/format.h>

#include "cli/columns.h"
#include "cli/commands.h"
#include "datashard/table.h"
#include "cli/input.h"
#include "cli/text.h"

namespace datashard::cli {
namespace {

Result<std::optional<Schema>> SchemaOf(const CreateArguments& arguments) {
  const InputArguments& input = arguments.input;
  if (!arguments.like &&
      (input.format || input.delimiter || !input.null_values.empty() || !input.type_overrides.empty()))
    return Error(ErrorKind::kInvalidArgument,
                 "--format, --delimiter, --null and --type say how to read the file of --like; give one");
  if (arguments.schema_text) {
    DS_ASSIGN_OR_RETURN(Schema schema, ParseSchemaText(*arguments.schema_text));
    return std::optional(std::move(schema));
  }
  if (arguments.schema_file) {
    DS_ASSIGN_OR_RETURN(Schema schema, ReadSchemaFile(*arguments.schema_file));
    return std::optional(std::move(schema));
  }
  if (!arguments.like) return std::optional<Schema>();
  DS_ASSIGN_OR_RETURN(ArrowStream rows, OpenRows({.path = *arguments.like}, input));
  ArrowSchemaHandle columns;
  const int code = rows->get_schema(rows.get(), columns.get());
  if (code != 0) {
    columns.get()->release = nullptr;  // the interface leaves it undefined after a failure
    return data::StreamError(*rows.get(), code);
  }
  DS_ASSIGN_OR_RETURN(Schema schema, SchemaOfRows(*columns.get(), input));
  return std::optional(std::move(schema));
}

Result<Properties> PropertiesOf(const CreateArguments& arguments) {
  Properties properties;
  for (const std::string& text : arguments.properties) {
    const size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos)
      return Error(ErrorKind::kInvalidArgument, fmt::format("--property '{}' is not key=value", Printable(text)));
    properties[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return properties;
}

}  // namespace

Status Run(const CreateArguments& arguments, Output& out) {
  CreateOptions options;
  DS_ASSIGN_OR_RETURN(options.schema, SchemaOf(arguments));
  DS_ASSIGN_OR_RETURN(options.properties, PropertiesOf(arguments));
  options.open_existing = arguments.ignore_existing;
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<Table> table, Table::Create(arguments.table, std::move(options)));
  DS_ASSIGN_OR_RETURN(const std::string uuid, table->uuid());
  if (arguments.json || !out.terminal().is_terminal) {
    return out.Write(JsonObject()
                         .Text("table", table->path())
                         .Flag("created", table->created())
                         .Text("location", table->location())
                         .Text("uuid", uuid)
                         .Done() +
                     "\n");
  }
  DS_ASSIGN_OR_RETURN(const std::optional<Schema> schema, table->schema());
  const std::string columns = schema ? fmt::format("{} columns", schema->fields.size()) : "no schema yet";
  return out.Write(fmt::format("{} {} ({})\n", Printable(table->path()),
                               table->created() ? "created" : "was there already", columns));
}

}  // namespace datashard::cli
