// The Arrow C data and stream interfaces (as the Arrow project publishes them, guarded so that Arrow's own header may
// be included too) and ArrowStream, the one currency in which rows enter and leave this library.
// Source: Arrow documentation, "The Arrow C data interface" and "The Arrow C stream interface".
#pragma once

#include <cstdint>
#include <utility>

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4
extern "C" {
struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};
struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};
}
#endif  // ARROW_C_DATA_INTERFACE

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
extern "C" {
struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream*, struct ArrowSchema* out);
  int (*get_next)(struct ArrowArrayStream*, struct ArrowArray* out);
  const char* (*get_last_error)(struct ArrowArrayStream*);
  void (*release)(struct ArrowArrayStream*);
  void* private_data;
};
}
#endif  // ARROW_C_STREAM_INTERFACE

namespace datashard {

/// Owns one of the C structs above: moved, never copied, released once.
template <typename T>
class ArrowOwned {
 public:
  ArrowOwned() { raw_.release = nullptr; }
  /// Takes over `raw` and marks it released.
  explicit ArrowOwned(T* raw) : raw_(*raw) { raw->release = nullptr; }
  ArrowOwned(ArrowOwned&& other) noexcept : raw_(other.raw_) { other.raw_.release = nullptr; }
  ArrowOwned& operator=(ArrowOwned&& other) noexcept {
    if (this != &other) {
      Reset();
      raw_ = other.raw_;
      other.raw_.release = nullptr;
    }
    return *this;
  }
  ~ArrowOwned() { Reset(); }

  /// Null where nothing is held (for a stream's batch: the end of the stream).
  bool empty() const { return raw_.release == nullptr; }
  T* get() { return &raw_; }
  const T* get() const { return &raw_; }
  T* operator->() { return &raw_; }
  const T* operator->() const { return &raw_; }
  /// Hands the struct to `out`, which must release it.
  void MoveTo(T* out) {
    *out = raw_;
    raw_.release = nullptr;
  }
  void Reset() {
    if (raw_.release != nullptr) raw_.release(&raw_);
    raw_.release = nullptr;
  }

 private:
  T raw_;
};

using ArrowSchemaHandle = ArrowOwned<ArrowSchema>;
using ArrowArrayHandle = ArrowOwned<ArrowArray>;
/// A stream of struct arrays (record batches) of one schema. Not thread safe; pulled by one thread at a time.
using ArrowStream = ArrowOwned<ArrowArrayStream>;

}  // namespace datashard
