// Schemas and partition specs as JSON values, for metadata and manifest headers. See metadata.h for the text forms.
#pragma once

#include "datashard/schema.h"
#include "iceberg/json_reader.h"
#include "iceberg/json_writer.h"
#include "iceberg/metadata.h"

namespace datashard::iceberg {

/// `schema_id_required`: schemas in a table's metadata have one, those of old manifest headers need not.
Result<Schema> ReadSchema(const JsonValue& value, bool schema_id_required);
void WriteSchema(JsonWriter& json, const Schema& schema);

Result<PartitionField> ReadPartitionField(const JsonValue& value);
void WritePartitionFields(JsonWriter& json, const PartitionSpec& spec);
/// The fields alone, as manifest headers carry them.
Result<std::vector<PartitionField>> DecodePartitionFields(ByteView json, std::string_view object);

}  // namespace datashard::iceberg
