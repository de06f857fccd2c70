// Arrow's safe casts do most of the work; here stand the rules about which casts are allowed, and the few conversions
// Arrow does loosely (it lets double overflow to infinity, dates lose their time of day) or not at all (uuid from text).
#include "data/cast_column.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/extension_type.h>

#include <cmath>

#include "base/error.h"
#include "data/arrow_support.h"
#include "data/arrow_types.h"

namespace datashard::data {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;
constexpr int64_t kMicrosPerDay = 86'400'000'000;

bool IsText(arrow::Type::type id) {
  return id == arrow::Type::STRING || id == arrow::Type::LARGE_STRING || id == arrow::Type::STRING_VIEW;
}
bool IsBytes(arrow::Type::type id) {
  return id == arrow::Type::BINARY || id == arrow::Type::LARGE_BINARY || id == arrow::Type::BINARY_VIEW;
}
bool HasZone(const arrow::DataType& type) {
  return !static_cast<const arrow::TimestampType&>(type).timezone().empty();
}

bool Castable(const arrow::DataType& from, const Type& to) {
  const arrow::Type::type id = from.id();
  if (id == arrow::Type::NA) return true;
  const bool is_integer = arrow::is_integer(id);
  const bool is_float = arrow::is_floating(id);
  switch (to.kind()) {
    case TypeKind::kBoolean: return id == arrow::Type::BOOL;
    case TypeKind::kInt:
    case TypeKind::kLong: return is_integer || is_float || arrow::is_decimal(id);
    case TypeKind::kFloat:
    case TypeKind::kDouble: return is_integer || is_float;
    case TypeKind::kDecimal: return is_integer || arrow::is_decimal(id);
    case TypeKind::kDate:
      return id == arrow::Type::DATE32 || id == arrow::Type::DATE64 || (id == arrow::Type::TIMESTAMP && !HasZone(from));
    case TypeKind::kTime: return id == arrow::Type::TIME32 || id == arrow::Type::TIME64;
    case TypeKind::kTimestamp: return id == arrow::Type::TIMESTAMP && !HasZone(from);
    // Without a zone it is in UTC, as everywhere where rows come in.
    case TypeKind::kTimestampTz: return id == arrow::Type::TIMESTAMP;
    case TypeKind::kString: return IsText(id);
    case TypeKind::kUuid: return IsText(id) || IsBytes(id) || id == arrow::Type::FIXED_SIZE_BINARY;
    case TypeKind::kFixed: return IsBytes(id) || id == arrow::Type::FIXED_SIZE_BINARY;
    case TypeKind::kBinary: return IsBytes(id) || id == arrow::Type::FIXED_SIZE_BINARY;
    default: return false;
  }
}

Result<ArrayPtr> ArrowCast(const ArrayPtr& column, const std::shared_ptr<arrow::DataType>& to) {
  return Lift(arrow::compute::Cast(*column, to, arrow::compute::CastOptions::Safe()), ErrorKind::kInvalidArgument);
}

// Integers beyond the target's scale need a detour: Arrow asks for room for every int64 before it looks at the values.
Result<ArrayPtr> IntegerToDecimal(const ArrayPtr& column, const std::shared_ptr<arrow::DataType>& to) {
  DS_ASSIGN_OR_RETURN(const ArrayPtr whole, ArrowCast(column, arrow::decimal128(20, 0)));
  return ArrowCast(whole, to);
}

Result<ArrayPtr> RoundToFloat(const ArrayPtr& column) {
  DS_ASSIGN_OR_RETURN(ArrayPtr rounded, ArrowCast(column, arrow::float32()));
  if (column->type_id() != arrow::Type::DOUBLE) return rounded;
  const auto& in = static_cast<const arrow::DoubleArray&>(*column);
  const auto& out = static_cast<const arrow::FloatArray&>(*rounded);
  for (int64_t i = 0; i < in.length(); ++i) {
    if (in.IsValid(i) && std::isfinite(in.Value(i)) && !std::isfinite(out.Value(i)))
      return InvalidArgument("{} is beyond the range of float", in.Value(i));
  }
  return rounded;
}

// Arrow drops the time of day without a word, so the way back has to give the same value.
Result<ArrayPtr> WholeDays(const ArrayPtr& column) {
  DS_ASSIGN_OR_RETURN(ArrayPtr days, ArrowCast(column, arrow::date32()));
  DS_ASSIGN_OR_RETURN(const ArrayPtr back, ArrowCast(days, column->type()));
  if (!back->Equals(*column)) return InvalidArgument("a time of day would be truncated converting to date");
  return days;
}

Result<ArrayPtr> TimeOfDay(const ArrayPtr& column, const std::shared_ptr<arrow::DataType>& to) {
  DS_ASSIGN_OR_RETURN(ArrayPtr times, ArrowCast(column, to));
  const auto& micros = static_cast<const arrow::Time64Array&>(*times);
  for (int64_t i = 0; i < micros.length(); ++i) {
    if (micros.IsValid(i) && (micros.Value(i) < 0 || micros.Value(i) >= kMicrosPerDay))
      return InvalidArgument("{} microseconds are no time of day", micros.Value(i));
  }
  return times;
}

Result<ArrayPtr> FinishBuilder(arrow::ArrayBuilder& builder) {
  return Lift(builder.Finish(), ErrorKind::kInternal);
}

// `text` is an array of utf8 or binary: either's values are views.
Result<ArrayPtr> TextToUuid(const arrow::BinaryArray& text) {
  arrow::FixedSizeBinaryBuilder builder(arrow::fixed_size_binary(16));
  DS_RETURN_IF_ERROR(Lift(builder.Reserve(text.length()), ErrorKind::kInternal));
  for (int64_t i = 0; i < text.length(); ++i) {
    if (text.IsNull(i)) {
      builder.UnsafeAppendNull();
      continue;
    }
    const auto uuid = ParseUuid(text.GetView(i));
    if (!uuid.has_value()) return InvalidArgument("'{}' is no uuid", text.GetView(i).substr(0, 60));
    builder.UnsafeAppend(uuid->data());
  }
  return FinishBuilder(builder);
}

Result<ArrayPtr> BytesToFixed(const arrow::BinaryArray& bytes, int32_t length) {
  arrow::FixedSizeBinaryBuilder builder(arrow::fixed_size_binary(length));
  DS_RETURN_IF_ERROR(Lift(builder.Reserve(bytes.length()), ErrorKind::kInternal));
  for (int64_t i = 0; i < bytes.length(); ++i) {
    if (bytes.IsNull(i)) {
      builder.UnsafeAppendNull();
      continue;
    }
    const std::string_view value = bytes.GetView(i);
    if (static_cast<int64_t>(value.size()) != length)
      return InvalidArgument("a value of {} bytes, where {} are wanted", value.size(), length);
    builder.UnsafeAppend(value);
  }
  return FinishBuilder(builder);
}

Result<ArrayPtr> CastPlain(ArrayPtr column, const Type& to) {
  DS_ASSIGN_OR_RETURN(const auto want, ArrowTypeOf(to));
  const arrow::Type::type id = column->type_id();
  if (column->type()->Equals(*want) && to.kind() != TypeKind::kTime) return column;
  if (id == arrow::Type::NA) return Lift(arrow::MakeArrayOfNull(want, column->length()), ErrorKind::kInternal);
  switch (to.kind()) {
    case TypeKind::kDecimal: return arrow::is_integer(id) ? IntegerToDecimal(column, want) : ArrowCast(column, want);
    case TypeKind::kFloat: return RoundToFloat(column);
    case TypeKind::kDate: return WholeDays(column);
    case TypeKind::kTime: return TimeOfDay(column, want);
    case TypeKind::kUuid:
    case TypeKind::kFixed: {
      const int32_t length = to.kind() == TypeKind::kUuid ? 16 : to.length();
      if (id == arrow::Type::FIXED_SIZE_BINARY)
        return InvalidArgument("values of {} bytes, where {} are wanted",
                               static_cast<const arrow::FixedSizeBinaryType&>(*column->type()).byte_width(), length);
      const bool is_text = IsText(id);
      DS_ASSIGN_OR_RETURN(const ArrayPtr small, ArrowCast(column, is_text ? arrow::utf8() : arrow::binary()));
      const auto& values = static_cast<const arrow::BinaryArray&>(*small);
      return is_text ? TextToUuid(values) : BytesToFixed(values, length);
    }
    default: return ArrowCast(column, want);
  }
}

// Arrow cannot look values up in an array of views, such as polars has behind its categories.
Result<ArrayPtr> WithoutViews(ArrayPtr values) {
  if (values->type_id() == arrow::Type::STRING_VIEW) return ArrowCast(values, arrow::large_utf8());
  if (values->type_id() == arrow::Type::BINARY_VIEW) return ArrowCast(values, arrow::large_binary());
  return values;
}

// The first row that alone keeps `column` from being cast: the shortest failing prefix ends with it.
int64_t FirstBadRow(const ArrayPtr& column, const Type& to) {
  int64_t good = 0;
  int64_t bad = column->length();
  while (good + 1 < bad) {
    const int64_t middle = good + (bad - good) / 2;
    (CastPlain(column->Slice(0, middle), to).ok() ? good : bad) = middle;
  }
  return bad - 1;
}

}  // namespace

