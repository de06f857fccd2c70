#include "iceberg/value.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "base/error.h"
#include "iceberg/decimal.h"

namespace datashard::iceberg {
namespace {

static_assert(std::endian::native == std::endian::little, "values are copied as they lie in memory");

template <typename T>
Bytes LittleEndian(T value) {
  Bytes bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

template <typename T>
T FromLittleEndian(ByteView bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

Error DoesNotFit(const Literal& value, const Type& type, std::string_view why) {
  return InvalidArgument("{} cannot be compared with a column of type {}: {}", ToString(value), type.ToString(), why)
      .About(ErrorSubject::kOperand);
}

// A double without a fraction, inside the range where int64 and double agree on every whole number.
std::optional<int64_t> WholeNumber(double value) {
  constexpr double kExactMax = 9007199254740992.0;  // 2^53
  if (!(std::abs(value) <= kExactMax) || std::trunc(value) != value) return std::nullopt;
  return static_cast<int64_t>(value);
}

// Every common spelling: 32 hexadecimal digits, dashes anywhere between bytes, optional braces.
std::optional<UuidValue> ParseUuid(std::string_view text) {
  if (text.starts_with('{') && text.ends_with('}')) text = text.substr(1, text.size() - 2);
  UuidValue uuid{};
  size_t digits = 0;
  for (const char c : text) {
    if (c == '-') {
      if (digits == 0 || digits % 2 != 0) return std::nullopt;
      continue;
    }
    int digit = 0;
    if (c >= '0' && c <= '9') digit = c - '0';
    else if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
    else return std::nullopt;
    if (digits == 32) return std::nullopt;
    uuid.bytes[digits / 2] = static_cast<uint8_t>(uuid.bytes[digits / 2] << 4 | digit);
    ++digits;
  }
  if (digits != 32 || text.ends_with('-')) return std::nullopt;
  return uuid;
}

UuidValue UuidOf(ByteView bytes) {
  UuidValue uuid;
  std::memcpy(uuid.bytes.data(), bytes.data(), uuid.bytes.size());
  return uuid;
}

Result<Literal> CoerceInteger(const Literal& value, const Type& type) {
  if (const int64_t* integer = std::get_if<int64_t>(&value)) return Literal(*integer);
  if (const double* real = std::get_if<double>(&value)) {
    if (const auto whole = WholeNumber(*real)) return Literal(*whole);
    return DoesNotFit(value, type, "give a whole number");
  }
  return DoesNotFit(value, type, "give an integer");
}

Result<Literal> CoerceReal(const Literal& value, const Type& type) {
  if (const double* real = std::get_if<double>(&value)) return Literal(*real);
  if (const int64_t* integer = std::get_if<int64_t>(&value)) {
    const double real = static_cast<double>(*integer);
    // 2^63 as a double is no int64; the comparison of the cast back would be undefined there.
    if (real < 9223372036854775808.0 && static_cast<int64_t>(real) == *integer) return Literal(real);
    return DoesNotFit(value, type, "no double has this value; give a floating-point number");
  }
  return DoesNotFit(value, type, "give a floating-point number");
}

Result<Literal> CoerceDecimal(const Literal& value, const Type& type) {
  std::string text;
  if (const DecimalValue* decimal = std::get_if<DecimalValue>(&value)) {
    text = decimal->text;
  } else if (const int64_t* integer = std::get_if<int64_t>(&value)) {
    text = fmt::format("{}", *integer);
  } else {
    return DoesNotFit(value, type, "give a decimal or an integer");
  }
  if (!IsDecimalText(text)) return DoesNotFit(value, type, "give plain decimal digits such as 12.50");
  // What the column cannot hold keeps its own digits and can still be compared with what it holds.
  const std::optional<Int128> unscaled = UnscaledOf(text, type.precision(), type.scale());
  return Literal(DecimalValue{unscaled ? DecimalText(*unscaled, type.scale()) : text});
}

Result<Literal> CoerceTimestamp(const Literal& value, const Type& type) {
  const TimestampValue* timestamp = std::get_if<TimestampValue>(&value);
  if (timestamp == nullptr) return DoesNotFit(value, type, "give a timestamp");
  const bool has_zone = type.kind() == TypeKind::kTimestampTz;
  if (timestamp->has_zone == has_zone) return value;
  return DoesNotFit(value, type, has_zone ? "give a timestamp with a time zone" : "give a timestamp without a time zone");
}

Result<Literal> CoerceUuid(const Literal& value, const Type& type) {
  if (std::holds_alternative<UuidValue>(value)) return value;
  if (const std::string* text = std::get_if<std::string>(&value)) {
    if (const auto uuid = ParseUuid(*text)) return Literal(*uuid);
  }
  if (const BinaryValue* binary = std::get_if<BinaryValue>(&value)) {
    if (binary->bytes.size() == 16) return Literal(UuidOf(binary->bytes));
  }
  return DoesNotFit(value, type, "give a UUID such as f79c3e09-677c-4bbd-a479-3f349cb785e7");
}

Result<Literal> CoerceBinary(const Literal& value, const Type& type) {
  const BinaryValue* binary = std::get_if<BinaryValue>(&value);
  if (binary == nullptr) return DoesNotFit(value, type, "give bytes");
  if (type.kind() == TypeKind::kFixed && binary->bytes.size() != static_cast<size_t>(type.length()))
    return DoesNotFit(value, type, fmt::format("it has {} bytes", binary->bytes.size()));
  return value;
}

template <typename T>
Result<Literal> CoerceExactly(const Literal& value, const Type& type, std::string_view wanted) {
  if (std::holds_alternative<T>(value)) return value;
  return DoesNotFit(value, type, wanted);
}

Error NoBytes(const Literal& value, const Type& type) {
  return InvalidArgument("{} has no bytes as {}", ToString(value), type.ToString()).About(ErrorSubject::kValue);
}

Error BadLength(ByteView bytes, const Type& type) {
  return Corruption("{} bytes are no value of type {}", bytes.size(), type.ToString()).About(ErrorSubject::kMetadata);
}

std::partial_ordering OrderOf(const std::string& a, const std::string& b) {
  // char may be signed; memcmp's bytes are not.
  return a.compare(b) <=> 0;
}

}  // namespace

Result<Literal> CoerceLiteral(const Literal& value, const Type& type) {
  if (std::holds_alternative<std::monostate>(value)) return value;
  switch (type.kind()) {
    case TypeKind::kBoolean: return CoerceExactly<bool>(value, type, "give true or false");
    case TypeKind::kInt:
    case TypeKind::kLong: return CoerceInteger(value, type);
    case TypeKind::kFloat:
    case TypeKind::kDouble: return CoerceReal(value, type);
    case TypeKind::kDecimal: return CoerceDecimal(value, type);
    case TypeKind::kDate: return CoerceExactly<DateValue>(value, type, "give a date");
    case TypeKind::kTime: return CoerceExactly<TimeValue>(value, type, "give a time of day");
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampTz: return CoerceTimestamp(value, type);
    case TypeKind::kString: return CoerceExactly<std::string>(value, type, "give text");
    case TypeKind::kUuid: return CoerceUuid(value, type);
    case TypeKind::kFixed:
    case TypeKind::kBinary: return CoerceBinary(value, type);
    default: return DoesNotFit(value, type, "columns of this type have no order");
  }
}

Result<Bytes> EncodeValue(const Literal& value, const Type& type) {
  switch (type.kind()) {
    case TypeKind::kBoolean:
      if (const bool* flag = std::get_if<bool>(&value)) return Bytes(1, *flag ? '\x01' : '\0');
      break;
    case TypeKind::kInt: {
      const int64_t* integer = std::get_if<int64_t>(&value);
      if (integer != nullptr && *integer == static_cast<int32_t>(*integer))
        return LittleEndian(static_cast<int32_t>(*integer));
      break;
    }
    case TypeKind::kLong:
      if (const int64_t* integer = std::get_if<int64_t>(&value)) return LittleEndian(*integer);
      break;
    case TypeKind::kFloat: {
      const double* real = std::get_if<double>(&value);
      if (real != nullptr && (std::isnan(*real) || std::isinf(*real) ||
                              (std::abs(*real) <= std::numeric_limits<float>::max() &&
                               static_cast<double>(static_cast<float>(*real)) == *real))) {
        return LittleEndian(static_cast<float>(*real));
      }
      break;
    }
    case TypeKind::kDouble:
      if (const double* real = std::get_if<double>(&value)) return LittleEndian(*real);
      break;
    case TypeKind::kDecimal:
      if (const DecimalValue* decimal = std::get_if<DecimalValue>(&value)) {
        if (const auto unscaled = UnscaledOf(decimal->text, type.precision(), type.scale()))
          return MinimalBigEndian(*unscaled);
      }
      break;
    case TypeKind::kDate:
      if (const DateValue* date = std::get_if<DateValue>(&value)) return LittleEndian(date->days);
      break;
    case TypeKind::kTime:
      if (const TimeValue* time = std::get_if<TimeValue>(&value)) return LittleEndian(time->micros);
      break;
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampTz: {
      const TimestampValue* timestamp = std::get_if<TimestampValue>(&value);
      if (timestamp != nullptr && timestamp->has_zone == (type.kind() == TypeKind::kTimestampTz))
        return LittleEndian(timestamp->micros);
      break;
    }
    case TypeKind::kString:
      if (const std::string* text = std::get_if<std::string>(&value)) return *text;
      break;
    case TypeKind::kUuid:
      if (const UuidValue* uuid = std::get_if<UuidValue>(&value))
        return Bytes(reinterpret_cast<const char*>(uuid->bytes.data()), uuid->bytes.size());
      break;
    case TypeKind::kFixed:
    case TypeKind::kBinary: {
      const BinaryValue* binary = std::get_if<BinaryValue>(&value);
      if (binary != nullptr && (type.kind() == TypeKind::kBinary ||
                                binary->bytes.size() == static_cast<size_t>(type.length()))) {
        return binary->bytes;
      }
      break;
    }
    default: break;
  }
  return NoBytes(value, type);
}

Result<Literal> DecodeValue(ByteView bytes, const Type& type) {
  switch (type.kind()) {
    case TypeKind::kBoolean:
      if (bytes.size() == 1) return Literal(bytes[0] != '\0');
      break;
    case TypeKind::kLong:
      if (bytes.size() == 8) return Literal(FromLittleEndian<int64_t>(bytes));
      [[fallthrough]];
    case TypeKind::kInt:
      if (bytes.size() == 4) return Literal(int64_t{FromLittleEndian<int32_t>(bytes)});
      break;
    case TypeKind::kDouble:
      if (bytes.size() == 8) return Literal(FromLittleEndian<double>(bytes));
      [[fallthrough]];
    case TypeKind::kFloat:
      if (bytes.size() == 4) return Literal(double{FromLittleEndian<float>(bytes)});
      break;
    case TypeKind::kDecimal:
      // The bytes do not say their scale; a column's scale never changes, only its precision grows.
      if (const auto unscaled = FromBigEndian(bytes)) return Literal(DecimalValue{DecimalText(*unscaled, type.scale())});
      break;
    case TypeKind::kDate:
      if (bytes.size() == 4) return Literal(DateValue{FromLittleEndian<int32_t>(bytes)});
      break;
    case TypeKind::kTime:
      if (bytes.size() == 8) return Literal(TimeValue{FromLittleEndian<int64_t>(bytes)});
      break;
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampTz:
      if (bytes.size() == 8)
        return Literal(TimestampValue{FromLittleEndian<int64_t>(bytes), type.kind() == TypeKind::kTimestampTz});
      break;
    case TypeKind::kString: return Literal(std::string(bytes));
    case TypeKind::kUuid:
      if (bytes.size() == 16) return Literal(UuidOf(bytes));
      break;
    case TypeKind::kFixed:
      // Bounds may be cut short by the writer, as those of binary are.
      if (bytes.size() <= static_cast<size_t>(type.length())) return Literal(BinaryValue{std::string(bytes)});
      break;
    case TypeKind::kBinary: return Literal(BinaryValue{std::string(bytes)});
    default: break;
  }
  return BadLength(bytes, type);
}

std::partial_ordering Compare(const Literal& a, const Literal& b, const Type& type) {
  if (a.index() != b.index()) return std::partial_ordering::unordered;
  switch (type.kind()) {
    case TypeKind::kBoolean:
      if (const bool* x = std::get_if<bool>(&a)) return *x <=> std::get<bool>(b);
      break;
    case TypeKind::kInt:
    case TypeKind::kLong:
      if (const int64_t* x = std::get_if<int64_t>(&a)) return *x <=> std::get<int64_t>(b);
      break;
    case TypeKind::kFloat:
    case TypeKind::kDouble:
      if (const double* x = std::get_if<double>(&a)) return *x <=> std::get<double>(b);
      break;
    case TypeKind::kDecimal:
      if (const DecimalValue* x = std::get_if<DecimalValue>(&a))
        return CompareDecimalTexts(x->text, std::get<DecimalValue>(b).text);
      break;
    case TypeKind::kDate:
      if (const DateValue* x = std::get_if<DateValue>(&a)) return x->days <=> std::get<DateValue>(b).days;
      break;
    case TypeKind::kTime:
      if (const TimeValue* x = std::get_if<TimeValue>(&a)) return x->micros <=> std::get<TimeValue>(b).micros;
      break;
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampTz:
      if (const TimestampValue* x = std::get_if<TimestampValue>(&a))
        return x->micros <=> std::get<TimestampValue>(b).micros;
      break;
    case TypeKind::kString:
      if (const std::string* x = std::get_if<std::string>(&a)) return OrderOf(*x, std::get<std::string>(b));
      break;
    case TypeKind::kUuid:
      if (const UuidValue* x = std::get_if<UuidValue>(&a)) return x->bytes <=> std::get<UuidValue>(b).bytes;
      break;
    case TypeKind::kFixed:
    case TypeKind::kBinary:
      if (const BinaryValue* x = std::get_if<BinaryValue>(&a)) return OrderOf(x->bytes, std::get<BinaryValue>(b).bytes);
      break;
    default: break;
  }
  return std::partial_ordering::unordered;
}

}  // namespace datashard::iceberg
