#include "routing/cel_check.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/error.h"

namespace datashard::routing::cel {
namespace {

using enum ValueType;

template <typename... Types>
constexpr uint32_t AnyOf(Types... types) {
  return ((1U << static_cast<int>(types)) | ...);
}
bool Among(uint32_t set, ValueType type) { return (set >> static_cast<int>(type) & 1) != 0; }

enum class Spelling : uint8_t { kCall, kMethod, kBoth };

struct Function {
  std::string_view name;
  Op op;
  ValueType result;
  uint32_t takes;  ///< of the first argument; a second one is a string
  uint32_t args_count = 1;
  Spelling spelling = Spelling::kCall;
};

constexpr std::array<Function, 11> kFunctions = {{
    {"shard_hash", Op::kHash, kUint, AnyOf(kInt, kUint, kString, kBytes)},
    {"size", Op::kSize, kInt, AnyOf(kString, kBytes), 1, Spelling::kBoth},
    {"int", Op::kConvert, kInt, AnyOf(kInt, kUint, kDouble, kString)},
    {"uint", Op::kConvert, kUint, AnyOf(kInt, kUint, kDouble, kString)},
    {"double", Op::kConvert, kDouble, AnyOf(kInt, kUint, kDouble, kString)},
    {"string", Op::kConvert, kString, AnyOf(kInt, kUint, kDouble, kBool, kString, kBytes)},
    {"bytes", Op::kConvert, kBytes, AnyOf(kString, kBytes)},
    {"bool", Op::kConvert, kBool, AnyOf(kBool, kString)},
    {"startsWith", Op::kStartsWith, kBool, AnyOf(kString), 2, Spelling::kMethod},
    {"endsWith", Op::kEndsWith, kBool, AnyOf(kString), 2, Spelling::kMethod},
    {"contains", Op::kContains, kBool, AnyOf(kString), 2, Spelling::kMethod},
}};

/// Names that CEL keeps: types, which may stand as values, and words that may not stand at all.
constexpr std::array<std::string_view, 12> kTypeNames = {"int", "uint", "double", "bool", "string", "bytes",
                                                         "list", "map", "type", "null_type", "dyn", "google"};
constexpr std::array<std::string_view, 17> kReserved = {"as", "break", "const", "continue", "else", "for", "function", "if", "import",
                                                        "let", "loop", "package", "namespace", "return", "var", "void", "while"};

ValueType TypeOf(CelType type) {
  switch (type) {
    case CelType::kInt: return kInt;
    case CelType::kString: return kString;
    case CelType::kBytes: return kBytes;
    case CelType::kDouble: return kDouble;
    case CelType::kBool: return kBool;
    case CelType::kUint: break;
  }
  return kUint;
}

using Columns = std::vector<std::pair<std::string, CelType>>;

class Checker {
 public:
  Checker(Program& program, const Columns& columns) : program_(program), columns_(columns) {}

  Status Run() {
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (!index_.emplace(columns_[i].first, static_cast<uint32_t>(i)).second) {
        return InvalidArgument("cel_columns names {} twice", ToString(KeyView::Text(columns_[i].first)));
      }
    }
    DS_RETURN_IF_ERROR(CheckNode(program_.root));
    const ValueType type = program_.nodes[program_.root].type;
    if (Among(AnyOf(kInt, kUint, kString, kBytes), type)) return {};
    return InvalidArgument("cel_expr gives {}; a shard is an int or uint, or the string or bytes of a routing value", ToString(type));
  }

 private:
  Node& at(uint32_t id) { return program_.nodes[id]; }
  Node& arg(const Node& node, uint32_t index) { return at(program_.arg(node, index)); }
  std::string ShownNode(const Node& node) const { return Shown(program_, node.begin, node.end); }

  Error NotCompiled(const Node& node, std::string_view what) const {
    return Unsupported("cel_expr: {} is {}, which is not compiled here. The Python reader evaluates it with the package cel-expr-python",
                       ShownNode(node), what);
  }

  Error NoOperation(const Node& node) {
    std::string types;
    for (uint32_t i = 0; i < node.args_count; ++i) {
      types += fmt::format("{}{}", i == 0 ? "" : i + 1 == node.args_count ? " and " : ", ", ToString(arg(node, i).type));
    }
    return InvalidArgument("cel_expr: {}: there is no such operation of {}; types are never converted on their own, write int(…), uint(…), "
                           "double(…) or string(…)", ShownNode(node), types);
  }

  Status CheckArgs(const Node& node) {
    for (uint32_t i = 0; i < node.args_count; ++i) DS_RETURN_IF_ERROR(CheckNode(program_.arg(node, i)));
    return {};
  }

  static Status Set(Node& node, Op op, ValueType type) {
    node.op = op;
    node.type = type;
    return {};
  }

  Status CheckNode(uint32_t id) {
    Node& node = at(id);
    switch (node.form) {
      case Form::kLiteral: return Set(node, Op::kLiteral, node.type);
      case Form::kName: return CheckName(node);
      case Form::kCall:
      case Form::kMethod: return CheckFunction(node);
      case Form::kUnary: return CheckUnary(node);
      case Form::kTernary: return CheckTernary(node);
      case Form::kBinary: return node.symbol == Symbol::kIn ? CheckIn(node) : CheckBinary(node);
      case Form::kSelect: return NotCompiled(node, "a field selection");
      case Form::kIndex: return NotCompiled(node, "an index");
      case Form::kList: return NotCompiled(node, "a list outside of `in`");
      case Form::kMap: return NotCompiled(node, "a map");
      case Form::kMessage: break;
    }
    return NotCompiled(node, "a message");
  }