Status CheckCastable(const std::shared_ptr<arrow::DataType>& from, const Type& to) {
  if (Castable(*ValueType(from), to)) return {};
  return InvalidArgument("values of Arrow type {} cannot be stored as {}", from->ToString(), to.ToString())
      .About(ErrorSubject::kValue);
}

Result<ArrayPtr> PlainColumn(ArrayPtr column) {
  for (;;) {
    switch (column->type_id()) {
      case arrow::Type::EXTENSION: column = static_cast<const arrow::ExtensionArray&>(*column).storage(); break;
      case arrow::Type::DICTIONARY: {
        const auto& dictionary = static_cast<const arrow::DictionaryArray&>(*column);
        DS_ASSIGN_OR_RETURN(const ArrayPtr values, WithoutViews(dictionary.dictionary()));
        DS_ASSIGN_OR_RETURN(const auto taken, Lift(arrow::compute::Take(*values, *dictionary.indices()),
                                                   ErrorKind::kInvalidArgument));
        column = taken;
        break;
      }
      case arrow::Type::RUN_END_ENCODED: {
        DS_ASSIGN_OR_RETURN(const auto decoded,
                            Lift(arrow::compute::RunEndDecode(column), ErrorKind::kInvalidArgument));
        column = decoded.make_array();
        break;
      }
      default: return column;
    }
  }
}

