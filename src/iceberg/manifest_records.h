// What manifests and manifest lists have in common as Avro files: the loop over their records and the reading of fields.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "iceberg/avro_container.h"
#include "iceberg/avro_reader.h"

namespace datashard::iceberg {

// A field that is null, or of another kind, is a fault of the reader; so is a count below zero.
int64_t RequiredCount(AvroReader& reader, const AvroField& field);
int32_t RequiredInteger32(AvroReader& reader, const AvroField& field);
std::string RequiredText(AvroReader& reader, const AvroField& field);
std::optional<int64_t> OptionalInteger(AvroReader& reader, const AvroField& field);
std::optional<std::string> OptionalBinary(AvroReader& reader, const AvroField& field);
int64_t ItemInteger(AvroReader& reader, const AvroType& item);

struct RequiredField {
  int32_t field_id;
  std::string_view name;
};
/// Errors: kCorruption (kMetadata) where `record` is no record or lacks one of the fields.
Status RequireFields(const AvroType& record, std::initializer_list<RequiredField> fields, std::string_view object);

/// Calls `read` once per record of the file and checks that it used the bytes up, no more and no fewer.
Status ReadRecords(AvroFile& file, std::string_view object, const std::function<void(AvroReader&)>& read);

}  // namespace datashard::iceberg
