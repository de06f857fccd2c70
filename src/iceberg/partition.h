// What partition values are: their Iceberg type by transform, and how a manifest holds them in Avro.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "datashard/filter.h"
#include "datashard/schema.h"
#include "iceberg/avro_reader.h"
#include "iceberg/avro_writer.h"
#include "iceberg/json_writer.h"
#include "iceberg/metadata.h"

namespace datashard::iceberg {

/// The type of a partition field's values; kOther where the transform or its source column is unknown.
Type PartitionType(const PartitionField& field, const Schema& schema);
std::vector<Type> PartitionTypes(const PartitionSpec& spec, const Schema& schema);

/// `name` as Avro allows names: letters, digits and '_', no digit first; the rest as "_x" and hexadecimal digits.
std::string AvroName(std::string_view name);

/// The Avro type for values of `type`, as a schema's JSON. Named types carry `field_id`, since names may not repeat.
void WriteAvroType(JsonWriter& json, const Type& type, int32_t field_id);
/// Is `value` (not null) written? False where it does not fit `type`.
bool WriteAvroValue(AvroEncoder& record, const Literal& value, const Type& type);
/// Reads what Enter gave as a value of `type`; for kOther, by what the Avro schema says.
Literal ReadAvroValue(AvroReader& reader, const AvroType& avro, const Type& type);

}  // namespace datashard::iceberg