  Status CheckName(Node& node) {
    const std::string_view name = program_.NameOf(node);
    if (std::ranges::find(kReserved, name) != kReserved.end()) return InvalidArgument("cel_expr: {} is a reserved word", ShownNode(node));
    if (const auto found = index_.find(name); found != index_.end()) {
      node.literal.u = found->second;
      return Set(node, Op::kColumn, TypeOf(columns_[found->second].second));
    }
    if (std::ranges::find(kTypeNames, name) != kTypeNames.end()) return NotCompiled(node, "a type as a value");
    std::string known;
    for (const auto& [column, type] : columns_) known += fmt::format("{}{}", known.empty() ? "" : ", ", column);
    return InvalidArgument("cel_expr: {} is no column; cel_columns has {}", ShownNode(node), known.empty() ? "none" : known);
  }

  Status CheckFunction(Node& node) {
    const std::string_view name = program_.NameOf(node);
    const auto function = std::ranges::find(kFunctions, name, &Function::name);
    if (function == kFunctions.end()) return NotCompiled(node, fmt::format("a call of {}", name));
    const bool as_method = node.form == Form::kMethod;
    if (function->spelling == (as_method ? Spelling::kCall : Spelling::kMethod)) {
      return InvalidArgument("cel_expr: {}: write {}", ShownNode(node), as_method ? fmt::format("{}(…)", name) : fmt::format("text.{}(…)", name));
    }
    if (node.args_count != function->args_count) {
      return InvalidArgument("cel_expr: {}: {} takes {} argument{}, not {}", ShownNode(node), name, function->args_count - (as_method ? 1 : 0),
                             function->args_count - (as_method ? 1 : 0) == 1 ? "" : "s", node.args_count - (as_method ? 1 : 0));
    }
    DS_RETURN_IF_ERROR(CheckArgs(node));
    const bool fits = Among(function->takes, arg(node, 0).type) && (node.args_count == 1 || arg(node, 1).type == kString);
    if (!fits) return NoOperation(node);
    return Set(node, function->op, function->result);
  }

  Status CheckUnary(Node& node) {
    DS_RETURN_IF_ERROR(CheckArgs(node));
    const ValueType type = arg(node, 0).type;
    if (node.symbol == Symbol::kNot && type == kBool) return Set(node, Op::kNot, kBool);
    if (node.symbol == Symbol::kMinus && Among(AnyOf(kInt, kDouble), type)) return Set(node, Op::kNegate, type);
    return NoOperation(node);
  }

  Status CheckTernary(Node& node) {
    DS_RETURN_IF_ERROR(CheckArgs(node));
    if (arg(node, 0).type != kBool) {
      return InvalidArgument("cel_expr: {}: the condition is {}, not bool", ShownNode(node), ToString(arg(node, 0).type));
    }
    const ValueType yes = arg(node, 1).type;
    const ValueType no = arg(node, 2).type;
    if (yes != no) return InvalidArgument("cel_expr: {}: one branch is {}, the other {}", ShownNode(node), ToString(yes), ToString(no));
    return Set(node, Op::kTernary, yes);
  }

  Status CheckBinary(Node& node) {
    DS_RETURN_IF_ERROR(CheckArgs(node));
    const ValueType type = arg(node, 0).type;
    for (uint32_t i = 1; i < node.args_count; ++i) {
      if (arg(node, i).type != type) return NoOperation(node);
    }
    const bool number = Among(AnyOf(kInt, kUint, kDouble), type);
    switch (node.symbol) {
      case Symbol::kOr:
      case Symbol::kAnd: return type == kBool ? Set(node, node.symbol == Symbol::kOr ? Op::kOr : Op::kAnd, kBool) : NoOperation(node);
      case Symbol::kEqual:
      case Symbol::kNotEqual: return Set(node, Op::kCompare, kBool);
      case Symbol::kPlus:
        if (Among(AnyOf(kString, kBytes), type)) return Set(node, Op::kConcat, type);
        return number ? Set(node, Op::kArithmetic, type) : NoOperation(node);
      case Symbol::kModulo: return number && type != kDouble ? Set(node, Op::kArithmetic, type) : NoOperation(node);
      case Symbol::kMinus:
      case Symbol::kTimes:
      case Symbol::kDivide: return number ? Set(node, Op::kArithmetic, type) : NoOperation(node);
      default: return type != kNull ? Set(node, Op::kCompare, kBool) : NoOperation(node);
    }
  }

  Status CheckIn(Node& node) {
    DS_RETURN_IF_ERROR(CheckNode(program_.arg(node, 0)));
    Node& list = arg(node, 1);
    if (list.form != Form::kList) {
      DS_RETURN_IF_ERROR(CheckNode(program_.arg(node, 1)));
      return NoOperation(node);
    }
    DS_RETURN_IF_ERROR(CheckArgs(list));
    // Without anything but literals an element cannot fail, and the search may end at the first that is equal.
    list.op = Op::kLiteral;
    for (uint32_t i = 0; i < list.args_count; ++i) {
      const Node& element = arg(list, i);
      if (element.type != arg(list, 0).type) return NotCompiled(list, "a list of several types");
      if (element.op != Op::kLiteral) list.op = Op::kNothing;
    }
    if (list.args_count > 0 && arg(list, 0).type != arg(node, 0).type) {
      return InvalidArgument("cel_expr: {}: {} is never in a list of {}", ShownNode(node), ToString(arg(node, 0).type), ToString(arg(list, 0).type));
    }
    return Set(node, Op::kIn, kBool);
  }

  Program& program_;
  const Columns& columns_;
  std::unordered_map<std::string_view, uint32_t> index_;
};

}  // namespace

Status Check(Program& program, const Columns& columns) { return Checker(program, columns).Run(); }

}  // namespace datashard::routing::cel
