// What the library's errors cannot know: which command helps.
#include "cli/open_table.h"

#include <fmt/format.h>

#include "cli/columns.h"

namespace datashard::cli {

Result<std::unique_ptr<Table>> OpenTable(const std::string& path) {
  Result<std::unique_ptr<Table>> table = Table::Open(path);
  if (table.ok() || table.kind() != ErrorKind::kNotFound || table.error().subject() != ErrorSubject::kTable)
    return table;
  return Error(ErrorKind::kNotFound,
               fmt::format("{}; `datashard create` or `datashard import` makes a table", table.error().message()),
               ErrorSubject::kTable);
}

Status CheckColumns(const ArrowSchema& rows, const Schema& schema) {
  for (int64_t i = 0; i < rows.n_children; ++i) {
    const char* name = rows.children[i]->name;
    const Result<const Field*> field = FindColumn(schema, name == nullptr ? "" : name);
    if (!field.ok()) return Error(field.error()).In("the table does not have every column of the rows");
  }
  return {};
}

}  // namespace datashard::cli
