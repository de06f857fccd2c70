// Arrow batches as lists of dicts.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>
#include <vector>

#include "datashard/arrow_c.h"

namespace datashard::python {

/// Values of one Arrow type as Python objects. See python/README.md, "Values" for the classes.
class ColumnReader {
 public:
  /// Throws CoreError (kUnsupported) for a type no table of ours reads as.
  static std::unique_ptr<ColumnReader> Make(const ArrowSchema& schema);
  virtual ~ColumnReader() = default;
  /// Looks at `array` from now on.
  void Attach(const ArrowArray& array) {
    array_ = &array;
    validity_ = array.null_count == 0 ? nullptr : static_cast<const uint8_t*>(array.buffers[0]);
    OnAttach();
  }
  /// The value at `row`, counted from the batch's start: a new reference, or null with a Python exception.
  PyObject* At(int64_t row) const {
    const int64_t i = row + array_->offset;
    if (validity_ != nullptr && (validity_[i / 8] >> (i % 8) & 1) == 0) return Py_NewRef(Py_None);
    return Value(i);
  }

 protected:
  /// The value at `i`, counted from the start of the buffers.
  virtual PyObject* Value(int64_t i) const = 0;
  virtual void OnAttach() {}
  template <typename T>
  const T* Buffer(int index) const {
    return static_cast<const T*>(array_->buffers[index]);
  }
  const ArrowArray* array_ = nullptr;

 private:
  const uint8_t* validity_ = nullptr;
};

/// Makes dicts from batches of one schema. Keys are in the order of the columns.
class RecordMaker {
 public:
  explicit RecordMaker(const ArrowSchema& schema);
  /// Appends the rows of `batch` to `out`.
  void Append(const ArrowArray& batch, nanobind::list& out);

 private:
  std::vector<nanobind::object> keys_;
  std::vector<std::unique_ptr<ColumnReader>> readers_;
};

/// To be called once, when the module is loaded.
void ImportDatetimeForReading();

}  // namespace datashard::python
