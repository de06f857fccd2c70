// Objects of a store as Arrow's files.
#pragma once

#include <arrow/io/interfaces.h>
#include <arrow/type_fwd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "datashard/result.h"
#include "storage/object_store.h"

namespace datashard::data {

/// A reader's object as a file that may be read by several threads. What was fetched beforehand is read from memory.
class ObjectFile final : public arrow::io::RandomAccessFile {
 public:
  explicit ObjectFile(std::unique_ptr<ObjectReader> reader) : reader_(std::move(reader)) {}

  /// Brings `ranges` of the object, all at once; they belong to `owner` until it drops them. Error: of the first that failed;
  /// nothing is kept then.
  Status Fetch(int owner, std::span<const ByteRange> ranges);
  void Drop(int owner);

  arrow::Result<int64_t> GetSize() override { return reader_->size_bytes(); }
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t size, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t size) override;

  // The position belongs to readers that use the file as a stream; Parquet does not.
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Seek(int64_t position) override;
  arrow::Result<int64_t> Read(int64_t size, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t size) override;
  arrow::Status Close() override;
  bool closed() const override { return closed_; }

 private:
  struct Piece {
    int owner = 0;
    std::shared_ptr<arrow::Buffer> bytes;
  };
  using Pieces = std::vector<std::shared_ptr<arrow::Buffer>>;
  Pieces Fetched(int64_t position, int64_t size) const;

  const std::unique_ptr<ObjectReader> reader_;
  mutable std::mutex mutex_;
  std::map<int64_t, Piece> pieces_;  // by offset; none reaches into the next
  int64_t position_ = 0;
  bool closed_ = false;
};

/// All of `bytes` as a file.
std::shared_ptr<arrow::io::RandomAccessFile> FileOf(Bytes bytes);
/// The object of a local store; a small one is read at once, whole.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenLocalFile(std::unique_ptr<ObjectReader> reader);

/// An object on its way out. It stays in memory while it is small and is then put in one call; a larger one is written
/// piece by piece. Until Finish it has no name.
class ObjectSink {
 public:
  /// `group` must outlive it.
  ObjectSink(WriteGroup& group, std::string key);
  ~ObjectSink();
  const std::shared_ptr<arrow::io::OutputStream>& stream() const { return stream_; }
  int64_t size_bytes() const;
  Status Finish();

 private:
  class Stream;
  std::shared_ptr<Stream> state_;
  std::shared_ptr<arrow::io::OutputStream> stream_;
};

}  // namespace datashard::data
