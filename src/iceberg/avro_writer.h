// Building Avro object container files: values, blocks, header. What a record holds is the caller's.
// Source: Avro 1.11 spec, "Binary Encoding" and "Object Container Files".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"
#include "iceberg/avro_codec.h"

namespace datashard::iceberg {

/// Avro's binary encoding, appended to one buffer.
class AvroEncoder {
 public:
  void Long(int64_t value);  // int and long
  void Boolean(bool value) { bytes_ += value ? '\x01' : '\0'; }
  void Float(float value);
  void Double(double value);
  void Text(std::string_view value) {  // string and bytes
    Long(static_cast<int64_t>(value.size()));
    bytes_ += value;
  }
  void Fixed(std::string_view value) { bytes_ += value; }
  /// The branch of a union ["null", T].
  void Null() { bytes_ += '\0'; }
  void Some() { bytes_ += '\x02'; }

  const Bytes& bytes() const { return bytes_; }
  void Clear() { bytes_.clear(); }

 private:
  Bytes bytes_;
};

/// Who decides where a block ends.
enum class AvroBlocks { kBySize, kByCaller };

class AvroFileWriter {
 public:
  /// `header`: the metadata beside Avro's own keys, in the order written.
  AvroFileWriter(std::vector<std::pair<std::string, std::string>> header, std::string schema_json, AvroCodec codec,
                 AvroBlocks blocks = AvroBlocks::kBySize);

  /// Where the next record goes.
  AvroEncoder& record() { return block_; }
  Status EndRecord();
  /// Ends a block that has records.
  Status EndBlock();
  /// The file. Equal records and headers give equal bytes.
  Result<Bytes> Finish() &&;

 private:
  struct Block {
    int64_t count = 0;
    Bytes bytes;
  };

  AvroEncoder header_;
  AvroCodec codec_;
  AvroBlocks cut_;
  AvroEncoder block_;
  int64_t count_ = 0;
  std::vector<Block> blocks_;
};

}  // namespace datashard::iceberg
