// A stream of one record over the Arrow C interfaces, made without any library.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "datashard/arrow_c.h"
#include "writer.h"

namespace bench {

/// A column and its value; of a null one the alternative says the type.
struct Cell {
  const char* name;
  std::variant<int64_t, double, std::string> value;
  bool nullable = false;
  bool is_null = false;
};

/// One batch of one row.
datashard::ArrowStream OneRow(std::vector<Cell> cells);
/// The columns of bench/cases.py, in their order.
datashard::ArrowStream OneRow(const Record& record);

}  // namespace bench
