// Reading Avro object container files: header, blocks, sync markers; codecs null and deflate. What a record holds is the
// caller's (avro_reader.h). Source: Avro 1.11 spec, "Object Container Files".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "datashard/result.h"
#include "iceberg/avro_codec.h"
#include "iceberg/avro_schema.h"

namespace datashard::iceberg {

/// What a reader takes in at most.
inline constexpr int64_t kAvroHeaderKeysMax = 1000;
inline constexpr int64_t kAvroBlockBytesMax = 64 << 20;  // unpacked
inline constexpr int64_t kAvroRatioMax = 1000;           // bytes unpacked per byte packed

struct AvroBlock {
  int64_t count = 0;
  Bytes unpacked;       // where the codec is not null
  ByteView in_file;     // where it is
  bool packed = false;
  ByteView bytes() const { return packed ? ByteView(unpacked) : in_file; }
};

class AvroFile {
 public:
  /// `file` and `object` must outlive this. Errors: kCorruption (kMetadata); kUnsupported names a codec we do not have.
  static Result<AvroFile> Open(ByteView file, std::string_view object);

  const AvroSchema& schema() const { return schema_; }
  /// A value of the header's metadata.
  std::optional<std::string_view> Header(std::string_view key) const;
  /// The next block; none at the end of the file. Its sync marker has been checked. A file cut between two blocks ends
  /// like a whole one: whoever knows how many records there must be counts them.
  Result<std::optional<AvroBlock>> Next();
  /// Passes over the next block without unpacking it; its sync marker is checked. False at the end of the file.
  Result<bool> SkipBlock();

 private:
  Status ReadHeader();
  /// The next block as it lies in the file.
  Result<std::optional<AvroBlock>> NextPacked();
  Error Damaged(std::string_view what) const;

  ByteView file_;
  ByteView rest_;
  std::string_view object_;
  std::map<std::string_view, std::string_view> header_;
  AvroSchema schema_;
  AvroCodec codec_ = AvroCodec::kNull;
  ByteView sync_;
};

}  // namespace datashard::iceberg
