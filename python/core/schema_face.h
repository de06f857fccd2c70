// Schemas, filters and records of metadata between Python's shapes and the core's.
#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <vector>

#include "datashard/filter.h"
#include "datashard/manifest.h"
#include "datashard/schema.h"
#include "datashard/snapshot.h"

namespace datashard::python {

/// The Schema behind `schema_id` and a list of dicts with id, name, type and, optionally, required and doc. Validated.
/// Throws CoreError kInvalidArgument (kSchema) that shows the field it is about.
Schema SchemaFromPython(int64_t schema_id, nanobind::handle fields);
/// (schema_id, [field dict, …])
nanobind::tuple SchemaToPython(const Schema& schema);

/// `filter` is a sequence of (column, operator, value): value is a collection for in and not_in, a pair for between, and
/// not looked at for is_null and is_not_null. Throws CoreError kInvalidArgument (kOperand for the value).
Filter FilterFromPython(nanobind::handle filter);

nanobind::dict SnapshotToPython(const Snapshot& snapshot);
nanobind::dict ManifestFileToPython(const ManifestFile& manifest);
/// Bounds are single-value binary, as in the manifest.
nanobind::dict ManifestEntryToPython(const ManifestEntry& entry);

}  // namespace datashard::python
