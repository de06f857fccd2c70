// A CEL expression as a tree: the parser makes it, the check gives every node its type and operation, the evaluation walks it.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace datashard::routing::cel {

enum class Symbol : uint8_t {
  kEnd, kInt, kUint, kDouble, kString, kBytes, kTrue, kFalse, kNull, kIdentifier,
  kLeftParen, kRightParen, kLeftBracket, kRightBracket, kLeftBrace, kRightBrace, kComma, kDot, kColon, kQuestion,
  kOr, kAnd, kNot,
  kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn,
  kPlus, kMinus, kTimes, kDivide, kModulo,
};

enum class ValueType : uint8_t { kInt, kUint, kDouble, kBool, kString, kBytes, kNull, kFault };

/// "int", "uint", … "null".
std::string_view ToString(ValueType type);

enum class Fault : uint8_t { kColumn, kDivision, kModulus, kOverflow, kConversion, kNotUtf8, kHashRange, kTooLong };

/// A value while the expression is evaluated, or the fault that took its place. Borrows text and bytes.
struct Value {
  ValueType type = ValueType::kNull;
  Fault fault{};
  union {
    int64_t i;
    uint64_t u = 0;  ///< also the size of text and bytes; of a fault its node
    double d;
    bool b;
  };
  const char* data = nullptr;

  static Value Int(int64_t number) { Value v; v.type = ValueType::kInt; v.i = number; return v; }
  static Value Uint(uint64_t number) { Value v; v.type = ValueType::kUint; v.u = number; return v; }
  static Value Double(double number) { Value v; v.type = ValueType::kDouble; v.d = number; return v; }
  static Value Bool(bool truth) { Value v; v.type = ValueType::kBool; v.u = 0; v.b = truth; return v; }
  static Value Text(ValueType type, ByteView bytes) { Value v; v.type = type; v.u = bytes.size(); v.data = bytes.data(); return v; }
  static Value Failed(Fault fault, uint32_t node) { Value v; v.type = ValueType::kFault; v.u = node; v.fault = fault; return v; }
  bool failed() const { return type == ValueType::kFault; }
  ByteView bytes() const { return {data, u}; }
};

/// What the parser saw.
enum class Form : uint8_t { kLiteral, kName, kSelect, kIndex, kCall, kMethod, kList, kMap, kMessage, kUnary, kBinary, kTernary };

/// What is to be done; kNothing until the check.
enum class Op : uint8_t {
  kNothing, kLiteral, kColumn, kTernary, kAnd, kOr, kNot, kNegate, kArithmetic, kConcat, kCompare, kIn,
  kHash, kSize, kStartsWith, kEndsWith, kContains, kConvert,
};

struct Node {
  Form form;
  Op op = Op::kNothing;
  Symbol symbol = Symbol::kEnd;          ///< of kUnary and kBinary
  ValueType type = ValueType::kNull;     ///< of the result
  uint16_t depth = 1;
  uint32_t begin = 0, end = 0;           ///< where it stands in the source
  uint32_t name_begin = 0, name_end = 0; ///< of names, calls and methods
  uint32_t args = 0, args_count = 0;     ///< in Program::args; the receiver of a method is the first
  Value literal;                         ///< of kLiteral; the index of kColumn
};

/// Stays where it was made: literals point into it.
struct Program {
  std::string source;
  std::deque<Bytes> texts;
  std::vector<Node> nodes;
  std::vector<uint32_t> args;
  uint32_t root = 0;

  uint32_t arg(const Node& node, uint32_t index) const { return args[node.args + index]; }
  std::string_view NameOf(const Node& node) const { return std::string_view(source).substr(node.name_begin, node.name_end - node.name_begin); }
};

/// For messages: "`i / 0` (line 1, column 3)"; long ones are cut.
std::string Shown(const Program& program, uint32_t begin, uint32_t end);
/// For messages: "line 1, column 3".
std::string PlaceOf(const Program& program, uint32_t offset);

}  // namespace datashard::routing::cel
