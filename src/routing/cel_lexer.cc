#include "routing/cel_lexer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "datashard/sharding.h"

namespace datashard::routing::cel {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool StartsWord(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f'; }

constexpr std::array<std::pair<std::string_view, Symbol>, 24> kSigns = {{
    {"||", Symbol::kOr}, {"&&", Symbol::kAnd}, {"==", Symbol::kEqual}, {"!=", Symbol::kNotEqual}, {"<=", Symbol::kLessEqual},
    {">=", Symbol::kGreaterEqual}, {"<", Symbol::kLess}, {">", Symbol::kGreater}, {"!", Symbol::kNot}, {"(", Symbol::kLeftParen},
    {")", Symbol::kRightParen}, {"[", Symbol::kLeftBracket}, {"]", Symbol::kRightBracket}, {"{", Symbol::kLeftBrace},
    {"}", Symbol::kRightBrace}, {",", Symbol::kComma}, {".", Symbol::kDot}, {":", Symbol::kColon}, {"?", Symbol::kQuestion},
    {"+", Symbol::kPlus}, {"-", Symbol::kMinus}, {"*", Symbol::kTimes}, {"/", Symbol::kDivide}, {"%", Symbol::kModulo},
}};
constexpr std::array<std::pair<std::string_view, Symbol>, 4> kWords = {{
    {"true", Symbol::kTrue}, {"false", Symbol::kFalse}, {"null", Symbol::kNull}, {"in", Symbol::kIn},
}};

}  // namespace

void Lexer::SkipBlanksAndComments() {
  while (true) {
    if (IsBlank(At(at_))) {
      ++at_;
    } else if (source_.substr(at_).starts_with("//")) {
      at_ = std::min(source_.find('\n', at_), source_.size());
    } else {
      return;
    }
  }
}

Result<Token> Lexer::Next() {
  SkipBlanksAndComments();
  if (at_ >= source_.size()) return Token{Symbol::kEnd, static_cast<uint32_t>(at_), static_cast<uint32_t>(at_)};
  const char c = At(at_);
  if (IsDigit(c) || (c == '.' && IsDigit(At(at_ + 1)))) return Number();
  if (c == '"' || c == '\'') return Quoted(0, Symbol::kString, false);
  return StartsWord(c) ? Word() : Sign();
}

Token Lexer::Number() {
  Token token{Symbol::kInt, static_cast<uint32_t>(at_), 0};
  const auto skip_digits = [&] {
    while (IsDigit(At(at_))) ++at_;
  };
  if (At(at_) == '0' && At(at_ + 1) == 'x' && IsHex(At(at_ + 2))) {
    at_ += 2;
    while (IsHex(At(at_))) ++at_;
  } else {
    skip_digits();
    if (At(at_) == '.' && IsDigit(At(at_ + 1))) {
      token.symbol = Symbol::kDouble;
      ++at_;
      skip_digits();
    }
    const size_t digits = At(at_ + 1) == '+' || At(at_ + 1) == '-' ? at_ + 2 : at_ + 1;
    if ((At(at_) == 'e' || At(at_) == 'E') && IsDigit(At(digits))) {
      token.symbol = Symbol::kDouble;
      at_ = digits;
      skip_digits();
    }
  }
  if (token.symbol == Symbol::kInt && (At(at_) == 'u' || At(at_) == 'U')) {
    token.symbol = Symbol::kUint;
    ++at_;
  }
  token.end = static_cast<uint32_t>(at_);
  return token;
}

Result<Token> Lexer::Quoted(size_t prefix_size, Symbol symbol, bool raw) {
  const auto begin = static_cast<uint32_t>(at_);
  size_t at = at_ + prefix_size;
  const char quote = At(at);
  const bool triple = At(at + 1) == quote && At(at + 2) == quote;
  const std::string closing(triple ? 3 : 1, quote);
  at += closing.size();
  while (at < source_.size()) {
    if (source_.substr(at).starts_with(closing)) {
      at_ = at + closing.size();
      return Token{symbol, begin, static_cast<uint32_t>(at_)};
    }
    if (!triple && (At(at) == '\n' || At(at) == '\r')) break;
    at += !raw && At(at) == '\\' ? 2 : 1;
  }
  return InvalidArgument("cel_expr: the literal at {} has no closing {}", PlaceOf(program_, begin), closing);
}

Result<Token> Lexer::Word() {
  size_t end = at_;
  while (StartsWord(At(end)) || IsDigit(At(end))) ++end;
  const std::string_view word = source_.substr(at_, end - at_);
  if (At(end) == '"' || At(end) == '\'') {
    const bool bytes = word[0] == 'b' || word[0] == 'B';
    const std::string_view rest = word.substr(bytes ? 1 : 0);
    const bool raw = rest == "r" || rest == "R";
    if (raw || (bytes && rest.empty())) return Quoted(word.size(), bytes ? Symbol::kBytes : Symbol::kString, raw);
  }
  const auto found = std::ranges::find(kWords, word, &std::pair<std::string_view, Symbol>::first);
  const Token token{found == kWords.end() ? Symbol::kIdentifier : found->second, static_cast<uint32_t>(at_), static_cast<uint32_t>(end)};
  at_ = end;
  return token;
}

Result<Token> Lexer::Sign() {
  for (const auto& [sign, symbol] : kSigns) {
    if (!source_.substr(at_).starts_with(sign)) continue;
    const auto begin = static_cast<uint32_t>(at_);
    at_ += sign.size();
    return Token{symbol, begin, static_cast<uint32_t>(at_)};
  }
  size_t end = at_ + 1;
  while ((static_cast<uint8_t>(At(end)) & 0xC0) == 0x80) ++end;
  return InvalidArgument("cel_expr: {} starts nothing at {}", ToString(KeyView::Text(source_.substr(at_, end - at_))), PlaceOf(program_, at_));
}

}  // namespace datashard::routing::cel
