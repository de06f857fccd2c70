#include "data/text_column.h"

#include <arrow/api.h>

#include "base/base64.h"
#include "base/error.h"
#include "data/arrow_support.h"
#include "data/arrow_types.h"
#include "data/cast_column.h"
#include "data/iso_time.h"

namespace datashard::data {
namespace {

std::optional<int64_t> ParseInstant(std::string_view text, bool with_zone) {
  const auto parsed = ParseTimestamp(text);
  if (!parsed.has_value() || parsed->has_zone != with_zone) return std::nullopt;
  return parsed->micros;
}

arrow::Status NotReadable(std::string_view text, const Type& type, int64_t row) {
  return ToArrow(InvalidArgument("row {}: '{}' is no {}{}", row, text.substr(0, 60), type.ToString(),
                                 type.kind() == TypeKind::kTimestampTz ? ", which has a zone such as Z or +02:00" : "")
                     .About(ErrorSubject::kValue));
}

// Appends what `parse` makes of each value to a builder.
template <typename Builder, typename Parse>
Result<std::shared_ptr<arrow::Array>> Build(const arrow::StringArray& text, const Type& type, int64_t first_row, Builder builder,
                                            Parse parse) {
  const auto append = [&](int64_t row) -> arrow::Status {
    if (text.IsNull(row)) return builder.AppendNull();
    const auto value = parse(text.GetView(row));
    if (!value.has_value()) return NotReadable(text.GetView(row), type, first_row + row);
    return builder.Append(*value);
  };
  for (int64_t row = 0; row < text.length(); ++row) DS_RETURN_IF_ERROR(Lift(append(row), ErrorKind::kInternal));
  return Lift(builder.Finish(), ErrorKind::kInternal);
}

}  // namespace

Result<std::shared_ptr<arrow::Array>> ConvertText(const std::shared_ptr<arrow::Array>& column, const Type& type,
                                                  int64_t first_row) {
  if (column->type_id() != arrow::Type::STRING) return CastColumn(column, type, first_row);
  const auto& text = static_cast<const arrow::StringArray&>(*column);
  DS_ASSIGN_OR_RETURN(const auto to, ArrowTypeOf(type));
  arrow::MemoryPool* pool = arrow::default_memory_pool();
  switch (type.kind()) {
    case TypeKind::kDate:
      return Build(text, type, first_row, arrow::Date32Builder(pool), ParseDate);
    case TypeKind::kTime:
      return Build(text, type, first_row, arrow::Time64Builder(to, pool), ParseTimeOfDay);
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampTz:
      return Build(text, type, first_row, arrow::TimestampBuilder(to, pool), [&](std::string_view value) {
        return ParseInstant(value, /*with_zone=*/type.kind() == TypeKind::kTimestampTz);
      });
    case TypeKind::kBinary:
      return Build(text, type, first_row, arrow::BinaryBuilder(pool), ParseBase64);
    case TypeKind::kFixed:
      return Build(text, type, first_row, arrow::FixedSizeBinaryBuilder(to, pool), [&](std::string_view value) {
        auto bytes = ParseBase64(value);
        return bytes.has_value() && static_cast<int64_t>(bytes->size()) == type.length() ? bytes : std::nullopt;
      });
    default: return CastColumn(column, type, first_row);
  }
}

}  // namespace datashard::data
