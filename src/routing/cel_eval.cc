#include "routing/cel_eval.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/error.h"
#include "routing/cel_numbers.h"
#include "routing/hash.h"
#include "routing/utf8.h"

namespace datashard::routing::cel {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr double kTwoTo64 = 18446744073709551616.0;

template <typename T>
bool Holds(Symbol relation, const T& left, const T& right) {
  switch (relation) {
    case Symbol::kEqual: return left == right;
    case Symbol::kNotEqual: return left != right;
    case Symbol::kLess: return left < right;
    case Symbol::kLessEqual: return left <= right;
    case Symbol::kGreater: return left > right;
    default: return left >= right;
  }
}

bool Compare(Symbol relation, const Value& left, const Value& right) {
  switch (left.type) {
    case ValueType::kInt: return Holds(relation, left.i, right.i);
    case ValueType::kUint: return Holds(relation, left.u, right.u);
    case ValueType::kDouble: return Holds(relation, left.d, right.d);
    case ValueType::kBool: return Holds(relation, left.b, right.b);
    case ValueType::kString:
    case ValueType::kBytes: return Holds(relation, left.bytes(), right.bytes());
    default: return relation == Symbol::kEqual;  // null and null
  }
}

bool OverflowsInt(Symbol symbol, int64_t left, int64_t right, int64_t& result) {
  switch (symbol) {
    case Symbol::kPlus: return __builtin_add_overflow(left, right, &result);
    case Symbol::kMinus: return __builtin_sub_overflow(left, right, &result);
    case Symbol::kTimes: return __builtin_mul_overflow(left, right, &result);
    default: break;
  }
  if (left == INT64_MIN && right == -1) return true;
  result = symbol == Symbol::kDivide ? left / right : left % right;
  return false;
}

bool OverflowsUint(Symbol symbol, uint64_t left, uint64_t right, uint64_t& result) {
  switch (symbol) {
    case Symbol::kPlus: return __builtin_add_overflow(left, right, &result);
    case Symbol::kMinus: return __builtin_sub_overflow(left, right, &result);
    case Symbol::kTimes: return __builtin_mul_overflow(left, right, &result);
    default: result = symbol == Symbol::kDivide ? left / right : left % right; return false;
  }
}

double OfDoubles(Symbol symbol, double left, double right) {
  switch (symbol) {
    case Symbol::kPlus: return left + right;
    case Symbol::kMinus: return left - right;
    case Symbol::kTimes: return left * right;
    default: return left / right;
  }
}

Value Arithmetic(Symbol symbol, const Value& left, const Value& right, uint32_t id) {
  if (left.type == ValueType::kDouble) return Value::Double(OfDoubles(symbol, left.d, right.d));
  if (right.u == 0 && symbol == Symbol::kDivide) return Value::Failed(Fault::kDivision, id);
  if (right.u == 0 && symbol == Symbol::kModulo) return Value::Failed(Fault::kModulus, id);
  Value result = left;
  const bool overflow = left.type == ValueType::kInt ? OverflowsInt(symbol, left.i, right.i, result.i)
                                                     : OverflowsUint(symbol, left.u, right.u, result.u);
  return overflow ? Value::Failed(Fault::kOverflow, id) : result;
}

Value Negated(const Value& value, uint32_t id) {
  if (value.type == ValueType::kDouble) return Value::Double(-value.d);
  return value.i == INT64_MIN ? Value::Failed(Fault::kOverflow, id) : Value::Int(-value.i);
}

Value Hashed(const Value& value, uint32_t id) {
  if (value.type == ValueType::kString || value.type == ValueType::kBytes) return Value::Uint(DigestOf(value.bytes()));
  if (value.type == ValueType::kUint && value.u > uint64_t{INT64_MAX}) return Value::Failed(Fault::kHashRange, id);
  return Value::Uint(DigestOfNumber(value.u));
}

template <typename T>
Value OrFailed(const std::optional<T>& parsed, Value (*make)(T), uint32_t id) {
  return parsed ? make(*parsed) : Value::Failed(Fault::kConversion, id);
}

Value ToInt(const Value& value, uint32_t id) {
  switch (value.type) {
    case ValueType::kUint: return value.u <= uint64_t{INT64_MAX} ? Value::Int(value.i) : Value::Failed(Fault::kConversion, id);
    case ValueType::kDouble:
      // -2^63 itself is refused, as by other implementations.
      return value.d > -kTwoTo63 && value.d < kTwoTo63 ? Value::Int(static_cast<int64_t>(value.d)) : Value::Failed(Fault::kConversion, id);
    case ValueType::kString: return OrFailed(ParseInt(value.bytes()), &Value::Int, id);
    default: return value;
  }
}

Value ToUint(const Value& value, uint32_t id) {
  switch (value.type) {
    case ValueType::kInt: return value.i >= 0 ? Value::Uint(value.u) : Value::Failed(Fault::kConversion, id);
    case ValueType::kDouble:
      return value.d >= 0 && value.d < kTwoTo64 ? Value::Uint(static_cast<uint64_t>(value.d)) : Value::Failed(Fault::kConversion, id);
    case ValueType::kString: return OrFailed(ParseUint(value.bytes()), &Value::Uint, id);
    default: return value;
  }
}

Value ToDouble(const Value& value, uint32_t id) {
  switch (value.type) {
    case ValueType::kInt: return Value::Double(static_cast<double>(value.i));
    case ValueType::kUint: return Value::Double(static_cast<double>(value.u));
    case ValueType::kString: return OrFailed(ParseDouble(value.bytes()), &Value::Double, id);
    default: return value;
  }
}

Value Function(Op op, const Value& text, const Value& part) {
  switch (op) {
    case Op::kStartsWith: return Value::Bool(text.bytes().starts_with(part.bytes()));
    case Op::kEndsWith: return Value::Bool(text.bytes().ends_with(part.bytes()));
    default: return Value::Bool(text.bytes().find(part.bytes()) != ByteView::npos);
  }
}

Value SizeOf(const Value& value) {
  return Value::Int(value.type == ValueType::kString ? CodePointCount(value.bytes()) : static_cast<int64_t>(value.u));
}

}  // namespace

