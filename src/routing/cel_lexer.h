// The tokens of a CEL expression, and what their literals stand for.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "datashard/result.h"
#include "routing/cel_program.h"

namespace datashard::routing::cel {

struct Token {
  Symbol symbol = Symbol::kEnd;
  uint32_t begin = 0, end = 0;
};

/// Reads `program.source`, which is UTF-8 and stays.
class Lexer {
 public:
  explicit Lexer(const Program& program) : program_(program), source_(program.source) {}
  /// Errors: kInvalidArgument: bytes that start no token, a literal without its end.
  Result<Token> Next();

 private:
  void SkipBlanksAndComments();
  char At(size_t offset) const { return offset < source_.size() ? source_[offset] : '\0'; }
  Token Number();
  Result<Token> Quoted(size_t prefix_size, Symbol symbol, bool raw);
  Result<Token> Word();
  Result<Token> Sign();

  const Program& program_;
  std::string_view source_;
  size_t at_ = 0;
};

/// The bytes that a string or bytes literal, as it stands in the source, gives. Errors: kInvalidArgument without a place.
Result<Bytes> DecodeQuoted(std::string_view literal);

}  // namespace datashard::routing::cel