Result<ArrayPtr> CastColumn(const ArrayPtr& column, const Type& to, int64_t first_row) {
  DS_ASSIGN_OR_RETURN(const ArrayPtr plain, PlainColumn(column));
  Result<ArrayPtr> cast = CastPlain(plain, to);
  if (cast.ok()) return cast;
  if (cast.kind() != ErrorKind::kInvalidArgument) return std::move(cast).error();
  const int64_t row = FirstBadRow(plain, to);
  const Result<ArrayPtr> alone = CastPlain(plain->Slice(row, 1), to);
  // A single row that casts well means the whole was too much: 2 GiB is what 32-bit offsets reach.
  if (alone.ok())
    return Unsupported("the values of one batch do not fit together: {}; give smaller batches", cast.error().message());
  return InvalidArgument("row {}: {}", first_row + row, alone.error().message()).About(ErrorSubject::kValue);
}

std::optional<std::array<uint8_t, 16>> ParseUuid(std::string_view text) {
  const bool dashed = text.size() == 36;
  if (!dashed && text.size() != 32) return std::nullopt;
  std::array<uint8_t, 16> bytes{};
  size_t digit = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (dashed && (i == 8 || i == 13 || i == 18 || i == 23)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const char c = text[i];
    int value = 0;
    if (c >= '0' && c <= '9') value = c - '0';
    else if (c >= 'a' && c <= 'f') value = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F') value = c - 'A' + 10;
    else return std::nullopt;
    bytes[digit / 2] = static_cast<uint8_t>(bytes[digit / 2] << 4 | value);
    ++digit;
  }
  return bytes;
}

}  // namespace datashard::data
