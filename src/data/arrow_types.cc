#include "data/arrow_types.h"

#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <arrow/extension_type.h>

#include <string>

#include "base/error.h"
#include "data/arrow_support.h"
#include "data/data_file.h"
#include "datashard/rows.h"

namespace datashard::data {
namespace {

constexpr const char* kFieldIdKey = "PARQUET:field_id";
constexpr const char* kExtensionNameKey = "ARROW:extension:name";
constexpr const char* kExtensionMetadataKey = "ARROW:extension:metadata";
constexpr const char* kUuidName = "arrow.uuid";

}  // namespace

Result<std::shared_ptr<arrow::DataType>> ArrowTypeOf(const Type& type) {
  switch (type.kind()) {
    case TypeKind::kBoolean: return arrow::boolean();
    case TypeKind::kInt: return arrow::int32();
    case TypeKind::kLong: return arrow::int64();
    case TypeKind::kFloat: return arrow::float32();
    case TypeKind::kDouble: return arrow::float64();
    case TypeKind::kDecimal:
      return Lift(arrow::Decimal128Type::Make(type.precision(), type.scale()), ErrorKind::kInvalidArgument);
    case TypeKind::kDate: return arrow::date32();
    case TypeKind::kTime: return arrow::time64(arrow::TimeUnit::MICRO);
    case TypeKind::kTimestamp: return arrow::timestamp(arrow::TimeUnit::MICRO);
    case TypeKind::kTimestampTz: return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case TypeKind::kString: return arrow::utf8();
    case TypeKind::kUuid: return arrow::fixed_size_binary(16);
    case TypeKind::kFixed: return arrow::fixed_size_binary(type.length());
    case TypeKind::kBinary: return arrow::binary();
    case TypeKind::kStruct:
    case TypeKind::kList:
    case TypeKind::kMap:
    case TypeKind::kOther: break;
  }
  return Unsupported("columns of type {} can be neither read nor written here", type.ToString())
      .About(ErrorSubject::kSchema);
}

bool IsArrowTypeOf(const arrow::DataType& type, const Type& wanted) {
  const auto is_instant = [&](std::string_view zone) {
    if (type.id() != arrow::Type::TIMESTAMP) return false;
    const auto& timestamp = static_cast<const arrow::TimestampType&>(type);
    return timestamp.unit() == arrow::TimeUnit::MICRO && timestamp.timezone() == zone;
  };
  const auto is_bytes = [&](int32_t length) {
    return type.id() == arrow::Type::FIXED_SIZE_BINARY &&
           static_cast<const arrow::FixedSizeBinaryType&>(type).byte_width() == length;
  };
  switch (wanted.kind()) {
    case TypeKind::kBoolean: return type.id() == arrow::Type::BOOL;
    case TypeKind::kInt: return type.id() == arrow::Type::INT32;
    case TypeKind::kLong: return type.id() == arrow::Type::INT64;
    case TypeKind::kFloat: return type.id() == arrow::Type::FLOAT;
    case TypeKind::kDouble: return type.id() == arrow::Type::DOUBLE;
    case TypeKind::kDecimal: {
      if (type.id() != arrow::Type::DECIMAL128) return false;
      const auto& decimal = static_cast<const arrow::DecimalType&>(type);
      return decimal.precision() == wanted.precision() && decimal.scale() == wanted.scale();
    }
    case TypeKind::kDate: return type.id() == arrow::Type::DATE32;
    case TypeKind::kTime:
      return type.id() == arrow::Type::TIME64 && static_cast<const arrow::Time64Type&>(type).unit() == arrow::TimeUnit::MICRO;
    case TypeKind::kTimestamp: return is_instant("");
    case TypeKind::kTimestampTz: return is_instant("UTC");
    case TypeKind::kString: return type.id() == arrow::Type::STRING;
    case TypeKind::kUuid: return is_bytes(16);
    case TypeKind::kFixed: return is_bytes(wanted.length());
    case TypeKind::kBinary: return type.id() == arrow::Type::BINARY;
    default: return false;
  }
}

bool HasFieldsOf(const arrow::Schema& given, const Schema& schema) {
  if (given.num_fields() != static_cast<int>(schema.fields.size())) return false;
  for (int i = 0; i < given.num_fields(); ++i) {
    const Field& field = schema.fields[static_cast<size_t>(i)];
    if (given.field(i)->name() != field.name || !IsArrowTypeOf(*given.field(i)->type(), field.type)) return false;
  }
  return true;
}

Result<std::shared_ptr<arrow::Field>> ArrowFieldOf(const Field& field) {
  auto type = ArrowTypeOf(field.type);
  if (!type.ok()) return std::move(type).error().In(fmt::format("column '{}'", field.name));
  std::vector<std::string> keys = {kFieldIdKey};
  std::vector<std::string> values = {std::to_string(field.id)};
  if (field.type.kind() == TypeKind::kUuid) {
    keys.insert(keys.end(), {kExtensionNameKey, kExtensionMetadataKey});
    values.insert(values.end(), {kUuidName, ""});
  }
  return arrow::field(field.name, *type, /*nullable=*/!field.required,
                      arrow::key_value_metadata(std::move(keys), std::move(values)));
}

Result<std::shared_ptr<arrow::Schema>> ArrowSchemaOf(const Schema& schema) {
  arrow::FieldVector fields;
  fields.reserve(schema.fields.size());
  for (const Field& field : schema.fields) {
    DS_ASSIGN_OR_RETURN(auto arrow_field, ArrowFieldOf(field));
    fields.push_back(std::move(arrow_field));
  }
  return arrow::schema(std::move(fields));
}

std::shared_ptr<arrow::DataType> ValueType(std::shared_ptr<arrow::DataType> type) {
  for (;;) {
    switch (type->id()) {
      case arrow::Type::EXTENSION: type = static_cast<const arrow::ExtensionType&>(*type).storage_type(); break;
      case arrow::Type::DICTIONARY: type = static_cast<const arrow::DictionaryType&>(*type).value_type(); break;
      case arrow::Type::RUN_END_ENCODED: type = static_cast<const arrow::RunEndEncodedType&>(*type).value_type(); break;
      default: return type;
    }
  }
}

bool IsUuidField(const arrow::Field& field) {
  if (field.type()->id() == arrow::Type::EXTENSION)
    return static_cast<const arrow::ExtensionType&>(*field.type()).extension_name() == kUuidName;
  if (field.metadata() == nullptr) return false;
  const auto name = field.metadata()->Get(kExtensionNameKey);
  return name.ok() && *name == kUuidName && ValueType(field.type())->id() == arrow::Type::FIXED_SIZE_BINARY;
}

namespace {

Result<Type> IcebergTypeOf(const arrow::Field& field) {
  if (IsUuidField(field)) return Type(TypeKind::kUuid);
  const std::shared_ptr<arrow::DataType> type = ValueType(field.type());
  switch (type->id()) {
    case arrow::Type::BOOL: return Type(TypeKind::kBoolean);
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::INT32:
    case arrow::Type::UINT8:
    case arrow::Type::UINT16: return Type(TypeKind::kInt);
    case arrow::Type::INT64:
    case arrow::Type::UINT32:
    case arrow::Type::UINT64: return Type(TypeKind::kLong);  // a value above 2^63-1 is refused when it comes
    case arrow::Type::HALF_FLOAT:
    case arrow::Type::FLOAT: return Type(TypeKind::kFloat);
    case arrow::Type::DOUBLE: return Type(TypeKind::kDouble);
    case arrow::Type::DECIMAL32:
    case arrow::Type::DECIMAL64:
    case arrow::Type::DECIMAL128:
    case arrow::Type::DECIMAL256: {
      const auto& decimal = static_cast<const arrow::DecimalType&>(*type);
      if (decimal.precision() <= 38 && decimal.scale() >= 0 && decimal.scale() <= decimal.precision())
        return Type::Decimal(decimal.precision(), decimal.scale());
      break;
    }
    case arrow::Type::DATE32:
    case arrow::Type::DATE64: return Type(TypeKind::kDate);
    case arrow::Type::TIME32:
    case arrow::Type::TIME64: return Type(TypeKind::kTime);
    case arrow::Type::TIMESTAMP:
      return Type(static_cast<const arrow::TimestampType&>(*type).timezone().empty() ? TypeKind::kTimestamp
                                                                                     : TypeKind::kTimestampTz);
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
    case arrow::Type::STRING_VIEW: return Type(TypeKind::kString);
    case arrow::Type::BINARY:
    case arrow::Type::LARGE_BINARY:
    case arrow::Type::BINARY_VIEW: return Type(TypeKind::kBinary);
    case arrow::Type::FIXED_SIZE_BINARY: {
      const int32_t width = static_cast<const arrow::FixedSizeBinaryType&>(*type).byte_width();
      if (width > 0) return Type::Fixed(width);
      break;
    }
    case arrow::Type::NA:
      return InvalidArgument("column '{}' holds nothing but nulls, which says nothing of its type; give a schema",
                             field.name())
          .About(ErrorSubject::kSchema);
    default: break;
  }
  return InvalidArgument("column '{}' has Arrow type {}, which is none of the types a table can hold", field.name(),
                         field.type()->ToString())
      .About(ErrorSubject::kSchema);
}

}  // namespace

Result<ArrowSchemaHandle> ExportSchema(const Schema& schema) {
  return Guarded(ErrorKind::kInternal, [&]() -> Result<ArrowSchemaHandle> {
    DS_ASSIGN_OR_RETURN(const auto arrow_schema, ArrowSchemaOf(schema));
    ArrowSchemaHandle handle;
    DS_RETURN_IF_ERROR(Lift(arrow::ExportSchema(*arrow_schema, handle.get()), ErrorKind::kInternal));
    return handle;
  });
}

}  // namespace datashard::data

namespace datashard {

Result<Schema> InferSchema(const ArrowSchema& schema) {
  return data::Guarded(ErrorKind::kInvalidArgument, [&]() -> Result<Schema> {
    // Arrow's import takes the struct over; this one is the caller's, so its release is left out of the copy.
    ArrowSchema borrowed = schema;
    borrowed.release = [](ArrowSchema* self) { self->release = nullptr; };
    DS_ASSIGN_OR_RETURN(const auto imported,
                        data::Lift(arrow::ImportSchema(&borrowed), ErrorKind::kInvalidArgument));
    Schema inferred;
    int32_t id = 0;
    for (const auto& field : imported->fields()) {
      DS_ASSIGN_OR_RETURN(Type type, data::IcebergTypeOf(*field));
      inferred.fields.push_back(
          {.id = ++id, .name = field->name(), .type = std::move(type), .required = !field->nullable()});
    }
    DS_RETURN_IF_ERROR(inferred.Validate());
    return inferred;
  });
}

}  // namespace datashard
