// Opening a table that a command needs to be there.
#pragma once

#include <memory>
#include <string>

#include "datashard/arrow_c.h"
#include "datashard/result.h"
#include "datashard/schema.h"
#include "datashard/table.h"

namespace datashard::cli {

/// Table::Open; a missing table's error also says how to make one.
Result<std::unique_ptr<Table>> OpenTable(const std::string& path);

/// Are all columns of `rows` in `schema`? Errors: kInvalidArgument (kColumn) with the nearest name, before any row is
/// read. Types and required columns are for the append to check.
Status CheckColumns(const ArrowSchema& rows, const Schema& schema);

}  // namespace datashard::cli
