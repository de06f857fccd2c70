// Evaluates sharding expressions for tests/interop/test_cel.py: one request per line of stdin, one answer per line of stdout.
//
//   eval EXPRESSION NAME=TYPE:VALUE ...   ->  int 5 | text HEX | bytes HEX | error KIND HEX
//   hash TYPE:VALUE                       ->  int 5 | error KIND HEX
//   range TYPE:VALUE ...                  ->  text HEX (the expression) | error KIND HEX
//
// EXPRESSION and the values of string and bytes are hexadecimal; a value of - is null.
#include <charconv>
#include <deque>
#include <iostream>
#include <sstream>

#include "base/error.h"
#include "routing/cel.h"
#include "routing/router.h"

namespace datashard::routing {
namespace {

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    int byte = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

std::string Hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<uint8_t>(c));
  return hex;
}

template <typename Number>
Number NumberOf(std::string_view text) {
  Number number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// A column's type and its value; text and bytes are kept in `owned`.
struct Argument {
  CelType type;
  CelValue value;
};
Result<Argument> ArgumentOf(std::string_view text, std::deque<std::string>& owned) {
  const size_t colon = text.find(':');
  DS_ASSIGN_OR_RETURN(const CelType type, CelTypeOf(text.substr(0, colon)));
  const std::string_view value = text.substr(colon + 1);
  if (value == "-") return Argument{type, std::monostate()};
  switch (type) {
    case CelType::kInt: return Argument{type, NumberOf<int64_t>(value)};
    case CelType::kUint: return Argument{type, NumberOf<uint64_t>(value)};
    case CelType::kDouble: return Argument{type, NumberOf<double>(value)};
    case CelType::kBool: return Argument{type, value == "1"};
    case CelType::kString: return Argument{type, CelText{owned.emplace_back(FromHex(value))}};
    case CelType::kBytes: break;
  }
  return Argument{type, CelBytes{owned.emplace_back(FromHex(value))}};
}

std::string Answer(const KeyView& key) {
  if (key.is_number()) return "int " + ToString(key);
  return fmt::format("{} {}", key.kind() == KeyView::Kind::kText ? "text" : "bytes", Hex(key.bytes()));
}

Result<std::string> Eval(std::istream& words) {
  std::deque<std::string> owned;
  std::string word;
  words >> word;
  const std::string expression = FromHex(word);
  CompiledCel::Columns columns;
  std::vector<CelValue> values;
  while (words >> word) {
    const size_t equals = word.find('=');
    DS_ASSIGN_OR_RETURN(const Argument argument, ArgumentOf(std::string_view(word).substr(equals + 1), owned));
    columns.emplace_back(word.substr(0, equals), argument.type);
    values.push_back(argument.value);
  }
  DS_ASSIGN_OR_RETURN(const auto compiled, CompiledCel::Compile(expression, columns));
  CelScratch scratch;
  DS_ASSIGN_OR_RETURN(const KeyView result, compiled->Evaluate(values, scratch));
  return Answer(result);
}

Result<std::string> Hash(std::istream& words) {
  std::deque<std::string> owned;
  std::string word;
  words >> word;
  DS_ASSIGN_OR_RETURN(const Argument argument, ArgumentOf(word, owned));
  KeyView key = KeyView::Int(0);
  if (const auto* number = std::get_if<int64_t>(&argument.value)) key = KeyView::Int(*number);
  if (const auto* number = std::get_if<uint64_t>(&argument.value)) key = KeyView::Unsigned(*number);
  if (const auto* text = std::get_if<CelText>(&argument.value)) key = KeyView::Text(text->text);
  if (const auto* bytes = std::get_if<CelBytes>(&argument.value)) key = KeyView::Bytes(bytes->bytes);
  DS_ASSIGN_OR_RETURN(const uint64_t hash, HashOf(key));
  return fmt::format("int {}", hash);
}

Result<std::string> Range(std::istream& words) {
  std::deque<std::string> owned;
  std::vector<RangeBoundary> boundaries;
  for (std::string word; words >> word;) {
    DS_ASSIGN_OR_RETURN(const Argument argument, ArgumentOf(word, owned));
    if (const auto* number = std::get_if<int64_t>(&argument.value)) boundaries.emplace_back(*number);
    if (const auto* number = std::get_if<double>(&argument.value)) boundaries.emplace_back(*number);
    if (const auto* text = std::get_if<CelText>(&argument.value)) boundaries.emplace_back(std::string(text->text));
  }
  DS_ASSIGN_OR_RETURN(const ShardingSpec spec, RangeSpec(boundaries));
  return Answer(KeyView::Text(*spec.cel_expr));
}

Result<std::string> Answered(const std::string& line) {
  std::istringstream words(line);
  std::string request;
  words >> request;
  if (request == "eval") return Eval(words);
  if (request == "hash") return Hash(words);
  if (request == "range") return Range(words);
  return InvalidArgument("no request {}", request);
}

}  // namespace
}  // namespace datashard::routing

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto answer = datashard::routing::Answered(line);
    if (answer.ok()) {
      std::cout << *answer << std::endl;
    } else {
      std::cout << "error " << static_cast<int>(answer.kind()) << ' ' << datashard::routing::Hex(answer.error().message()) << std::endl;
    }
  }
}
