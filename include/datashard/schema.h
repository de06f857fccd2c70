// Iceberg types, fields and schemas as plain values. Source: Iceberg spec, "Schemas and Data Types".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "datashard/result.h"

namespace datashard {

enum class TypeKind {
  kBoolean,
  kInt,          ///< 32-bit signed
  kLong,         ///< 64-bit signed
  kFloat,
  kDouble,
  kDecimal,      ///< precision 1..38, scale 0..precision
  kDate,         ///< days since 1970-01-01
  kTime,         ///< microseconds since midnight
  kTimestamp,    ///< microseconds, no zone
  kTimestampTz,  ///< microseconds, UTC instant
  kString,
  kUuid,
  kFixed,        ///< length bytes
  kBinary,
  kStruct,
  kList,         ///< one child: element
  kMap,          ///< two children: key, value
  kOther,        ///< a type of a newer format version: kept by its name, never read or written
};

struct Field;

/// Keys we do not interpret, in file order: key, JSON text.
using ExtraKeys = std::vector<std::pair<std::string, std::string>>;

/// A type; cheap to copy (children are shared and never change).
class Type {
 public:
  Type() = default;
  explicit Type(TypeKind kind) : kind_(kind) {}
  static Type Decimal(int32_t precision, int32_t scale);
  static Type Fixed(int32_t length);
  static Type Struct(std::vector<Field> fields, ExtraKeys extra = {});
  static Type List(Field element, ExtraKeys extra = {});
  static Type Map(Field key, Field value, ExtraKeys extra = {});
  static Type Other(std::string name);

  /// Parses a primitive type's name, such as "long", "decimal(10, 2)" or "fixed[16]".
  /// Errors: kInvalidArgument for a name Iceberg v1 and v2 do not have or parameters out of range.
  static Result<Type> Parse(std::string_view name);
  /// The name Parse reads; nested types give "struct<…>", "list<…>", "map<…>".
  std::string ToString() const;

  TypeKind kind() const { return kind_; }
  bool is_nested() const;
  int32_t precision() const { return a_; }
  int32_t scale() const { return b_; }
  int32_t length() const { return a_; }
  /// Struct: its fields. List: {element}. Map: {key, value}. Otherwise empty.
  const std::vector<Field>& children() const;
  /// Of nested types: what the type's own JSON says beyond the spec.
  const ExtraKeys& extra() const;

  bool operator==(const Type& other) const;

 private:
  struct Nested;
  Type(TypeKind kind, std::vector<Field> children, ExtraKeys extra);

  TypeKind kind_ = TypeKind::kOther;
  int32_t a_ = 0;
  int32_t b_ = 0;
  std::string name_;  // of kOther
  std::shared_ptr<const Nested> nested_;
};

struct Field {
  int32_t id = 0;
  std::string name;
  Type type;
  bool required = false;
  std::optional<std::string> doc;
  /// Keys we do not interpret (defaults of format v3 and the like), in file order: key, JSON text.
  std::vector<std::pair<std::string, std::string>> extra;

  bool operator==(const Field&) const = default;
};

struct Schema {
  int32_t schema_id = 0;
  std::vector<Field> fields;
  std::vector<int32_t> identifier_field_ids;
  /// Keys we do not interpret, in file order: key, JSON text.
  std::vector<std::pair<std::string, std::string>> extra;

  /// The top-level field called `name`; null where there is none.
  const Field* Find(std::string_view name) const;
  const Field* FindById(int32_t field_id) const;
  /// The highest field id, nested ones included; 0 where there are no fields.
  int32_t HighestFieldId() const;
  /// Errors: kInvalidArgument (kSchema) for an empty or repeated name, an id below 1 or used twice, decimals out of range.
  Status Validate() const;

  bool operator==(const Schema&) const = default;
};

/// Do both have the same fields (id, name, type, required) in the same order? Docs and schema ids do not matter.
bool SameFields(const Schema& a, const Schema& b);

}  // namespace datashard
