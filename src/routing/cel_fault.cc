// What is said about an expression that has no value for a row.
#include "base/error.h"
#include "routing/cel_eval.h"

namespace datashard::routing::cel {
namespace {

std::string ShownValue(const CelValue& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) return fmt::format("{}", *number);
  if (const auto* number = std::get_if<uint64_t>(&value)) return fmt::format("{}", *number);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("the double {}", *number);
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  if (const auto* text = std::get_if<CelText>(&value)) return ToString(KeyView::Text(text->text));
  if (const auto* bytes = std::get_if<CelBytes>(&value)) return ToString(KeyView::Bytes(bytes->bytes));
  return "null";
}

std::string_view Why(Fault fault) {
  switch (fault) {
    case Fault::kDivision: return "division by zero";
    case Fault::kModulus: return "modulus by zero";
    case Fault::kOverflow: return "the result does not fit its type";
    case Fault::kConversion: return "the value cannot be converted";
    case Fault::kNotUtf8: return "the bytes are not UTF-8";
    case Fault::kHashRange: return "shard_hash takes integers up to 9223372036854775807";
    case Fault::kTooLong: return "text and bytes made on the way exceed 16 MiB";
    case Fault::kColumn: break;
  }
  return "the value does not fit the column";
}

}  // namespace

Error Describe(const Program& program, const Value& fault, const std::vector<std::pair<std::string, CelType>>& columns,
               std::span<const CelValue> values) {
  const Node& node = program.nodes[fault.u];
  if (fault.fault == Fault::kColumn) {
    const auto& [name, type] = columns[node.literal.u];
    return InvalidArgument("column {} of the sharding expression takes {}; it was given {}", ToString(KeyView::Text(name)), ToString(type),
                           ShownValue(values[node.literal.u]));
  }
  return InvalidArgument("cel_expr: {}: {}", Shown(program, node.begin, node.end), Why(fault.fault));
}

}  // namespace datashard::routing::cel
