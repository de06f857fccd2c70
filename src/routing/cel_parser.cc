#include "routing/cel_parser.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <optional>
#include <span>
#include <utility>

#include "base/error.h"
#include "routing/cel_lexer.h"
#include "routing/cel_numbers.h"
#include "routing/utf8.h"

namespace datashard::routing::cel {
namespace {

constexpr size_t kSourceBytesMax = 1 << 20;
constexpr int kDepthMax = 250;

/// How tightly a binary operator binds; 0 for what is none.
int LevelOf(Symbol symbol) {
  if (symbol >= Symbol::kEqual && symbol <= Symbol::kIn) return 1;
  if (symbol == Symbol::kPlus || symbol == Symbol::kMinus) return 2;
  return symbol >= Symbol::kTimes ? 3 : 0;
}

class Parser {
 public:
  explicit Parser(Program& program) : program_(program), lexer_(program) {}

  Status Run() {
    DS_RETURN_IF_ERROR(Advance());
    DS_ASSIGN_OR_RETURN(program_.root, Expression());
    return token_.symbol == Symbol::kEnd ? Status() : Unexpected("an operator or the end");
  }

 private:
  using Id = uint32_t;

  Status Advance() {
    last_end_ = token_.end;
    DS_ASSIGN_OR_RETURN(token_, lexer_.Next());
    return {};
  }

  Error Unexpected(std::string_view expected) const {
    if (token_.symbol == Symbol::kEnd) return InvalidArgument("cel_expr ends where {} is expected", expected);
    return InvalidArgument("cel_expr: unexpected {}; {} is expected", Shown(program_, token_.begin, token_.end), expected);
  }

  Status Expect(Symbol symbol, std::string_view name) {
    if (token_.symbol != symbol) return Unexpected(name);
    return Advance();
  }

  Error TooDeep() const { return InvalidArgument("cel_expr nests deeper than {} levels at {}", kDepthMax, PlaceOf(program_, token_.begin)); }

  Result<Id> Add(Node node, std::span<const Id> args) {
    node.end = last_end_;
    node.args = static_cast<uint32_t>(program_.args.size());
    node.args_count = static_cast<uint32_t>(args.size());
    for (const Id arg : args) node.depth = std::max<uint16_t>(node.depth, program_.nodes[arg].depth + 1);
    if (node.depth > kDepthMax) return TooDeep();
    program_.args.insert(program_.args.end(), args.begin(), args.end());
    program_.nodes.push_back(node);
    return static_cast<Id>(program_.nodes.size() - 1);
  }
  Result<Id> Add(Node node, std::initializer_list<Id> args) { return Add(node, std::span(args.begin(), args.size())); }
  uint32_t BeginOf(Id id) const { return program_.nodes[id].begin; }

  Result<Id> Expression() {
    const uint32_t begin = token_.begin;
    if (++depth_ > kDepthMax) return TooDeep();
    DS_ASSIGN_OR_RETURN(Id id, Chain(Symbol::kOr));
    if (token_.symbol == Symbol::kQuestion) {
      DS_RETURN_IF_ERROR(Advance());
      DS_ASSIGN_OR_RETURN(const Id yes, Chain(Symbol::kOr));
      DS_RETURN_IF_ERROR(Expect(Symbol::kColon, "':' and the other value"));
      DS_ASSIGN_OR_RETURN(const Id no, Expression());
      DS_ASSIGN_OR_RETURN(id, Add({.form = Form::kTernary, .begin = begin}, {id, yes, no}));
    }
    --depth_;
    return id;
  }

  /// Operands joined by || or &&: one node however many there are.
  Result<Id> Chain(Symbol symbol) {
    const uint32_t begin = token_.begin;
    std::vector<Id> operands;
    while (true) {
      DS_ASSIGN_OR_RETURN(const Id operand, symbol == Symbol::kOr ? Chain(Symbol::kAnd) : Binary(1));
      operands.push_back(operand);
      if (token_.symbol != symbol) break;
      DS_RETURN_IF_ERROR(Advance());
    }
    if (operands.size() == 1) return operands[0];
    return Add({.form = Form::kBinary, .symbol = symbol, .begin = begin}, operands);
  }

  Result<Id> Binary(int level_min) {
    const uint32_t begin = token_.begin;
    DS_ASSIGN_OR_RETURN(Id left, Unary());
    while (LevelOf(token_.symbol) >= level_min) {
      const Symbol symbol = token_.symbol;
      DS_RETURN_IF_ERROR(Advance());
      DS_ASSIGN_OR_RETURN(const Id right, Binary(LevelOf(symbol) + 1));
      DS_ASSIGN_OR_RETURN(left, Add({.form = Form::kBinary, .symbol = symbol, .begin = begin}, {left, right}));
    }
    return left;
  }

