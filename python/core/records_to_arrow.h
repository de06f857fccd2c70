// Lists of dicts as Arrow batches, and the schema that fits such a list.
#pragma once

#include <nanobind/nanobind.h>

#include "datashard/arrow_c.h"
#include "datashard/schema.h"

namespace datashard::python {

/// The values of `records` (a list or tuple of dicts or other mappings) as columns of `schema`, by name: keys in any
/// order, missing optional ones null. All is converted here, so a record that does not fit stops the call before anything
/// is written; the stream itself cannot fail and does not need the GIL. Batches hold at most 65,536 rows and about 256
/// MiB of one column.
/// Throws CoreError kInvalidArgument, naming record and field: kSchema for an unknown or a missing required field, kValue
/// for a value that does not fit.
ArrowStream StreamOfRecords(nanobind::handle records, const Schema& schema);

/// The schema of `records` where there is none: columns in the order of first appearance, all optional, field ids from 1.
/// Integers and floats in one column make a double; Decimals get 38 digits, so that later ones fit too.
/// Throws CoreError kInvalidArgument (kSchema) for a column without any value, and for classes that do not go together.
Schema SchemaOfRecords(nanobind::handle records);

}  // namespace datashard::python
