// ParseLiteral: constants as they are typed on a command line.
#include <charconv>
#include <cmath>
#include <string>

#include "base/base64.h"
#include "base/error.h"
#include "data/cast_column.h"
#include "data/iso_time.h"
#include "datashard/rows.h"
#include "iceberg/decimal.h"
#include "iceberg/value.h"

namespace datashard {
namespace {

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string_view Example(TypeKind kind) {
  switch (kind) {
    case TypeKind::kBoolean: return "true";
    case TypeKind::kInt:
    case TypeKind::kLong: return "42";
    case TypeKind::kFloat:
    case TypeKind::kDouble: return "12.5";
    case TypeKind::kDecimal: return "12.50";
    case TypeKind::kDate: return "2013-01-31";
    case TypeKind::kTime: return "05:00:00";
    case TypeKind::kTimestamp: return "2013-01-31T05:00:00";
    case TypeKind::kTimestampTz: return "2013-01-31T05:00:00Z";
    case TypeKind::kUuid: return "f79c3e09-677c-4bbd-a479-3f349cb785e7";
    default: return "aGVsbG8= (base64)";
  }
}

template <typename Parsed, typename Make>
std::optional<Literal> Then(const std::optional<Parsed>& parsed, Make make) {
  return parsed.has_value() ? std::optional<Literal>(make(*parsed)) : std::nullopt;
}

std::optional<Literal> Parse(std::string_view text, const Type& type) {
  const auto as_is = [](auto value) { return Literal(std::move(value)); };
  switch (type.kind()) {
    case TypeKind::kBoolean:
      if (text == "true" || text == "false") return Literal(text == "true");
      return std::nullopt;
    case TypeKind::kInt:
    case TypeKind::kLong:
      if (const auto number = ParseNumber<int64_t>(text)) return Literal(*number);
      // A number between or beyond the column's can still be compared with them.
      if (iceberg::IsDecimalText(text)) return Literal(DecimalValue{std::string(text)});
      return std::nullopt;
    case TypeKind::kFloat:
    case TypeKind::kDouble: return Then(ParseNumber<double>(text), as_is);
    case TypeKind::kDecimal: return Literal(DecimalValue{std::string(text)});
    case TypeKind::kDate: return Then(data::ParseDate(text), [](int32_t days) { return Literal(DateValue{days}); });
    case TypeKind::kTime:
      return Then(data::ParseTimeOfDay(text), [](int64_t micros) { return Literal(TimeValue{micros}); });
    case TypeKind::kTimestamp:
    case TypeKind::kTimestampTz: {
      const bool utc = type.kind() == TypeKind::kTimestampTz;
      const auto parsed = data::ParseTimestamp(text);
      // An instant typed without a zone is in UTC, as it is printed; a zone where none belongs is a mistake.
      if (!parsed.has_value() || (parsed->has_zone && !utc)) return std::nullopt;
      return Literal(TimestampValue{parsed->micros, utc});
    }
    case TypeKind::kString: return Literal(std::string(text));
    case TypeKind::kUuid:
      return Then(data::ParseUuid(text), [](const auto& bytes) { return Literal(UuidValue{bytes}); });
    case TypeKind::kFixed:
    case TypeKind::kBinary:
      return Then(ParseBase64(text), [](const std::string& bytes) { return Literal(BinaryValue{bytes}); });
    default: return std::nullopt;
  }
}

}  // namespace

Result<Literal> ParseLiteral(std::string_view text, const Type& type) {
  const std::optional<Literal> parsed = Parse(text, type);
  const bool is_integer = type.kind() == TypeKind::kInt || type.kind() == TypeKind::kLong;
  if (parsed.has_value() && is_integer) return *parsed;
  if (parsed.has_value()) {
    Result<Literal> coerced = iceberg::CoerceLiteral(*parsed, type);
    if (coerced.ok()) return coerced;
  }
  return InvalidArgument("'{}' is no value of type {}; write it as {}", text.substr(0, 100), type.ToString(),
                         Example(type.kind()))
      .About(ErrorSubject::kOperand);
}

}  // namespace datashard
