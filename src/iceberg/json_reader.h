// Bounded, strict reading of JSON on simdjson. Errors name the object, the path inside it, what was expected and found.
// A JsonValue refers to its document and to the JsonValue it was taken from; both must stay where they are.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"

namespace datashard::iceberg {

class JsonValue {
 public:
  Result<int64_t> Int64() const;
  Result<int32_t> Int32() const;
  Result<bool> Bool() const;
  Result<std::string> String() const;
  /// Text of a string, number or boolean.
  Result<std::string> ScalarText() const;
  /// Calls `visit(const JsonValue&) -> Status` for each item of an array; the first error ends it.
  template <typename Visit>
  Status ForEach(Visit&& visit) const {
    simdjson::dom::array array;
    if (element_.get_array().get(array) != simdjson::SUCCESS) return Unexpected("an array");
    JsonValue item;
    item.parent_ = this;
    for (const simdjson::dom::element element : array) {
      item.element_ = element;
      ++item.index_;
      DS_RETURN_IF_ERROR(visit(std::as_const(item)));
    }
    return {};
  }

  bool is_null() const { return element_.is_null(); }
  bool is_string() const { return element_.is_string(); }
  bool is_object() const { return element_.is_object(); }
  /// The value as compact JSON.
  std::string Raw() const;
  /// kCorruption (kMetadata): "<object>: <path>: expected <expected>, found <this>".
  Error Unexpected(std::string_view expected) const;
  /// kCorruption (kMetadata): "<object>: <path>: <what>".
  Error Wrong(std::string_view what) const;
  /// "<object>: <path>".
  std::string Where() const;

 private:
  friend class JsonDocument;
  friend class JsonObject;
  std::string Path() const;

  simdjson::dom::element element_;
  const JsonValue* parent_ = nullptr;
  std::string_view key_;  // the object's name at the root
  int64_t index_ = -1;    // in an array
};

class JsonDocument {
 public:
  /// Errors: kCorruption (kMetadata) for text that is no JSON, nested deeper than kJsonDepthMax, or over `bytes_max`.
  static Result<JsonDocument> Parse(ByteView json, std::string_view object, int64_t bytes_max);
  const JsonValue& root() const { return *root_; }

 private:
  std::unique_ptr<simdjson::dom::parser> parser_ = std::make_unique<simdjson::dom::parser>();
  std::unique_ptr<std::string> object_;
  std::unique_ptr<JsonValue> root_;
};

/// The members of a JSON object. Those asked for by key are interpreted; the rest is kept by Rest().
class JsonObject {
 public:
  /// Errors: kCorruption (kMetadata) where `value` is no object or has a key twice.
  static Result<JsonObject> Of(const JsonValue& value);

  Result<JsonValue> Required(std::string_view key);
  /// None where the key is absent or null.
  std::optional<JsonValue> Optional(std::string_view key);
  bool Has(std::string_view key) const;
  void Drop(std::string_view key) { Optional(key); }

  Result<int64_t> Int64(std::string_view key);
  Result<int32_t> Int32(std::string_view key);
  Result<std::string> String(std::string_view key);
  Result<bool> Bool(std::string_view key);
  /// JsonValue::ForEach over the required array `key`.
  template <typename Visit>
  Status ForEachIn(std::string_view key, Visit&& visit) {
    DS_ASSIGN_OR_RETURN(const JsonValue array, Required(key));
    return array.ForEach(std::forward<Visit>(visit));
  }

  /// Every member, in file order.
  std::vector<std::pair<std::string_view, JsonValue>> All() const;
  /// Members nobody asked for, in file order: key, JSON text.
  std::vector<std::pair<std::string, std::string>> Rest() const;

 private:
  struct Member {
    std::string_view key;
    simdjson::dom::element element;
    bool used = false;
  };
  JsonValue ValueOf(const Member& member) const;
  Member* Find(std::string_view key);

  const JsonValue* self_ = nullptr;
  std::vector<Member> members_;
};

bool IsUtf8(std::string_view text);

}  // namespace datashard::iceberg
