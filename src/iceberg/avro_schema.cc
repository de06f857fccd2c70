#include "iceberg/avro_schema.h"

#include <map>

#include "base/error.h"
#include "iceberg/json_reader.h"

namespace datashard::iceberg {
namespace {

struct NamedKind {
  std::string_view name;
  AvroKind kind;
};
constexpr NamedKind kKinds[] = {
    {"null", AvroKind::kNull},     {"boolean", AvroKind::kBoolean}, {"int", AvroKind::kInt},
    {"long", AvroKind::kLong},     {"float", AvroKind::kFloat},     {"double", AvroKind::kDouble},
    {"bytes", AvroKind::kBytes},   {"string", AvroKind::kString},   {"fixed", AvroKind::kFixed},
    {"enum", AvroKind::kEnum},     {"array", AvroKind::kArray},     {"map", AvroKind::kMap},
    {"record", AvroKind::kRecord}, {"union", AvroKind::kUnion},
};

constexpr int64_t kSchemaBytesMax = 16 << 20;
constexpr int64_t kFixedBytesMax = 1 << 20;
constexpr size_t kFieldsMax = 10'000;  // ours have about a hundred, and one per partition field

bool IsNamed(AvroKind kind) { return kind == AvroKind::kRecord || kind == AvroKind::kEnum || kind == AvroKind::kFixed; }

}  // namespace

std::string_view ToString(AvroKind kind) {
  for (const NamedKind& known : kKinds)
    if (known.kind == kind) return known.name;
  return "unknown";
}

const AvroField* AvroType::Find(int32_t field_id) const {
  for (const AvroField& field : fields)
    if (field.field_id == field_id) return &field;
  return nullptr;
}

class AvroSchemaParser {
 public:
  Result<const AvroType*> Parse(const JsonValue& value) {
    if (value.is_string()) {
      DS_ASSIGN_OR_RETURN(const std::string name, value.String());
      return Named(value, name);
    }
    if (value.is_object()) return ParseObject(value);
    AvroType* type = New(AvroKind::kUnion);
    DS_RETURN_IF_ERROR(value.ForEach([&](const JsonValue& item) -> Status {
      DS_ASSIGN_OR_RETURN(const AvroType* branch, Parse(item));
      if (branch->kind == AvroKind::kUnion) return item.Wrong("a union directly inside a union");
      type->branches.push_back(branch);
      return {};
    }));
    if (type->branches.empty()) return value.Wrong("a union without types");
    return type;
  }

  AvroSchema Take(const AvroType* root) && {
    schema_.root_ = root;
    return std::move(schema_);
  }

 private:
  AvroType* New(AvroKind kind) {
    schema_.types_.push_back(std::make_unique<AvroType>());
    schema_.types_.back()->kind = kind;
    return schema_.types_.back().get();
  }

  Result<const AvroType*> Named(const JsonValue& where, const std::string& name) {
    if (const auto known = named_.find(name); known != named_.end()) return known->second;
    for (const NamedKind& kind : kKinds) {
      if (kind.name == name && kind.kind <= AvroKind::kString) return New(kind.kind);
    }
    return where.Unexpected("the name of a type that is declared before");
  }

  Result<const AvroType*> ParseObject(const JsonValue& value) {
    DS_ASSIGN_OR_RETURN(JsonObject object, JsonObject::Of(value));
    DS_ASSIGN_OR_RETURN(const JsonValue kind_value, object.Required("type"));
    if (!kind_value.is_string()) return Parse(kind_value);  // {"type": {"type": …}} means the inner one
    DS_ASSIGN_OR_RETURN(const std::string kind_name, kind_value.String());
    AvroType* type = nullptr;
    for (const NamedKind& kind : kKinds)
      if (kind.name == kind_name && kind.kind != AvroKind::kUnion) type = New(kind.kind);
    if (type == nullptr) return Named(kind_value, kind_name);
    if (IsNamed(type->kind)) {
      DS_ASSIGN_OR_RETURN(const std::string name, object.String("name"));
      // Declared before its fields are read: they may refer to it.
      if (!named_.emplace(name, type).second) return value.Wrong(fmt::format("type '{}' is declared twice", name));
      if (const auto space = object.Optional("namespace")) {
        DS_ASSIGN_OR_RETURN(const std::string prefix, space->String());
        named_.emplace(prefix + "." + name, type);
      }
    }
    DS_RETURN_IF_ERROR(ReadLogicalType(object, *type));
    DS_RETURN_IF_ERROR(ReadParts(object, *type));
    return type;
  }

