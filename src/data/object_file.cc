#include "data/object_file.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>

#include <algorithm>

#include "data/arrow_support.h"

namespace datashard::data {
namespace {

// Below this one read of everything beats a read of the footer and one per column.
constexpr int64_t kReadWholeBytesMax = 256 << 10;
// Above this an object is written as it grows, so that a large one is never in memory.
constexpr size_t kPutWholeBytesMax = 1 << 20;

}  // namespace

Status ObjectFile::Fetch(int owner, std::span<const ByteRange> ranges) {
  std::vector<Result<Bytes>> read = reader_->ReadRanges(ranges);
  for (const Result<Bytes>& bytes : read) {
    if (!bytes.ok()) return bytes.error();
  }
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < ranges.size(); ++i)
    pieces_[ranges[i].offset_bytes] = {.owner = owner, .bytes = arrow::Buffer::FromString(std::move(read[i]).value())};
  return {};
}

void ObjectFile::Drop(int owner) {
  const std::lock_guard lock(mutex_);
  std::erase_if(pieces_, [&](const auto& piece) { return piece.second.owner == owner; });
}

/// Parts of fetched pieces that make up the range; none where a byte of it is missing.
ObjectFile::Pieces ObjectFile::Fetched(int64_t position, int64_t size) const {
  Pieces parts;
  const std::lock_guard lock(mutex_);
  auto piece = pieces_.upper_bound(position);
  if (piece == pieces_.begin()) return {};
  --piece;
  for (const int64_t end = position + size; position < end; ++piece) {
    if (piece == pieces_.end()) return {};
    const int64_t start = position - piece->first;
    const int64_t count = std::min(end - position, piece->second.bytes->size() - start);
    if (start < 0 || count <= 0) return {};
    parts.push_back(arrow::SliceBuffer(piece->second.bytes, start, count));
    position += count;
  }
  return parts;
}

arrow::Result<int64_t> ObjectFile::ReadAt(int64_t position, int64_t size, void* out) {
  const Pieces parts = size > 0 ? Fetched(position, size) : Pieces();
  if (!parts.empty()) {
    auto* to = static_cast<uint8_t*>(out);
    for (const auto& part : parts) to = std::copy_n(part->data(), part->size(), to);
    return size;
  }
  Result<int64_t> read = reader_->ReadAt(position, size, out);
  if (!read.ok()) return ToArrow(read.error());
  return *read;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> ObjectFile::ReadAt(int64_t position, int64_t size) {
  // Sizes come from the file's own footer: nothing is allocated for bytes the object does not have.
  const int64_t there = std::min(size, std::max<int64_t>(reader_->size_bytes() - position, 0));
  if (Pieces parts = there > 0 ? Fetched(position, there) : Pieces(); parts.size() == 1) return std::move(parts.front());
  ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(there));
  ARROW_ASSIGN_OR_RAISE(const int64_t read, ReadAt(position, there, buffer->mutable_data()));
  if (read != there) ARROW_RETURN_NOT_OK(buffer->Resize(read));
  return std::shared_ptr<arrow::Buffer>(std::move(buffer));
}

arrow::Status ObjectFile::Seek(int64_t position) {
  position_ = position;
  return {};
}

arrow::Result<int64_t> ObjectFile::Read(int64_t size, void* out) {
  ARROW_ASSIGN_OR_RAISE(const int64_t read, ReadAt(position_, size, out));
  position_ += read;
  return read;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> ObjectFile::Read(int64_t size) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position_, size));
  position_ += buffer->size();
  return buffer;
}

arrow::Status ObjectFile::Close() {
  closed_ = true;
  return {};
}

std::shared_ptr<arrow::io::RandomAccessFile> FileOf(Bytes bytes) {
  return std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(std::move(bytes)));
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenLocalFile(std::unique_ptr<ObjectReader> reader) {
  const int64_t size = reader->size_bytes();
  const auto file = std::make_shared<ObjectFile>(std::move(reader));
  if (size > kReadWholeBytesMax) return std::shared_ptr<arrow::io::RandomAccessFile>(file);
  DS_ASSIGN_OR_RETURN(auto buffer, Lift(file->ReadAt(0, size), ErrorKind::kCorruption));
  return std::shared_ptr<arrow::io::RandomAccessFile>(std::make_shared<arrow::io::BufferReader>(std::move(buffer)));
}

class ObjectSink::Stream final : public arrow::io::OutputStream {
 public:
  Stream(WriteGroup& group, std::string key) : group_(group), key_(std::move(key)) {}

  arrow::Status Write(const void* data, int64_t size) override {
    pending_.append(static_cast<const char*>(data), static_cast<size_t>(size));
    position_ += size;
    if (pending_.size() < kPutWholeBytesMax) return {};
    if (writer_ == nullptr) {
      auto writer = group_.Open(key_);
      if (!writer.ok()) return ToArrow(writer.error());
      writer_ = *std::move(writer);
    }
    const datashard::Status status = writer_->Append(pending_);
    if (!status.ok()) return ToArrow(status.error());
    pending_.clear();
    return {};
  }
  arrow::Status Flush() override { return {}; }
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Close() override {
    closed_ = true;
    return {};
  }
  bool closed() const override { return closed_; }

  datashard::Status Finish() {
    if (writer_ == nullptr) return group_.Put(key_, pending_);
    DS_RETURN_IF_ERROR(writer_->Append(pending_));
    return writer_->Finish();
  }

 private:
  WriteGroup& group_;
  std::string key_;
  std::string pending_;
  std::unique_ptr<ObjectWriter> writer_;
  int64_t position_ = 0;
  bool closed_ = false;
};

ObjectSink::ObjectSink(WriteGroup& group, std::string key)
    : state_(std::make_shared<Stream>(group, std::move(key))), stream_(state_) {}
ObjectSink::~ObjectSink() = default;
int64_t ObjectSink::size_bytes() const { return state_->Tell().ValueOr(0); }
Status ObjectSink::Finish() { return state_->Finish(); }

}  // namespace datashard::data
