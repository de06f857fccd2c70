// A hand-written recursive descent over a token stream: the grammar is one line deep, so there is no recursion at all,
// and no input can be deep.
#include "cli/where.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "cli/columns.h"
#include "datashard/rows.h"
#include "cli/text.h"

namespace datashard::cli {
namespace {

enum class TokenKind { kWord, kQuoted, kOperator, kOpen, kClose, kComma, kEnd };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  char quote = 0;
  size_t offset = 0;
};

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsOperator(char c) { return c == '=' || c == '!' || c == '<' || c == '>'; }
bool EndsWord(char c) {
  return IsSpace(c) || IsOperator(c) || c == '(' || c == ')' || c == ',' || c == '\'' || c == '"' || c == '`';
}

bool SameWord(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const char c = a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] - 'A' + 'a') : a[i];
    if (c != lower[i]) return false;
  }
  return true;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<std::vector<WherePredicate>> Run() {
    std::vector<WherePredicate> predicates;
    DS_RETURN_IF_ERROR(Advance());
    while (true) {
      DS_ASSIGN_OR_RETURN(WherePredicate predicate, ReadPredicate());
      predicates.push_back(std::move(predicate));
      if (token_.kind == TokenKind::kEnd) return predicates;
      if (IsWord("or")) return Fail("OR is not supported; run one scan per branch, or write column in (a, b)");
      if (!IsWord("and")) return Fail("expected AND or the end here; put a value with spaces in quotes");
      DS_RETURN_IF_ERROR(Advance());
    }
  }

 private:
  Result<WherePredicate> ReadPredicate() {
    WherePredicate predicate;
    DS_ASSIGN_OR_RETURN(predicate.column, ReadColumn());
    DS_ASSIGN_OR_RETURN(predicate.op, ReadOperator());
    switch (predicate.op) {
      case FilterOp::kIsNull:
      case FilterOp::kIsNotNull:
        return predicate;
      case FilterOp::kIn:
      case FilterOp::kNotIn: {
        DS_ASSIGN_OR_RETURN(predicate.values, ReadList());
        return predicate;
      }
      case FilterOp::kBetween: {
        DS_ASSIGN_OR_RETURN(WhereValue low, ReadValue("between"));
        if (!IsWord("and")) return Fail("expected AND and the upper end of between, as in: between 1 and 9");
        DS_RETURN_IF_ERROR(Advance());
        DS_ASSIGN_OR_RETURN(WhereValue high, ReadValue("between"));
        predicate.values = {std::move(low), std::move(high)};
        return predicate;
      }
      default: {
        DS_ASSIGN_OR_RETURN(WhereValue value, ReadValue(datashard::ToString(predicate.op)));
        predicate.values = {std::move(value)};
        return predicate;
      }
    }
  }

  Result<std::string> ReadColumn() {
    const bool name = token_.kind == TokenKind::kWord || (token_.kind == TokenKind::kQuoted && token_.quote != '\'');
    if (!name || token_.text.empty()) return Fail("expected a column name");
    std::string column = token_.text;
    DS_RETURN_IF_ERROR(Advance());
    return column;
  }

  Result<FilterOp> ReadOperator() {
    constexpr std::string_view kExpected =
        "expected an operator: = != < <= > >=, in (…), not in (…), between … and …, is null, is not null";
    if (token_.kind == TokenKind::kOperator) {
      const std::optional<FilterOp> op = Symbol(token_.text);
      if (!op) return Fail(kExpected);
      DS_RETURN_IF_ERROR(Advance());
      return *op;
    }
    if (token_.kind != TokenKind::kWord) return Fail(kExpected);
    const bool is = IsWord("is");
    const bool starts_not = IsWord("not");
    const std::optional<FilterOp> single = Word(token_.text);
    if (!is && !starts_not && !single) return Fail(kExpected);
    DS_RETURN_IF_ERROR(Advance());
    if (single) return *single;
    if (starts_not) {
      if (!IsWord("in")) return Fail("expected IN after NOT");
      DS_RETURN_IF_ERROR(Advance());
      return FilterOp::kNotIn;
    }
    const bool negated = IsWord("not");
    if (negated) DS_RETURN_IF_ERROR(Advance());
    if (!IsWord("null")) return Fail("expected NULL or NOT NULL after IS");
    DS_RETURN_IF_ERROR(Advance());
    return negated ? FilterOp::kIsNotNull : FilterOp::kIsNull;
  }

  static std::optional<FilterOp> Symbol(std::string_view text) {
    if (text == "=" || text == "==") return FilterOp::kEq;
    if (text == "!=" || text == "<>") return FilterOp::kNe;
    if (text == "<") return FilterOp::kLt;
    if (text == "<=") return FilterOp::kLe;
    if (text == ">") return FilterOp::kGt;
    if (text == ">=") return FilterOp::kGe;
    return std::nullopt;
  }

  static std::optional<FilterOp> Word(std::string_view text) {
    constexpr std::pair<std::string_view, FilterOp> kWords[] = {{"eq", FilterOp::kEq},
                                                                {"ne", FilterOp::kNe},
                                                                {"lt", FilterOp::kLt},
                                                                {"le", FilterOp::kLe},
                                                                {"gt", FilterOp::kGt},
                                                                {"ge", FilterOp::kGe},
                                                                {"in", FilterOp::kIn},
                                                                {"not_in", FilterOp::kNotIn},
                                                                {"between", FilterOp::kBetween},
                                                                {"is_null", FilterOp::kIsNull},
                                                                {"is_not_null", FilterOp::kIsNotNull}};
    for (const auto& [word, op] : kWords)
      if (SameWord(text, word)) return op;
    return std::nullopt;
  }

  Result<WhereValue> ReadValue(std::string_view after) {
    if (token_.kind != TokenKind::kWord && token_.kind != TokenKind::kQuoted)
      return Fail(
          fmt::format("expected a value after {}; put it in quotes if it is empty or has special characters", after));
    if (token_.quote == '`') return Fail("backquotes are for column names; put the value in '…'");
    WhereValue value{token_.text, token_.kind == TokenKind::kQuoted};
    DS_RETURN_IF_ERROR(Advance());
    return value;
  }

  Result<std::vector<WhereValue>> ReadList() {
    if (token_.kind != TokenKind::kOpen) return Fail("expected ( and a list of values, as in: in (1, 2, 3)");
    DS_RETURN_IF_ERROR(Advance());
    std::vector<WhereValue> values;
    while (token_.kind != TokenKind::kClose || !values.empty()) {
      DS_ASSIGN_OR_RETURN(WhereValue value, ReadValue("( or ,"));
      values.push_back(std::move(value));
      if (token_.kind == TokenKind::kClose) break;
      if (token_.kind != TokenKind::kComma) return Fail("expected , or ) in the list of values");
      DS_RETURN_IF_ERROR(Advance());
    }
    DS_RETURN_IF_ERROR(Advance());
    return values;
  }

  Status Advance() {
    while (next_ < text_.size() && IsSpace(text_[next_])) ++next_;
    token_ = Token{TokenKind::kEnd, "", 0, next_};
    if (next_ == text_.size()) return {};
    const char c = text_[next_];
    if (c == '\'' || c == '"' || c == '`') return AdvanceQuoted(c);
    if (c == '(' || c == ')' || c == ',') {
      token_.kind = c == '(' ? TokenKind::kOpen : c == ')' ? TokenKind::kClose : TokenKind::kComma;
      token_.text = c;
      ++next_;
      return {};
    }
    const bool symbol = IsOperator(c);
    token_.kind = symbol ? TokenKind::kOperator : TokenKind::kWord;
    while (next_ < text_.size() && (symbol ? IsOperator(text_[next_]) : !EndsWord(text_[next_])))
      token_.text += text_[next_++];
    return {};
  }

  Status AdvanceQuoted(char quote) {
    token_.kind = TokenKind::kQuoted;
    token_.quote = quote;
    for (++next_; next_ < text_.size(); ++next_) {
      if (text_[next_] != quote) {
        token_.text += text_[next_];
      } else if (next_ + 1 < text_.size() && text_[next_ + 1] == quote) {
        token_.text += quote;
        ++next_;
      } else {
        ++next_;
        return {};
      }
    }
    return Fail(fmt::format("the quote {} that opens here is never closed", quote));
  }

  bool IsWord(std::string_view lower) const { return token_.kind == TokenKind::kWord && SameWord(token_.text, lower); }

  Error Fail(std::string_view problem) const {
    const std::string_view rest = text_.substr(token_.offset);
    const std::string place = rest.empty() ? "at its end" : fmt::format("at '{}'", Shorten(Printable(rest), 30));
    return Error(ErrorKind::kInvalidArgument, fmt::format("--where '{}', {}: {}", Printable(text_), place, problem));
  }

  const std::string_view text_;
  size_t next_ = 0;
  Token token_;
};

