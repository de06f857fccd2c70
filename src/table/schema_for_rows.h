// Which schema the rows of an append are written in.
#pragma once

#include <optional>

#include "datashard/arrow_c.h"
#include "datashard/result.h"
#include "datashard/schema.h"
#include "iceberg/metadata.h"

namespace datashard {

/// The table's schema, or what a schema-less table is to adopt: `staged` by the same transaction, `given`, or what fits the
/// columns of `rows`. Errors: kInvalidArgument (kSchema) where `given` differs from the table's, or there is none at all.
Result<Schema> SchemaForRows(const iceberg::TableMetadata& metadata, const std::optional<Schema>& staged,
                             const std::optional<Schema>& given, ArrowStream& rows);

}  // namespace datashard
