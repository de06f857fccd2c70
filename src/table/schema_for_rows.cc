#include "table/schema_for_rows.h"

#include <algorithm>

#include "base/error.h"
#include "commit/append_files.h"
#include "data/data_file.h"
#include "datashard/rows.h"

namespace datashard {
namespace {

/// Same names, types and nullability, in whatever order.
bool SameColumns(const Schema& table, const Schema& given) {
  return table.fields.size() == given.fields.size() &&
         std::all_of(given.fields.begin(), given.fields.end(), [&](const Field& field) {
           const Field* own = table.Find(field.name);
           return own != nullptr && own->type == field.type && own->required == field.required;
         });
}

std::string ColumnsOf(const Schema& schema) {
  std::string text;
  for (const Field& field : schema.fields) {
    text += fmt::format("{}{} {}{}", text.empty() ? "" : ", ", field.name, field.type.ToString(),
                        field.required ? " required" : "");
  }
  return text;
}

}  // namespace

Result<Schema> SchemaForRows(const iceberg::TableMetadata& metadata, const std::optional<Schema>& staged,
                             const std::optional<Schema>& given, ArrowStream& rows) {
  if (given) DS_RETURN_IF_ERROR(given->Validate());
  const bool schemaless = commit::IsSchemaless(metadata);
  if (!schemaless || staged) {
    const Schema& own = staged ? *staged : metadata.current_schema();
    if (given && !SameColumns(own, *given)) {
      return InvalidArgument("the schema given differs from the table's. Table: {}. Given: {}. Nothing was appended",
                             ColumnsOf(own), ColumnsOf(*given))
          .About(ErrorSubject::kSchema);
    }
    return own;
  }
  if (given) return *given;
  ArrowSchemaHandle columns;
  const int code = rows->get_schema(rows.get(), columns.get());
  if (code != 0) return data::StreamError(*rows.get(), code);
  DS_ASSIGN_OR_RETURN(Schema inferred, InferSchema(*columns.get()));
  if (inferred.fields.empty()) {
    return InvalidArgument("{} has no schema yet and the rows have no columns to take one from", metadata.location)
        .About(ErrorSubject::kSchema);
  }
  DS_RETURN_IF_ERROR(inferred.Validate());
  return inferred;
}

}  // namespace datashard
