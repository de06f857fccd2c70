// What must hold between the keys of a table's metadata; asked after every decode and before every encode.
#pragma once

#include <string>

#include "iceberg/metadata.h"

namespace datashard::iceberg {

/// Empty, or a sentence with the key, what was expected and what was found.
std::string FaultOf(const TableMetadata& metadata);

}  // namespace datashard::iceberg
