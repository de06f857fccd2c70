#include "iceberg/schema_json.h"

#include "base/error.h"

namespace datashard::iceberg {
namespace {

Result<Type> ReadType(const JsonValue& value);
void WriteType(JsonWriter& json, const Type& type);

Result<Field> ReadField(const JsonValue& value) {
  DS_ASSIGN_OR_RETURN(JsonObject object, JsonObject::Of(value));
  Field field;
  DS_ASSIGN_OR_RETURN(field.id, object.Int32("id"));
  DS_ASSIGN_OR_RETURN(field.name, object.String("name"));
  DS_ASSIGN_OR_RETURN(field.required, object.Bool("required"));
  DS_ASSIGN_OR_RETURN(const JsonValue type, object.Required("type"));
  DS_ASSIGN_OR_RETURN(field.type, ReadType(type));
  if (const auto doc = object.Optional("doc")) {
    DS_ASSIGN_OR_RETURN(field.doc, doc->String());
  }
  field.extra = object.Rest();
  return field;
}

Result<std::vector<Field>> ReadFields(JsonObject& object) {
  std::vector<Field> fields;
  DS_RETURN_IF_ERROR(object.ForEachIn("fields", [&](const JsonValue& item) -> Status {
    DS_ASSIGN_OR_RETURN(Field field, ReadField(item));
    fields.push_back(std::move(field));
    return {};
  }));
  return fields;
}

// `extra` holds what the struct, list or map itself says beyond the spec.
Result<Type> ReadNestedType(const JsonValue& value, JsonObject& object, std::string_view kind) {
  if (kind == "struct") {
    DS_ASSIGN_OR_RETURN(std::vector<Field> fields, ReadFields(object));
    return Type::Struct(std::move(fields), object.Rest());
  }
  if (kind == "list") {
    Field element{.name = "element"};
    DS_ASSIGN_OR_RETURN(element.id, object.Int32("element-id"));
    DS_ASSIGN_OR_RETURN(element.required, object.Bool("element-required"));
    DS_ASSIGN_OR_RETURN(const JsonValue type, object.Required("element"));
    DS_ASSIGN_OR_RETURN(element.type, ReadType(type));
    return Type::List(std::move(element), object.Rest());
  }
  if (kind == "map") {
    Field key{.name = "key", .required = true};
    Field mapped{.name = "value"};
    DS_ASSIGN_OR_RETURN(key.id, object.Int32("key-id"));
    DS_ASSIGN_OR_RETURN(const JsonValue key_type, object.Required("key"));
    DS_ASSIGN_OR_RETURN(key.type, ReadType(key_type));
    DS_ASSIGN_OR_RETURN(mapped.id, object.Int32("value-id"));
    DS_ASSIGN_OR_RETURN(mapped.required, object.Bool("value-required"));
    DS_ASSIGN_OR_RETURN(const JsonValue value_type, object.Required("value"));
    DS_ASSIGN_OR_RETURN(mapped.type, ReadType(value_type));
    return Type::Map(std::move(key), std::move(mapped), object.Rest());
  }
  return Type::Other(value.Raw());
}

Result<Type> ReadType(const JsonValue& value) {
  if (value.is_object()) {
    DS_ASSIGN_OR_RETURN(JsonObject object, JsonObject::Of(value));
    DS_ASSIGN_OR_RETURN(const std::string kind, object.String("type"));
    return ReadNestedType(value, object, kind);
  }
  if (!value.is_string()) return value.Unexpected("a type");
  DS_ASSIGN_OR_RETURN(std::string name, value.String());
  Result<Type> known = Type::Parse(name);
  if (known.ok()) return known;
  // A word of a newer format: kept, so that the rest of the table stays readable. Malformed decimals are no such word.
  if (name.empty() || name.starts_with('{') || name.starts_with("decimal") || name.starts_with("fixed")) {
    return value.Wrong(known.error().message());
  }
  return Type::Other(std::move(name));
}

void WriteField(JsonWriter& json, const Field& field) {
  json.BeginObject().Key("id").Int(field.id).Key("name").String(field.name);
  json.Key("required").Bool(field.required).Key("type");
  WriteType(json, field.type);
  if (field.doc) json.Key("doc").String(*field.doc);
  json.Members(field.extra).EndObject();
}

void WriteFields(JsonWriter& json, const std::vector<Field>& fields) {
  json.Key("fields").BeginArray();
  for (const Field& field : fields) WriteField(json, field);
  json.EndArray();
}

void WriteType(JsonWriter& json, const Type& type) {
  const std::string name = type.is_nested() ? std::string() : type.ToString();
  switch (type.kind()) {
    case TypeKind::kStruct:
      json.BeginObject().Key("type").String("struct");
      WriteFields(json, type.children());
      json.Members(type.extra()).EndObject();
      return;
    case TypeKind::kList: {
      const Field& element = type.children()[0];
      json.BeginObject().Key("type").String("list").Key("element-id").Int(element.id).Key("element");
      WriteType(json, element.type);
      json.Key("element-required").Bool(element.required).Members(type.extra()).EndObject();
      return;
    }
    case TypeKind::kMap: {
      const Field& key = type.children()[0];
      const Field& value = type.children()[1];
      json.BeginObject().Key("type").String("map").Key("key-id").Int(key.id).Key("key");
      WriteType(json, key.type);
      json.Key("value-id").Int(value.id).Key("value");
      WriteType(json, value.type);
      json.Key("value-required").Bool(value.required).Members(type.extra()).EndObject();
      return;
    }
    default:
      // A type we do not know may have been an object; its name is then the object's text.
      if (name.starts_with('{')) json.Kept(name); else json.String(name);
  }
}

void WriteMapping(JsonWriter& json, const std::vector<Field>& fields) {
  json.BeginArray();
  for (const Field& field : fields) {
    json.BeginObject().Key("field-id").Int(field.id).Key("names").BeginArray().String(field.name).EndArray();
    if (field.type.is_nested()) {
      json.Key("fields");
      WriteMapping(json, field.type.children());
    }
    json.EndObject();
  }
  json.EndArray();
}

}  // namespace

Result<Schema> ReadSchema(const JsonValue& value, bool schema_id_required) {
  DS_ASSIGN_OR_RETURN(JsonObject object, JsonObject::Of(value));
  Schema schema;
  if (const auto type = object.Optional("type")) {
    DS_ASSIGN_OR_RETURN(const std::string kind, type->String());
    if (kind != "struct") return type->Unexpected("\"struct\"");
  }
  if (schema_id_required || object.Has("schema-id")) {
    DS_ASSIGN_OR_RETURN(schema.schema_id, object.Int32("schema-id"));
  }
  if (const auto ids = object.Optional("identifier-field-ids")) {
    DS_RETURN_IF_ERROR(ids->ForEach([&](const JsonValue& item) -> Status {
      DS_ASSIGN_OR_RETURN(const int32_t id, item.Int32());
      schema.identifier_field_ids.push_back(id);
      return {};
    }));
  }
  DS_ASSIGN_OR_RETURN(schema.fields, ReadFields(object));
  schema.extra = object.Rest();
  if (const Status valid = schema.Validate(); !valid.ok()) return value.Wrong(valid.error().message());
  return schema;
}

void WriteSchema(JsonWriter& json, const Schema& schema) {
  json.BeginObject().Key("type").String("struct").Key("schema-id").Int(schema.schema_id);
  if (!schema.identifier_field_ids.empty()) {
    json.Key("identifier-field-ids").BeginArray();
    for (const int32_t id : schema.identifier_field_ids) json.Int(id);
    json.EndArray();
  }
  WriteFields(json, schema.fields);
  json.Members(schema.extra).EndObject();
}

Result<PartitionField> ReadPartitionField(const JsonValue& value) {
  DS_ASSIGN_OR_RETURN(JsonObject object, JsonObject::Of(value));
  PartitionField field;
  DS_ASSIGN_OR_RETURN(field.source_id, object.Int32("source-id"));
  DS_ASSIGN_OR_RETURN(field.field_id, object.Int32("field-id"));
  DS_ASSIGN_OR_RETURN(field.name, object.String("name"));
  DS_ASSIGN_OR_RETURN(field.transform, object.String("transform"));
  field.extra = object.Rest();
  return field;
}

void WritePartitionFields(JsonWriter& json, const PartitionSpec& spec) {
  json.BeginArray();
  for (const PartitionField& field : spec.fields) {
    json.BeginObject().Key("source-id").Int(field.source_id).Key("field-id").Int(field.field_id);
    json.Key("name").String(field.name).Key("transform").String(field.transform).Members(field.extra).EndObject();
  }
  json.EndArray();
}

Result<std::vector<PartitionField>> DecodePartitionFields(ByteView text, std::string_view object) {
  DS_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::Parse(text, object, kMetadataBytesMax));
  std::vector<PartitionField> fields;
  DS_RETURN_IF_ERROR(document.root().ForEach([&](const JsonValue& item) -> Status {
    DS_ASSIGN_OR_RETURN(PartitionField field, ReadPartitionField(item));
    fields.push_back(std::move(field));
    return {};
  }));
  return fields;
}

std::string EncodeSchema(const Schema& schema) {
  JsonWriter json;
  WriteSchema(json, schema);
  return std::move(json).Take();
}

Result<Schema> DecodeSchema(ByteView text, std::string_view object) {
  DS_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::Parse(text, object, kMetadataBytesMax));
  return ReadSchema(document.root(), /*schema_id_required=*/false);
}

std::string EncodePartitionFields(const PartitionSpec& spec) {
  JsonWriter json;
  WritePartitionFields(json, spec);
  return std::move(json).Take();
}

std::string EncodeNameMapping(const Schema& schema) {
  JsonWriter json;
  WriteMapping(json, schema.fields);
  return std::move(json).Take();
}

}  // namespace datashard::iceberg
