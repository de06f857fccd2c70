#include "iceberg/partition.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "iceberg/decimal.h"
#include "iceberg/value.h"

namespace datashard::iceberg {
namespace {

bool IsLetter(unsigned char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
bool IsDigit(unsigned char c) { return c >= '0' && c <= '9'; }

// The Iceberg type an Avro schema describes, for values whose transform we do not know.
Type TypeOfAvro(const AvroType& avro) {
  switch (avro.kind) {
    case AvroKind::kBoolean: return Type(TypeKind::kBoolean);
    case AvroKind::kInt: return Type(avro.logical_type == "date" ? TypeKind::kDate : TypeKind::kInt);
    case AvroKind::kLong:
      if (avro.logical_type == "time-micros") return Type(TypeKind::kTime);
      if (avro.logical_type == "timestamp-micros")
        return Type(avro.adjust_to_utc ? TypeKind::kTimestampTz : TypeKind::kTimestamp);
      return Type(TypeKind::kLong);
    case AvroKind::kFloat: return Type(TypeKind::kFloat);
    case AvroKind::kDouble: return Type(TypeKind::kDouble);
    case AvroKind::kString: return Type(TypeKind::kString);
    case AvroKind::kFixed:
      if (avro.logical_type == "uuid" && avro.size == 16) return Type(TypeKind::kUuid);
      if (avro.logical_type == "decimal") return Type::Decimal(38, avro.scale);
      return Type::Fixed(static_cast<int32_t>(avro.size));
    case AvroKind::kBytes:
      return avro.logical_type == "decimal" ? Type::Decimal(38, avro.scale) : Type(TypeKind::kBinary);
    default: return Type();
  }
}

Literal ReadDecimal(AvroReader& reader, const AvroType& avro, const Type& type) {
  const std::string_view bytes = reader.Binary(avro);
  if (!reader.ok()) return {};
  const auto unscaled = FromBigEndian(bytes);
  if (!unscaled) {
    reader.Fail(fmt::format("a decimal of {} bytes beyond 38 digits", bytes.size()));
    return {};
  }
  return DecimalValue{DecimalText(*unscaled, type.scale())};
}

Literal ReadUuid(AvroReader& reader, const AvroType& avro) {
  const std::string_view bytes = reader.Binary(avro);
  if (!reader.ok()) return {};
  if (bytes.size() != 16) {
    reader.Fail(fmt::format("a UUID of {} bytes", bytes.size()));
    return {};
  }
  UuidValue uuid;
  std::memcpy(uuid.bytes.data(), bytes.data(), uuid.bytes.size());
  return uuid;
}

void WriteLogical(JsonWriter& json, std::string_view type, std::string_view logical_type) {
  json.BeginObject().Key("type").String(type).Key("logicalType").String(logical_type);
}

}  // namespace

Type PartitionType(const PartitionField& field, const Schema& schema) {
  const std::string_view transform = field.transform;
  if (transform.starts_with("bucket[") || transform == "year" || transform == "month" || transform == "hour")
    return Type(TypeKind::kInt);
  if (transform == "day") return Type(TypeKind::kDate);
  const bool keeps_type = transform == "identity" || transform == "void" || transform.starts_with("truncate[");
  const Field* source = keeps_type ? schema.FindById(field.source_id) : nullptr;
  return source == nullptr || source->type.is_nested() ? Type() : source->type;
}

std::vector<Type> PartitionTypes(const PartitionSpec& spec, const Schema& schema) {
  std::vector<Type> types;
  for (const PartitionField& field : spec.fields) types.push_back(PartitionType(field, schema));
  return types;
}

std::string AvroName(std::string_view name) {
  std::string avro;
  for (size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<unsigned char>(name[i]);
    if (IsLetter(byte) || (IsDigit(byte) && !avro.empty())) {
      avro += name[i];
    } else if (IsDigit(byte)) {
      avro += {'_', name[i]};
    } else {
      // The character's number, as Java and PyIceberg write it: the lead byte's low bits, then six of each that follows.
      uint32_t code = byte < 0x80 ? byte : byte & (byte < 0xE0 ? 0x1F : byte < 0xF0 ? 0x0F : 0x07);
      while (byte >= 0xC0 && i + 1 < name.size() && (static_cast<unsigned char>(name[i + 1]) & 0xC0) == 0x80)
        code = code << 6 | (static_cast<unsigned char>(name[++i]) & 0x3F);
      avro += fmt::format("_x{:X}", code);
    }
  }
  return avro.empty() ? "_" : avro;
}

void WriteAvroType(JsonWriter& json, const Type& type, int32_t field_id) {
  switch (type.kind()) {
    case TypeKind::kDate: WriteLogical(json, "int", "date"); break;
    case TypeKind::kTime: WriteLogical(json, "long", "time-micros"); break;
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampTz:
      // One logical type for both, told apart by the attribute: some readers stop at local-timestamp-micros.
      WriteLogical(json, "long", "timestamp-micros");
      json.Key("adjust-to-utc").Bool(type.kind() == TypeKind::kTimestampTz);
      break;
    case TypeKind::kUuid:
      WriteLogical(json, "fixed", "uuid");
      json.Key("name").String(fmt::format("uuid_{}", field_id)).Key("size").Int(16);
      break;
    case TypeKind::kDecimal:
      WriteLogical(json, "fixed", "decimal");
      json.Key("name").String(fmt::format("decimal_{}", field_id)).Key("size").Int(DecimalBytes(type.precision()));
      json.Key("precision").Int(type.precision()).Key("scale").Int(type.scale());
      break;
    case TypeKind::kFixed:
      json.BeginObject().Key("type").String("fixed").Key("name").String(fmt::format("fixed_{}", field_id));
      json.Key("size").Int(type.length());
      break;
    case TypeKind::kBinary: json.String("bytes"); return;
    default: json.String(type.ToString()); return;  // boolean, int, long, float, double, string: the same words
  }
  json.EndObject();
}

bool WriteAvroValue(AvroEncoder& record, const Literal& value, const Type& type) {
  const Result<Bytes> bytes = EncodeValue(value, type);
  if (!bytes.ok()) return false;
  switch (type.kind()) {
    case TypeKind::kInt:
    case TypeKind::kLong: record.Long(std::get<int64_t>(value)); return true;
    case TypeKind::kDate: record.Long(std::get<DateValue>(value).days); return true;
    case TypeKind::kTime: record.Long(std::get<TimeValue>(value).micros); return true;
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampTz: record.Long(std::get<TimestampValue>(value).micros); return true;
    case TypeKind::kDecimal:
      record.Fixed(FixedBigEndian(*FromBigEndian(*bytes), DecimalBytes(type.precision())));
      return true;
    case TypeKind::kString:
    case TypeKind::kBinary: record.Text(*bytes); return true;
    default: record.Fixed(*bytes); return true;  // Avro's boolean, float, double and fixed are Iceberg's bytes
  }
}

Literal ReadAvroValue(AvroReader& reader, const AvroType& avro, const Type& type) {
  switch (type.kind()) {
    case TypeKind::kBoolean: return reader.Boolean(avro);
    case TypeKind::kInt: return int64_t{reader.Integer32(avro)};
    case TypeKind::kLong: return reader.Integer(avro);
    case TypeKind::kFloat:
    case TypeKind::kDouble: return reader.Real(avro);
    case TypeKind::kDate: return DateValue{reader.Integer32(avro)};
    case TypeKind::kTime: return TimeValue{reader.Integer(avro)};
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampTz: return TimestampValue{reader.Integer(avro), type.kind() == TypeKind::kTimestampTz};
    case TypeKind::kString: return std::string(reader.Text(avro));
    case TypeKind::kUuid: return ReadUuid(reader, avro);
    case TypeKind::kFixed:
    case TypeKind::kBinary: return BinaryValue{std::string(reader.Binary(avro))};
    case TypeKind::kDecimal: return ReadDecimal(reader, avro, type);
    default: break;
  }
  const Type told = TypeOfAvro(avro);
  if (told.kind() != TypeKind::kOther) return ReadAvroValue(reader, avro, told);
  reader.Skip(avro);
  return {};
}

}  // namespace datashard::iceberg