  // A logical type we do not know, or whose attributes make no sense, does not count: the plain type below it does.
  static Status ReadLogicalType(JsonObject& object, AvroType& type) {
    if (const auto name = object.Optional("logicalType")) {
      DS_ASSIGN_OR_RETURN(type.logical_type, name->String());
    }
    if (const auto utc = object.Optional("adjust-to-utc")) {
      DS_ASSIGN_OR_RETURN(type.adjust_to_utc, utc->Bool());
    }
    if (const auto scale = object.Optional("scale")) {
      DS_ASSIGN_OR_RETURN(type.scale, scale->Int32());
      if (type.scale < 0 || type.scale > 38) return scale->Unexpected("a scale of 0 to 38");
    }
    return {};
  }

  Status ReadParts(JsonObject& object, AvroType& type) {
    switch (type.kind) {
      case AvroKind::kFixed: {
        DS_ASSIGN_OR_RETURN(const JsonValue size, object.Required("size"));
        DS_ASSIGN_OR_RETURN(type.size, size.Int64());
        if (type.size < 0 || type.size > kFixedBytesMax) return size.Unexpected("a size of 0 to 1 MiB");
        return {};
      }
      case AvroKind::kEnum:
        return object.ForEachIn("symbols", [&](const JsonValue&) -> Status {
          ++type.size;
          return {};
        });
      case AvroKind::kArray:
      case AvroKind::kMap: {
        DS_ASSIGN_OR_RETURN(const JsonValue items, object.Required(type.kind == AvroKind::kArray ? "items" : "values"));
        DS_ASSIGN_OR_RETURN(const AvroType* item, Parse(items));
        type.branches.push_back(item);
        return {};
      }
      case AvroKind::kRecord:
        return object.ForEachIn("fields", [&](const JsonValue& item) -> Status { return ReadField(item, type); });
      default: return {};
    }
  }

  Status ReadField(const JsonValue& value, AvroType& record) {
    DS_ASSIGN_OR_RETURN(JsonObject object, JsonObject::Of(value));
    AvroField field;
    DS_ASSIGN_OR_RETURN(field.name, object.String("name"));
    if (const auto id = object.Optional("field-id")) {
      DS_ASSIGN_OR_RETURN(field.field_id, id->Int32());
      if (field.field_id >= 0 && record.Find(field.field_id) != nullptr)
        return value.Wrong(fmt::format("field-id {} occurs twice", field.field_id));
    }
    DS_ASSIGN_OR_RETURN(const JsonValue type, object.Required("type"));
    DS_ASSIGN_OR_RETURN(field.type, Parse(type));
    record.fields.push_back(std::move(field));
    if (++field_count_ > kFieldsMax) return value.Wrong(fmt::format("more than {} fields in one schema", kFieldsMax));
    return {};
  }

  AvroSchema schema_;
  std::map<std::string, const AvroType*> named_;
  size_t field_count_ = 0;
};

Result<AvroSchema> AvroSchema::Parse(ByteView text, std::string_view object) {
  DS_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::Parse(text, object, kSchemaBytesMax));
  AvroSchemaParser parser;
  DS_ASSIGN_OR_RETURN(const AvroType* root, parser.Parse(document.root()));
  return std::move(parser).Take(root);
}

}  // namespace datashard::iceberg
