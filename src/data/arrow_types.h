// Iceberg types as Arrow types and back. A uuid is fixed_size_binary(16) inside this room; its field carries the metadata
// that makes it Arrow's canonical "arrow.uuid" for whoever takes the stream.
#pragma once

#include <arrow/type_fwd.h>

#include <memory>

#include "datashard/result.h"
#include "datashard/schema.h"

namespace datashard::data {

/// Errors: kUnsupported (kSchema) for nested types and types of newer format versions.
Result<std::shared_ptr<arrow::DataType>> ArrowTypeOf(const Type& type);
/// With PARQUET:field_id, and the extension's name for a uuid. The error names the field.
Result<std::shared_ptr<arrow::Field>> ArrowFieldOf(const Field& field);
Result<std::shared_ptr<arrow::Schema>> ArrowSchemaOf(const Schema& schema);

/// Is `type` ArrowTypeOf(`wanted`)? Without making one: types are looked at on every append.
bool IsArrowTypeOf(const arrow::DataType& type, const Type& wanted);
/// Has `given` the columns of `schema`: names, order, types? What it says of nulls does not count, nor does metadata.
bool HasFieldsOf(const arrow::Schema& given, const Schema& schema);

/// The type of the values behind extension, dictionary and run-end encoding.
std::shared_ptr<arrow::DataType> ValueType(std::shared_ptr<arrow::DataType> type);
/// Is it the canonical uuid, as an extension type or by the metadata of its field?
bool IsUuidField(const arrow::Field& field);

}  // namespace datashard::data
