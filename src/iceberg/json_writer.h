// Compact JSON, appended to one string. There is no state beside the text: a comma is due unless the text ends in '{',
// '[' or ':', none of which ends a value.
#pragma once

#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace datashard::iceberg {

class JsonWriter {
 public:
  JsonWriter& BeginObject() { return Open('{'); }
  JsonWriter& EndObject() { return Close('}'); }
  JsonWriter& BeginArray() { return Open('['); }
  JsonWriter& EndArray() { return Close(']'); }
  JsonWriter& Key(std::string_view key) {
    String(key);
    text_ += ':';
    return *this;
  }
  JsonWriter& Int(int64_t value) {
    Comma();
    char digits[24];
    text_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
    return *this;
  }
  JsonWriter& Bool(bool value) { return Raw(value ? "true" : "false"); }
  /// JSON text of ours, as it is.
  JsonWriter& Raw(std::string_view json) {
    Comma();
    text_ += json;
    return *this;
  }
  JsonWriter& String(std::string_view value) {
    Comma();
    text_ += '"';
    AppendEscaped(value);
    text_ += '"';
    return *this;
  }
  /// Members kept from a file: JSON text that this code has not made.
  JsonWriter& Members(const std::vector<std::pair<std::string, std::string>>& members) {
    for (const auto& [key, json] : members) Key(key).Kept(json);
    return *this;
  }
  JsonWriter& Kept(std::string_view json) {
    has_kept_ = true;
    return Raw(json);
  }
  /// Is any of the text not ours, so that only a parser can say whether it is JSON?
  bool has_kept() const { return has_kept_; }

  void Reserve(size_t size_bytes) { text_.reserve(size_bytes); }
  std::string Take() && { return std::move(text_); }

 private:
  JsonWriter& Open(char c) {
    Comma();
    text_ += c;
    return *this;
  }
  JsonWriter& Close(char c) {
    text_ += c;
    return *this;
  }
  void Comma() {
    if (text_.empty()) return;
    const char last = text_.back();
    if (last != '{' && last != '[' && last != ':') text_ += ',';
  }
  void AppendEscaped(std::string_view value);

  std::string text_;
  bool has_kept_ = false;
};

}  // namespace datashard::iceberg
