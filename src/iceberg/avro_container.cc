#include "iceberg/avro_container.h"

#include "base/error.h"
#include "iceberg/inflate.h"

namespace datashard::iceberg {
namespace {

constexpr size_t kSyncBytes = 16;
// PyIceberg and fastavro cut a zlib stream down to deflate and leave part of its checksum behind.
constexpr int64_t kZlibTailBytes = 4;

// A zigzag number off the front of `rest`; none where it is cut off or too long.
std::optional<int64_t> TakeLong(ByteView& rest) {
  uint64_t bits = 0;
  for (size_t i = 0; i < rest.size() && i < 10; ++i) {
    const auto byte = static_cast<uint8_t>(rest[i]);
    if (i == 9 && byte > 1) return std::nullopt;
    bits |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if (byte >= 0x80) continue;
    rest.remove_prefix(i + 1);
    return static_cast<int64_t>(bits >> 1) ^ -static_cast<int64_t>(bits & 1);
  }
  return std::nullopt;
}

std::optional<ByteView> TakeText(ByteView& rest) {
  const auto size = TakeLong(rest);
  if (!size || *size < 0 || static_cast<uint64_t>(*size) > rest.size()) return std::nullopt;
  const ByteView text = rest.substr(0, static_cast<size_t>(*size));
  rest.remove_prefix(text.size());
  return text;
}

}  // namespace

Error AvroFile::Damaged(std::string_view what) const {
  return Corruption("{}: {} (at byte {} of {})", object_, what, file_.size() - rest_.size(), file_.size())
      .About(ErrorSubject::kMetadata);
}

Status AvroFile::ReadHeader() {
  if (!rest_.starts_with("Obj\x01")) return Damaged("no Avro file: it does not begin with 'Obj' and 1");
  rest_.remove_prefix(4);
  for (;;) {
    auto count = TakeLong(rest_);
    if (count && *count < 0) {
      count = *count < -kAvroHeaderKeysMax ? std::nullopt : std::optional(-*count);
      if (!TakeLong(rest_)) count = std::nullopt;
    }
    if (!count || *count > kAvroHeaderKeysMax) return Damaged("the Avro header is truncated or damaged");
    if (*count == 0) break;
    for (; *count > 0; --*count) {
      const auto key = TakeText(rest_);
      const auto value = key ? TakeText(rest_) : std::nullopt;
      if (!value) return Damaged("the Avro header is truncated or damaged");
      header_[*key] = *value;
      if (header_.size() > static_cast<size_t>(kAvroHeaderKeysMax)) return Damaged("the Avro header has too many keys");
    }
  }
  if (rest_.size() < kSyncBytes) return Damaged("the Avro header is truncated before its sync marker");
  sync_ = rest_.substr(0, kSyncBytes);
  rest_.remove_prefix(kSyncBytes);
  return {};
}

Result<AvroFile> AvroFile::Open(ByteView file, std::string_view object) {
  AvroFile avro;
  avro.file_ = file;
  avro.rest_ = file;
  avro.object_ = object;
  DS_RETURN_IF_ERROR(avro.ReadHeader());
  const std::string_view codec = avro.Header("avro.codec").value_or("null");
  if (codec == "deflate") {
    avro.codec_ = AvroCodec::kDeflate;
  } else if (codec != "null") {
    return Unsupported("{}: Avro codec '{}'; null and deflate are read. Rewrite the table's manifests with one of them",
                       object, codec).About(ErrorSubject::kMetadata);
  }
  const auto schema = avro.Header("avro.schema");
  if (!schema) return avro.Damaged("the Avro header has no key 'avro.schema'");
  DS_ASSIGN_OR_RETURN(avro.schema_, AvroSchema::Parse(*schema, fmt::format("{}: avro.schema", object)));
  return avro;
}

std::optional<std::string_view> AvroFile::Header(std::string_view key) const {
  const auto found = header_.find(key);
  return found == header_.end() ? std::nullopt : std::optional(found->second);
}

Result<std::optional<AvroBlock>> AvroFile::NextPacked() {
  if (rest_.empty()) return std::optional<AvroBlock>();
  AvroBlock block;
  const auto count = TakeLong(rest_);
  const auto bytes = count ? TakeText(rest_) : std::nullopt;
  if (!bytes || rest_.size() < kSyncBytes) return Damaged("an Avro block is truncated");
  if (rest_.substr(0, kSyncBytes) != sync_) return Damaged("the sync marker behind an Avro block is wrong");
  rest_.remove_prefix(kSyncBytes);
  block.count = *count;
  block.in_file = *bytes;
  block.packed = codec_ == AvroCodec::kDeflate;
  return std::optional<AvroBlock>(std::move(block));
}

Result<bool> AvroFile::SkipBlock() {
  DS_ASSIGN_OR_RETURN(const std::optional<AvroBlock> block, NextPacked());
  return block.has_value();
}

Result<std::optional<AvroBlock>> AvroFile::Next() {
  DS_ASSIGN_OR_RETURN(std::optional<AvroBlock> next, NextPacked());
  if (!next) return next;
  AvroBlock& block = *next;
  const ByteView bytes = block.in_file;
  if (block.packed) {
    Result<Bytes> unpacked = Inflate(bytes, ZlibFormat::kRawDeflate,
                                     {.size_bytes_max = kAvroBlockBytesMax,
                                      .ratio_max = kAvroRatioMax,
                                      .tail_bytes_max = kZlibTailBytes});
    if (!unpacked.ok()) return Damaged(unpacked.error().message());
    block.unpacked = std::move(unpacked).value();
  } else if (static_cast<int64_t>(bytes.size()) > kAvroBlockBytesMax) {
    return Damaged(fmt::format("an Avro block of {} bytes; at most {} are read", bytes.size(), kAvroBlockBytesMax));
  }
  // Our records take at least a byte each.
  if (block.count < 0 || block.count > static_cast<int64_t>(block.bytes().size())) {
    return Damaged(fmt::format("an Avro block of {} records in {} bytes", block.count, block.bytes().size()));
  }
  return next;
}

}  // namespace datashard::iceberg
