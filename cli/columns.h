// Column names and types as they are typed on the command line.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "datashard/result.h"
#include "datashard/schema.h"

namespace datashard::cli {

/// The field of `schema` called `name`; the pointer lives as long as `schema`.
/// Errors: kInvalidArgument (kColumn) with the nearest name, or with the columns there are.
Result<const Field*> FindColumn(const Schema& schema, std::string_view name);

/// "a,b" or "\"x,y\",z" as names; a doubled quote inside quotes is one. Errors: kInvalidArgument.
Result<std::vector<std::string>> ParseNames(std::string_view text);

/// The schema of "id:long!,name:string,amount:decimal(10,2)": ids 1, 2, … in order; `!` marks a required column.
/// Names with commas or colons stand in double quotes. Errors: kInvalidArgument (kSchema).
Result<Schema> ParseSchemaText(std::string_view text);

/// "time_hour=timestamptz" as name and type. Errors: kInvalidArgument.
Result<std::pair<std::string, Type>> ParseTypeOverride(std::string_view text);

/// The schema in a JSON file: Iceberg's own form, or {"fields": […]}. Ids may be missing everywhere, then they are
/// given out in order. Nested types as in the Iceberg spec, "Appendix C". At most 1 MiB and 32 levels deep. Errors:
/// kInvalidArgument (kSchema) with the path of the field, kNotFound, kDenied.
Result<Schema> ReadSchemaFile(const std::string& path);
/// The same from text; `origin` names it in errors.
Result<Schema> ParseSchemaJson(std::string_view json, std::string_view origin);

}  // namespace datashard::cli