  /// A row of ! or of -; as in other implementations an even number of them is no operation at all.
  Result<Id> Unary() {
    const Symbol symbol = token_.symbol;
    const uint32_t begin = token_.begin;
    if (symbol != Symbol::kNot && symbol != Symbol::kMinus) return Member(std::nullopt);
    int count = 0;
    for (; token_.symbol == symbol; ++count) DS_RETURN_IF_ERROR(Advance());
    const bool number = token_.symbol == Symbol::kInt || token_.symbol == Symbol::kDouble;
    if (symbol == Symbol::kMinus && count == 1 && number) return Member(begin);
    DS_ASSIGN_OR_RETURN(const Id operand, Member(std::nullopt));
    if (count % 2 == 0) return operand;
    return Add({.form = Form::kUnary, .symbol = symbol, .begin = begin}, {operand});
  }

  /// \param minus  where the sign of a negative number stands.
  Result<Id> Member(std::optional<uint32_t> minus) {
    DS_ASSIGN_OR_RETURN(Id id, minus ? Literal(minus) : Primary());
    while (true) {
      if (token_.symbol == Symbol::kDot) {
        DS_ASSIGN_OR_RETURN(id, Selection(id));
      } else if (token_.symbol == Symbol::kLeftBracket) {
        DS_RETURN_IF_ERROR(Advance());
        DS_ASSIGN_OR_RETURN(const Id index, Expression());
        DS_RETURN_IF_ERROR(Expect(Symbol::kRightBracket, "']'"));
        DS_ASSIGN_OR_RETURN(id, Add({.form = Form::kIndex, .begin = BeginOf(id)}, {id, index}));
      } else if (token_.symbol == Symbol::kLeftBrace && NamesAMessage(id)) {
        DS_ASSIGN_OR_RETURN(id, Braces(Form::kMessage, BeginOf(id)));
      } else {
        return id;
      }
    }
  }

  bool NamesAMessage(Id id) const {
    const Form form = program_.nodes[id].form;
    return form == Form::kName || form == Form::kSelect;
  }

  Result<Id> Selection(Id operand) {
    DS_RETURN_IF_ERROR(Advance());
    const Token name = token_;
    DS_RETURN_IF_ERROR(Expect(Symbol::kIdentifier, "a name"));
    Node node{.form = Form::kSelect, .begin = BeginOf(operand), .name_begin = name.begin, .name_end = name.end};
    if (token_.symbol != Symbol::kLeftParen) return Add(node, {operand});
    std::vector<Id> args = {operand};
    DS_RETURN_IF_ERROR(Arguments(args));
    node.form = Form::kMethod;
    return Add(node, args);
  }

  Status Arguments(std::vector<Id>& args) {
    DS_RETURN_IF_ERROR(Advance());
    for (bool first = true; token_.symbol != Symbol::kRightParen; first = false) {
      if (!first) DS_RETURN_IF_ERROR(Expect(Symbol::kComma, "',' or ')'"));
      DS_ASSIGN_OR_RETURN(const Id arg, Expression());
      args.push_back(arg);
    }
    return Advance();
  }

  Result<Id> Primary() {
    switch (token_.symbol) {
      case Symbol::kDot:
      case Symbol::kIdentifier: return Name();
      case Symbol::kLeftBracket: return List();
      case Symbol::kLeftBrace: return Braces(Form::kMap, token_.begin);
      case Symbol::kLeftParen: {
        DS_RETURN_IF_ERROR(Advance());
        DS_ASSIGN_OR_RETURN(const Id id, Expression());
        DS_RETURN_IF_ERROR(Expect(Symbol::kRightParen, "')'"));
        return id;
      }
      default: return Literal(std::nullopt);
    }
  }

  Result<Id> Name() {
    Node node{.form = Form::kName, .begin = token_.begin};
    if (token_.symbol == Symbol::kDot) DS_RETURN_IF_ERROR(Advance());
    node.name_begin = token_.begin;
    node.name_end = token_.end;
    DS_RETURN_IF_ERROR(Expect(Symbol::kIdentifier, "a name"));
    if (token_.symbol != Symbol::kLeftParen) return Add(node, {});
    std::vector<Id> args;
    DS_RETURN_IF_ERROR(Arguments(args));
    node.form = Form::kCall;
    return Add(node, args);
  }

