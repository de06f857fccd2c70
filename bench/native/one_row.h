// A stream of one record over the Arrow C interfaces, made without any library.
#pragma once

#include "datashard/arrow_c.h"
#include "writer.h"

namespace bench {

/// One batch of one row: the columns of bench/cases.py, in their order.
datashard::ArrowStream OneRow(const Record& record);

}  // namespace bench