Value Evaluation::Eval(uint32_t id) {
  while (true) {
    const Node& node = program_.nodes[id];
    switch (node.op) {
      case Op::kLiteral: return node.literal;
      case Op::kColumn: return Column(node, id);
      case Op::kTernary: {
        const Value condition = Eval(program_.arg(node, 0));
        if (condition.failed()) return condition;
        id = program_.arg(node, condition.b ? 1 : 2);
        continue;
      }
      case Op::kOr:
      case Op::kAnd: return Either(node);
      case Op::kIn: return Member(node);
      case Op::kNot:
      case Op::kNegate:
      case Op::kHash:
      case Op::kSize:
      case Op::kConvert: return Unary(node, id);
      default: return Binary(node, id);
    }
  }
}

Value Evaluation::Column(const Node& node, uint32_t id) const {
  const CelValue& value = columns_[node.literal.u];
  const auto* number = std::get_if<int64_t>(&value);
  const auto* large = std::get_if<uint64_t>(&value);
  switch (node.type) {
    case ValueType::kInt:
      if (number != nullptr) return Value::Int(*number);
      if (large != nullptr && *large <= uint64_t{INT64_MAX}) return Value::Int(static_cast<int64_t>(*large));
      break;
    case ValueType::kUint:
      if (large != nullptr) return Value::Uint(*large);
      if (number != nullptr && *number >= 0) return Value::Uint(static_cast<uint64_t>(*number));
      break;
    case ValueType::kDouble:
      if (const auto* real = std::get_if<double>(&value)) return Value::Double(*real);
      if (number != nullptr) return Value::Double(static_cast<double>(*number));
      if (large != nullptr) return Value::Double(static_cast<double>(*large));
      break;
    case ValueType::kBool:
      if (const auto* truth = std::get_if<bool>(&value)) return Value::Bool(*truth);
      break;
    case ValueType::kString:
      if (const auto* text = std::get_if<CelText>(&value)) return Value::Text(ValueType::kString, text->text);
      if (const auto* bytes = std::get_if<CelBytes>(&value); bytes != nullptr && IsUtf8(bytes->bytes)) {
        return Value::Text(ValueType::kString, bytes->bytes);
      }
      break;
    default:
      if (const auto* bytes = std::get_if<CelBytes>(&value)) return Value::Text(ValueType::kBytes, bytes->bytes);
  }
  return Value::Failed(Fault::kColumn, id);
}