  Result<Id> List() {
    const uint32_t begin = token_.begin;
    DS_RETURN_IF_ERROR(Advance());
    std::vector<Id> elements;
    const bool only_a_comma = token_.symbol == Symbol::kComma;
    if (only_a_comma) DS_RETURN_IF_ERROR(Advance());
    while (!only_a_comma && token_.symbol != Symbol::kRightBracket) {
      DS_ASSIGN_OR_RETURN(const Id element, Expression());
      elements.push_back(element);
      if (token_.symbol != Symbol::kComma) break;
      DS_RETURN_IF_ERROR(Advance());
    }
    DS_RETURN_IF_ERROR(Expect(Symbol::kRightBracket, "',' or ']'"));
    return Add({.form = Form::kList, .begin = begin}, elements);
  }

  /// The entries of a map or a message.
  Result<Id> Braces(Form form, uint32_t begin) {
    DS_RETURN_IF_ERROR(Advance());
    std::vector<Id> entries;
    while (token_.symbol != Symbol::kRightBrace) {
      DS_ASSIGN_OR_RETURN(const Id key, Expression());
      DS_RETURN_IF_ERROR(Expect(Symbol::kColon, "':'"));
      DS_ASSIGN_OR_RETURN(const Id value, Expression());
      entries.insert(entries.end(), {key, value});
      if (token_.symbol != Symbol::kComma) break;
      DS_RETURN_IF_ERROR(Advance());
    }
    DS_RETURN_IF_ERROR(Expect(Symbol::kRightBrace, "',' or '}'"));
    return Add({.form = form, .begin = begin}, entries);
  }

  Result<Id> Literal(std::optional<uint32_t> minus) {
    const Token token = token_;
    Node node{.form = Form::kLiteral, .begin = minus.value_or(token.begin)};
    auto value = ValueOf(token, minus.has_value());
    if (!value.ok()) return std::move(value).error();
    node.literal = *value;
    node.type = node.literal.type;
    DS_RETURN_IF_ERROR(Advance());
    return Add(node, {});
  }

  Result<Value> ValueOf(const Token& token, bool negative) {
    const std::string_view text = std::string_view(program_.source).substr(token.begin, token.end - token.begin);
    switch (token.symbol) {
      case Symbol::kTrue: return Value::Bool(true);
      case Symbol::kFalse: return Value::Bool(false);
      case Symbol::kNull: return Value();
      case Symbol::kInt:
      case Symbol::kUint: return Integer(token, text, negative);
      case Symbol::kDouble: return Value::Double(*ParseDouble(text) * (negative ? -1 : 1));
      case Symbol::kString:
      case Symbol::kBytes: {
        auto bytes = DecodeQuoted(text);
        if (!bytes.ok()) return std::move(bytes).error().In("cel_expr, literal at " + PlaceOf(program_, token.begin));
        program_.texts.push_back(std::move(*bytes));
        return Value::Text(token.symbol == Symbol::kString ? ValueType::kString : ValueType::kBytes, program_.texts.back());
      }
      default: return Unexpected("a value");
    }
  }

  Result<Value> Integer(const Token& token, std::string_view text, bool negative) const {
    const bool is_uint = token.symbol == Symbol::kUint;
    if (is_uint) text.remove_suffix(1);
    const bool hex = text.starts_with("0x");
    if (hex) text.remove_prefix(2);
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, hex ? 16 : 10);
    const uint64_t largest = is_uint ? UINT64_MAX : static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0);
    if (error != std::errc() || number > largest) {
      return InvalidArgument("cel_expr: {} does not fit {}", Shown(program_, token.begin, token.end), is_uint ? "uint" : "int");
    }
    if (is_uint) return Value::Uint(number);
    return Value::Int(static_cast<int64_t>(negative ? 0 - number : number));
  }

  Program& program_;
  Lexer lexer_;
  Token token_;
  uint32_t last_end_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<std::unique_ptr<Program>> Parse(std::string source) {
  if (source.size() > kSourceBytesMax) return InvalidArgument("cel_expr has {} bytes; at most {} are supported", source.size(), kSourceBytesMax);
  if (!IsUtf8(source)) return InvalidArgument("cel_expr is not UTF-8");
  auto program = std::make_unique<Program>();
  program->source = std::move(source);
  DS_RETURN_IF_ERROR(Parser(*program).Run());
  return program;
}

}  // namespace datashard::routing::cel
