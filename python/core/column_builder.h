// One column of a batch, built from Python values into raw Arrow buffers. The common class of each type is converted
// inline; everything else goes through python_values.h. Needs the GIL.
#pragma once

#include <Python.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "datashard/arrow_c.h"
#include "datashard/schema.h"

namespace datashard::python {

/// A piece of memory from malloc that grows; Arrow frees it.
class RawBuffer {
 public:
  /// Room for `size` bytes in all; what was written stays.
  void Reserve(size_t size) {
    if (size <= capacity_) return;
    void* grown = std::realloc(data_.get(), size);
    if (grown == nullptr) throw std::bad_alloc();
    (void)data_.release();
    data_.reset(grown);
    capacity_ = size;
  }
  void Clear(size_t size) { std::memset(data_.get(), 0, size); }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_.get());
  }
  size_t capacity() const { return capacity_; }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> data_;
  size_t capacity_ = 0;
};

/// A required column was to hold a null.
struct NoValue {};

class ColumnBuilder {
 public:
  /// For at most `rows_max` values of `field`, which must outlive the builder. Sets `full` once a column of text or bytes
  /// holds so much that the batch should end here. Throws CoreError (kUnsupported) for types that have no columns here:
  /// nested ones and those of newer format versions.
  static std::unique_ptr<ColumnBuilder> Make(const Field& field, int64_t rows_max, bool& full);
  virtual ~ColumnBuilder() = default;

  const Field& field() const { return field_; }
  int64_t length() const { return length_; }

  /// Adds `value`, or a null for what IsMissing. Throws BadValue, NoValue or the exception of Python code it called.
  void Append(PyObject* value) {
    if (Put(value)) {
      ++length_;
    } else {
      AppendUncommon(value);
    }
  }
  /// Throws NoValue in a required column.
  void AppendNull();
  /// The Arrow format string of the type.
  static std::string FormatOf(const Type& type);
  /// Hands over the column; the builder is spent.
  void Finish(ArrowArray* out);

 protected:
  explicit ColumnBuilder(const Field& field) : field_(field) {}
  /// Writes the value at row `length_` if it is of the type's common class; false leaves everything as it was. Runs no
  /// Python code.
  virtual bool Put(PyObject* value) = 0;
  /// The same for any class. Throws BadValue.
  virtual void PutUncommon(PyObject* value) = 0;
  virtual void PutNull() = 0;
  /// The buffers behind the validity bitmap.
  virtual std::vector<RawBuffer> TakeBuffers() = 0;

  const Field& field_;
  int64_t length_ = 0;

 private:
  void AppendUncommon(PyObject* value);
  std::vector<int64_t> null_rows_;
};

/// `columns` (all of the same length) as one struct array.
void FinishBatch(std::vector<std::unique_ptr<ColumnBuilder>>& columns, int64_t rows, ArrowArray* out);
/// The struct type of `fields`.
void ExportFields(const std::vector<Field>& fields, ArrowSchema* out);

}  // namespace datashard::python
