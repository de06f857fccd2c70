// Thrift's compact protocol, as far as Parquet's headers need it: structs, written field by field in ascending id.
// Source: Apache Thrift, "Thrift compact protocol".
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace datashard::data {

/// Appends to a buffer. The calls follow the struct's definition; nothing is checked.
class ThriftWriter {
 public:
  explicit ThriftWriter(Bytes& out) : out_(out) {}

  void Bool(int id, bool value) { Header(id, value ? 1 : 2); }
  void I16(int id, int64_t value) { Number(id, 4, value); }
  void I32(int id, int64_t value) { Number(id, 5, value); }
  void I64(int id, int64_t value) { Number(id, 6, value); }
  void Text(int id, std::string_view value) {
    Header(id, 8);
    TextItem(value);
  }
  void BeginStruct(int id) {
    Header(id, 12);
    BeginItem();
  }
  void BeginStructs(int id, size_t count) { BeginList(id, 12, count); }
  void BeginI32s(int id, size_t count) { BeginList(id, 5, count); }
  void BeginI64s(int id, size_t count) { BeginList(id, 6, count); }
  void BeginTexts(int id, size_t count) { BeginList(id, 8, count); }

  /// A struct within a list, or the outermost one.
  void BeginItem() {
    outer_ids_.push_back(last_id_);
    last_id_ = 0;
  }
  void End() {
    out_ += '\0';
    last_id_ = outer_ids_.back();
    outer_ids_.pop_back();
  }
  /// Of 32 or 64 bits: they look the same.
  void NumberItem(int64_t value) { Varint(ZigZag(value)); }
  void TextItem(std::string_view value) {
    Varint(value.size());
    out_ += value;
  }

 private:
  static uint64_t ZigZag(int64_t value) { return static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63); }

  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }
  // Ids ascend by less than 16 in all of Parquet's structs.
  void Header(int id, int type) {
    out_ += static_cast<char>((id - last_id_) << 4 | type);
    last_id_ = id;
  }
  void Number(int id, int type, int64_t value) {
    Header(id, type);
    Varint(ZigZag(value));
  }
  void BeginList(int id, int item_type, size_t count) {
    Header(id, 9);
    if (count < 15) {
      out_ += static_cast<char>(count << 4 | static_cast<size_t>(item_type));
    } else {
      out_ += static_cast<char>(0xF0 | item_type);
      Varint(count);
    }
  }

  Bytes& out_;
  int last_id_ = 0;
  std::vector<int> outer_ids_;
};

}  // namespace datashard::data
