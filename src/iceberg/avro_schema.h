// The writer's schema of an Avro file: what its records look like, whatever we would have written ourselves.
// Source: Avro 1.11 spec, "Schema Declaration"; Iceberg spec, appendix A ("field-id", "logicalType": "map").
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"

namespace datashard::iceberg {

enum class AvroKind {
  kNull, kBoolean, kInt, kLong, kFloat, kDouble, kBytes, kString, kFixed, kEnum, kArray, kMap, kRecord, kUnion,
};
std::string_view ToString(AvroKind kind);

struct AvroType;

struct AvroField {
  std::string name;
  int32_t field_id = -1;  // none: a field that is skipped
  const AvroType* type = nullptr;
};

struct AvroType {
  AvroKind kind = AvroKind::kNull;
  std::string logical_type;
  bool adjust_to_utc = false;
  int64_t size = 0;                        // fixed: bytes; enum: symbols; decimal: see scale
  int32_t scale = 0;                       // logical type decimal
  std::vector<AvroField> fields;           // record
  std::vector<const AvroType*> branches;   // union: its types. array, map: the type of the items

  /// The record's field with this id; null where there is none.
  const AvroField* Find(int32_t field_id) const;
};

/// Owns the types of one schema. Named types may refer to each other, themselves included.
class AvroSchema {
 public:
  /// Errors: kCorruption (kMetadata).
  static Result<AvroSchema> Parse(ByteView json, std::string_view object);
  const AvroType& root() const { return *root_; }

 private:
  friend class AvroSchemaParser;
  std::vector<std::unique_ptr<AvroType>> types_;
  const AvroType* root_ = nullptr;
};

}  // namespace datashard::iceberg
