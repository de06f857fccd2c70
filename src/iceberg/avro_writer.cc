#include "iceberg/avro_writer.h"

#include <algorithm>
#include <cstring>

#include "iceberg/inflate.h"

namespace datashard::iceberg {
namespace {

// Java's writers cut blocks at 64 KiB too; larger ones pack little better and cost readers memory.
constexpr size_t kBlockBytes = 64 * 1024;

// 64 bits of the well-mixed kind (the finaliser of SplitMix64 over 8-byte words). Not for security: see SyncMarker.
uint64_t Mix(ByteView bytes, uint64_t state) {
  for (size_t i = 0; i < bytes.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<size_t>(8, bytes.size() - i));
    state = (state ^ word) * 0x9E3779B97F4A7C15u;
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
    state ^= state >> 31;
  }
  return state;
}

}  // namespace

void AvroEncoder::Long(int64_t value) {
  auto bits = static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63);
  for (; bits >= 0x80; bits >>= 7) bytes_ += static_cast<char>(bits | 0x80);
  bytes_ += static_cast<char>(bits);
}

void AvroEncoder::Float(float value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  bytes_.append(bytes, sizeof value);
}

void AvroEncoder::Double(double value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  bytes_.append(bytes, sizeof value);
}

AvroFileWriter::AvroFileWriter(std::vector<std::pair<std::string, std::string>> header, std::string schema_json,
                               AvroCodec codec, AvroBlocks blocks)
    : codec_(codec), cut_(blocks) {
  header.emplace_back("avro.codec", codec == AvroCodec::kNull ? "null" : "deflate");
  header.emplace_back("avro.schema", std::move(schema_json));
  header_.Fixed("Obj\x01");
  header_.Long(static_cast<int64_t>(header.size()));
  for (const auto& [key, value] : header) {
    header_.Text(key);
    header_.Text(value);
  }
  header_.Long(0);
}

Status AvroFileWriter::EndRecord() {
  ++count_;
  return cut_ == AvroBlocks::kBySize && block_.bytes().size() >= kBlockBytes ? EndBlock() : Status();
}

Status AvroFileWriter::EndBlock() {
  if (count_ == 0) return {};
  Block block{.count = count_};
  if (codec_ == AvroCodec::kNull) {
    block.bytes = block_.bytes();
  } else {
    DS_ASSIGN_OR_RETURN(block.bytes, Deflate(block_.bytes(), ZlibFormat::kRawDeflate));
  }
  blocks_.push_back(std::move(block));
  block_.Clear();
  count_ = 0;
  return {};
}

Result<Bytes> AvroFileWriter::Finish() && {
  DS_RETURN_IF_ERROR(EndBlock());
  // The marker must be unlikely to occur in the data. Taking it from the content instead of from chance keeps equal files
  // equal, so that a repeated attempt writes the same bytes.
  uint64_t first = Mix(header_.bytes(), 0x6461746173686172u);
  uint64_t second = Mix(header_.bytes(), 0x64736D616E696665u);
  for (const Block& block : blocks_) {
    first = Mix(block.bytes, first);
    second = Mix(block.bytes, second);
  }
  std::string sync(16, '\0');
  std::memcpy(sync.data(), &first, 8);
  std::memcpy(sync.data() + 8, &second, 8);

  AvroEncoder file = std::move(header_);
  file.Fixed(sync);
  for (const Block& block : blocks_) {
    file.Long(block.count);
    file.Text(block.bytes);
    file.Fixed(sync);
  }
  return file.bytes();
}

}  // namespace datashard::iceberg
