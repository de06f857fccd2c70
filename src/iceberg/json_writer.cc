#include "iceberg/json_writer.h"

namespace datashard::iceberg {

void JsonWriter::AppendEscaped(std::string_view value) {
  constexpr char kHex[] = "0123456789abcdef";
  size_t start = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    const auto c = static_cast<unsigned char>(value[i]);
    if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F) [[likely]] continue;
    text_ += value.substr(start, i - start);
    start = i + 1;
    if (c == '"' || c == '\\') {
      text_ += '\\';
      text_ += static_cast<char>(c);
    } else {
      text_ += "\\u00";
      text_ += kHex[c >> 4];
      text_ += kHex[c & 15];
    }
  }
  text_ += value.substr(start);
}

}  // namespace datashard::iceberg
