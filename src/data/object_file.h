// Objects of a store as Arrow's files.
#pragma once

#include <arrow/type_fwd.h>

#include <cstdint>
#include <memory>
#include <string>

#include "datashard/result.h"
#include "storage/object_store.h"

namespace datashard::data {

/// `reader`'s object as a file that may be read by several threads. A small object is read at once, whole.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenObjectFile(std::unique_ptr<ObjectReader> reader);

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
