#include "iceberg/json_reader.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "iceberg/metadata.h"

namespace datashard::iceberg {
namespace {

constexpr size_t kFoundBytesMax = 60;

std::string_view NameOfType(simdjson::dom::element_type type) {
  using enum simdjson::dom::element_type;
  switch (type) {
    case ARRAY: return "an array";
    case OBJECT: return "an object";
    case NULL_VALUE: return "null";
    default: return "";
  }
}

}  // namespace

std::string JsonValue::Path() const {
  if (parent_ == nullptr) return "";
  const std::string above = parent_->Path();
  if (index_ >= 0) return fmt::format("{}[{}]", above, index_);
  return above.empty() ? std::string(key_) : fmt::format("{}.{}", above, key_);
}

std::string JsonValue::Where() const {
  const JsonValue* root = this;
  while (root->parent_ != nullptr) root = root->parent_;
  const std::string path = Path();
  return path.empty() ? std::string(root->key_) : fmt::format("{}: {}", root->key_, path);
}

Error JsonValue::Unexpected(std::string_view expected) const {
  std::string found(NameOfType(element_.type()));
  if (found.empty()) {
    found = Raw();
    if (found.size() > kFoundBytesMax) found = found.substr(0, kFoundBytesMax) + " (cut)";
  }
  return Wrong(fmt::format("expected {}, found {}", expected, found));
}

Error JsonValue::Wrong(std::string_view what) const {
  return Corruption("{}: {}", Where(), what).About(ErrorSubject::kMetadata);
}

Result<int64_t> JsonValue::Int64() const {
  int64_t value = 0;
  if (element_.get_int64().get(value) != simdjson::SUCCESS) return Unexpected("a 64-bit integer");
  return value;
}

Result<int32_t> JsonValue::Int32() const {
  int64_t value = 0;
  if (element_.get_int64().get(value) != simdjson::SUCCESS || value < std::numeric_limits<int32_t>::min() ||
      value > std::numeric_limits<int32_t>::max()) {
    return Unexpected("a 32-bit integer");
  }
  return static_cast<int32_t>(value);
}

Result<bool> JsonValue::Bool() const {
  bool value = false;
  if (element_.get_bool().get(value) != simdjson::SUCCESS) return Unexpected("true or false");
  return value;
}

Result<std::string> JsonValue::String() const {
  std::string_view value;
  if (element_.get_string().get(value) != simdjson::SUCCESS) return Unexpected("a string");
  return std::string(value);
}

Result<std::string> JsonValue::ScalarText() const {
  if (is_string()) return String();
  if (element_.is_number() || element_.is_bool()) return Raw();
  return Unexpected("a string");
}

std::string JsonValue::Raw() const { return simdjson::minify(element_); }

Result<JsonDocument> JsonDocument::Parse(ByteView json, std::string_view object, int64_t bytes_max) {
  if (static_cast<int64_t>(json.size()) > bytes_max) {
    return Corruption("{}: {} bytes of JSON; at most {} are read", object, json.size(), bytes_max)
        .About(ErrorSubject::kMetadata);
  }
  JsonDocument document;
  simdjson::dom::element root;
  simdjson::error_code error = document.parser_->allocate(std::max<size_t>(json.size(), 1), kJsonDepthMax);
  if (error == simdjson::SUCCESS) error = document.parser_->parse(json.data(), json.size()).get(root);
  if (error == simdjson::DEPTH_ERROR) {
    return Corruption("{}: nested deeper than {} levels", object, kJsonDepthMax).About(ErrorSubject::kMetadata);
  }
  if (error != simdjson::SUCCESS) {
    return Corruption("{}: {} bytes that are no valid JSON ({}); the file is truncated or damaged", object, json.size(),
                      simdjson::error_message(error)).About(ErrorSubject::kMetadata);
  }
  document.object_ = std::make_unique<std::string>(object);
  document.root_ = std::make_unique<JsonValue>();
  document.root_->element_ = root;
  document.root_->key_ = *document.object_;
  return document;
}

Result<JsonObject> JsonObject::Of(const JsonValue& value) {
  simdjson::dom::object object;
  if (value.element_.get_object().get(object) != simdjson::SUCCESS) return value.Unexpected("an object");
  JsonObject result;
  result.self_ = &value;
  result.members_.reserve(object.size());
  for (const simdjson::dom::key_value_pair member : object) result.members_.push_back({member.key, member.value});
  // Readers disagree on which of two equal keys counts, so a file that has them has no one meaning.
  std::vector<std::string_view> keys;
  keys.reserve(result.members_.size());
  for (const Member& member : result.members_) keys.push_back(member.key);
  std::sort(keys.begin(), keys.end());
  const auto twice = std::adjacent_find(keys.begin(), keys.end());
  if (twice != keys.end()) return value.Wrong(fmt::format("key '{}' occurs twice", *twice));
  return result;
}

JsonObject::Member* JsonObject::Find(std::string_view key) {
  for (Member& member : members_)
    if (member.key == key) return &member;
  return nullptr;
}

bool JsonObject::Has(std::string_view key) const {
  return std::any_of(members_.begin(), members_.end(), [&](const Member& member) { return member.key == key; });
}

JsonValue JsonObject::ValueOf(const Member& member) const {
  JsonValue value;
  value.element_ = member.element;
  value.parent_ = self_;
  value.key_ = member.key;
  return value;
}

Result<JsonValue> JsonObject::Required(std::string_view key) {
  Member* member = Find(key);
  if (member == nullptr) return self_->Wrong(fmt::format("required key '{}' is missing", key));
  member->used = true;
  return ValueOf(*member);
}

std::optional<JsonValue> JsonObject::Optional(std::string_view key) {
  Member* member = Find(key);
  if (member == nullptr) return std::nullopt;
  member->used = true;
  if (member->element.is_null()) return std::nullopt;
  return ValueOf(*member);
}

Result<int64_t> JsonObject::Int64(std::string_view key) {
  DS_ASSIGN_OR_RETURN(const JsonValue value, Required(key));
  return value.Int64();
}

Result<int32_t> JsonObject::Int32(std::string_view key) {
  DS_ASSIGN_OR_RETURN(const JsonValue value, Required(key));
  return value.Int32();
}

Result<std::string> JsonObject::String(std::string_view key) {
  DS_ASSIGN_OR_RETURN(const JsonValue value, Required(key));
  return value.String();
}

Result<bool> JsonObject::Bool(std::string_view key) {
  DS_ASSIGN_OR_RETURN(const JsonValue value, Required(key));
  return value.Bool();
}

std::vector<std::pair<std::string_view, JsonValue>> JsonObject::All() const {
  std::vector<std::pair<std::string_view, JsonValue>> all;
  all.reserve(members_.size());
  for (const Member& member : members_) all.emplace_back(member.key, ValueOf(member));
  return all;
}

std::vector<std::pair<std::string, std::string>> JsonObject::Rest() const {
  std::vector<std::pair<std::string, std::string>> rest;
  for (const Member& member : members_)
    if (!member.used) rest.emplace_back(std::string(member.key), simdjson::minify(member.element));
  return rest;
}

bool IsUtf8(std::string_view text) { return simdjson::validate_utf8(text); }

}  // namespace datashard::iceberg