/// One operand may decide whatever the others are, faults included; without one a fault remains.
Value Evaluation::Either(const Node& node) {
  const bool deciding = node.op == Op::kOr;
  Value result = Value::Bool(!deciding);
  for (uint32_t i = 0; i < node.args_count; ++i) {
    const Value operand = Eval(program_.arg(node, i));
    if (operand.failed()) {
      if (!result.failed()) result = operand;
    } else if (operand.b == deciding) {
      return operand;
    }
  }
  return result;
}

Value Evaluation::Member(const Node& node) {
  const Value wanted = Eval(program_.arg(node, 0));
  if (wanted.failed()) return wanted;
  const Node& list = program_.nodes[program_.arg(node, 1)];
  bool found = false;
  for (uint32_t i = 0; i < list.args_count; ++i) {
    const Value element = Eval(program_.arg(list, i));
    if (element.failed()) return element;
    found = found || Compare(Symbol::kEqual, wanted, element);
    if (found && list.op == Op::kLiteral) break;
  }
  return Value::Bool(found);
}

Value Evaluation::Unary(const Node& node, uint32_t id) {
  const Value value = Eval(program_.arg(node, 0));
  if (value.failed()) return value;
  switch (node.op) {
    case Op::kNot: return Value::Bool(!value.b);
    case Op::kNegate: return Negated(value, id);
    case Op::kHash: return Hashed(value, id);
    case Op::kSize: return SizeOf(value);
    default: return Convert(value, node.type, id);
  }
}

Value Evaluation::Binary(const Node& node, uint32_t id) {
  const Value left = Eval(program_.arg(node, 0));
  if (left.failed()) return left;
  const Value right = Eval(program_.arg(node, 1));
  if (right.failed()) return right;
  switch (node.op) {
    case Op::kCompare: return Value::Bool(Compare(node.symbol, left, right));
    case Op::kArithmetic: return Arithmetic(node.symbol, left, right, id);
    case Op::kConcat: return Concat(left, right, id);
    default: return Function(node.op, left, right);
  }
}

Value Evaluation::Concat(const Value& left, const Value& right, uint32_t id) {
  const size_t size = left.u + right.u;
  char* joined = scratch_.Take(size);
  if (joined == nullptr) return Value::Failed(Fault::kTooLong, id);
  std::ranges::copy(right.bytes(), std::ranges::copy(left.bytes(), joined).out);
  return Value::Text(left.type, {joined, size});
}

Value Evaluation::Convert(const Value& value, ValueType to, uint32_t id) {
  switch (to) {
    case ValueType::kInt: return ToInt(value, id);
    case ValueType::kUint: return ToUint(value, id);
    case ValueType::kDouble: return ToDouble(value, id);
    case ValueType::kBool: return value.type == ValueType::kBool ? value : OrFailed(ParseBool(value.bytes()), &Value::Bool, id);
    case ValueType::kBytes: return Value::Text(ValueType::kBytes, value.bytes());
    default: return ToText(value, id);
  }
}

Value Evaluation::ToText(const Value& value, uint32_t id) {
  if (value.type == ValueType::kString) return value;
  if (value.type == ValueType::kBool) return Value::Text(ValueType::kString, value.b ? "true" : "false");
  if (value.type == ValueType::kBytes) {
    return IsUtf8(value.bytes()) ? Value::Text(ValueType::kString, value.bytes()) : Value::Failed(Fault::kNotUtf8, id);
  }
  constexpr size_t kDigitsMax = 32;
  char digits[kDigitsMax];
  size_t size = 0;
  if (value.type == ValueType::kDouble) {
    size = FormatDouble(value.d, digits);
  } else {
    size = static_cast<size_t>((value.type == ValueType::kInt ? std::to_chars(digits, digits + kDigitsMax, value.i)
                                                              : std::to_chars(digits, digits + kDigitsMax, value.u)).ptr - digits);
  }
  char* text = scratch_.Take(size);
  if (text == nullptr) return Value::Failed(Fault::kTooLong, id);
  std::memcpy(text, digits, size);
  return Value::Text(ValueType::kString, {text, size});
}

}  // namespace datashard::routing::cel