Result<Literal> BindValue(const WhereValue& value, const WherePredicate& predicate, const Field& field) {
  const bool list = predicate.op == FilterOp::kIn || predicate.op == FilterOp::kNotIn;
  if (!value.quoted && SameWord(value.text, "null")) {
    // A null in a list changes nothing (no row equals it); in a comparison it is a mistake worth naming.
    if (list) return Literal();
    return Error(
        ErrorKind::kInvalidArgument,
        fmt::format("--where: nothing compares with null; write {0} is null or {0} is not null", predicate.column),
        ErrorSubject::kOperand);
  }
  Result<Literal> literal = ParseLiteral(value.text, field.type);
  if (!literal.ok()) return std::move(literal).error().In(fmt::format("--where, column {}", Printable(field.name)));
  return literal;
}

}  // namespace

Result<std::vector<WherePredicate>> ParseWhere(std::string_view text) { return Parser(text).Run(); }

Result<Filter> BindWhere(const std::vector<std::string>& texts, const Schema& schema) {
  Filter filter;
  for (const std::string& text : texts) {
    DS_ASSIGN_OR_RETURN(const std::vector<WherePredicate> predicates, ParseWhere(text));
    for (const WherePredicate& predicate : predicates) {
      DS_ASSIGN_OR_RETURN(const Field* field, FindColumn(schema, predicate.column));
      Predicate bound{field->name, predicate.op, {}};
      for (const WhereValue& value : predicate.values) {
        DS_ASSIGN_OR_RETURN(Literal literal, BindValue(value, predicate, *field));
        bound.values.push_back(std::move(literal));
      }
      filter.all_of.push_back(std::move(bound));
    }
  }
  return filter;
}

}  // namespace datashard::cli
