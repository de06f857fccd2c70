#include "records_to_arrow.h"

#include <deque>
#include <memory>

#include "column_builder.h"
#include "python_error.h"
#include "python_values.h"

namespace datashard::python {
namespace {

constexpr int64_t kBatchRowsMax = 65'536;

/// A stream of batches that are ready.
struct ReadyBatches {
  std::vector<Field> fields;
  std::deque<ArrowArrayHandle> batches;
};

int GetSchema(ArrowArrayStream* stream, ArrowSchema* out) {
  ExportFields(static_cast<ReadyBatches*>(stream->private_data)->fields, out);
  return 0;
}
int GetNext(ArrowArrayStream* stream, ArrowArray* out) {
  auto& batches = static_cast<ReadyBatches*>(stream->private_data)->batches;
  out->release = nullptr;
  if (batches.empty()) return 0;
  batches.front().MoveTo(out);
  batches.pop_front();
  return 0;
}
const char* GetLastError(ArrowArrayStream*) { return nullptr; }
void Release(ArrowArrayStream* stream) {
  delete static_cast<ReadyBatches*>(stream->private_data);
  stream->release = nullptr;
}

/// Items of a list or tuple. The list may change while Python code runs inside a conversion.
int64_t CountOf(PyObject* records) { return PySequence_Fast_GET_SIZE(records); }
nb::object ItemOf(PyObject* records, int64_t index) { return nb::borrow(PySequence_Fast_GET_ITEM(records, index)); }

/// `record` as a dict.
nb::object AsDict(nb::object record, int64_t index) {
  if (PyDict_Check(record.ptr())) return record;
  if (!PyObject_HasAttrString(record.ptr(), "keys"))
    Refuse(ErrorSubject::kValue, "record {} is {}, not a dict", index, Shown(record.ptr()));
  return Steal(PyObject_CallOneArg(reinterpret_cast<PyObject*>(&PyDict_Type), record.ptr()));
}

class Converter {
 public:
  explicit Converter(const Schema& schema) : fields_(schema.fields) {
    for (size_t i = 0; i < fields_.size(); ++i) index_of_[nb::str(fields_[i].name.c_str(), fields_[i].name.size())] = i;
  }

  /// Rows [first, …) of `records` as one batch. \return the row after its last.
  int64_t ConvertBatch(PyObject* records, int64_t first, ArrowArray* out) {
    const int64_t rows_max = std::min(CountOf(records) - first, kBatchRowsMax);
    columns_.clear();
    full_ = false;
    for (const Field& field : fields_) columns_.push_back(ColumnBuilder::Make(field, rows_max, full_));
    int64_t rows = 0;
    while (rows < rows_max && !full_ && first + rows < CountOf(records)) {
      ConvertRow(AsDict(ItemOf(records, first + rows), first + rows).ptr(), first + rows, rows);
      ++rows;
      if (rows % 1024 == 0 && PyErr_CheckSignals() != 0) ThrowPending();
    }
    FinishBatch(columns_, rows, out);
    return first + rows;
  }

 private:
  // A key at a place among the keys of a record, and its column. Records of one list mostly share their key objects.
  struct Place {
    nb::object key;
    size_t column = 0;
  };

  // The column of a key; null where there is none.
  ColumnBuilder* ColumnOf(PyObject* key, size_t place) {
    if (place < places_.size() && places_[place].key.ptr() == key) return columns_[places_[place].column].get();
    const nb::object held = nb::borrow(key);  // comparing a key may run Python code
    PyObject* found = PyDict_GetItemWithError(index_of_.ptr(), key);
    if (found == nullptr) {
      if (PyErr_Occurred() != nullptr) ThrowPending();
      return nullptr;
    }
    const size_t column = PyLong_AsSize_t(found);
    if (place >= places_.size()) places_.resize(place + 1);
    places_[place] = {held, column};
    return columns_[column].get();
  }

  void ConvertRow(PyObject* record, int64_t index, int64_t row) {
    Py_ssize_t position = 0;
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    size_t place = 0;
    while (PyDict_Next(record, &position, &key, &value)) {
      ColumnBuilder* column = ColumnOf(key, place++);
      if (column == nullptr) RefuseUnknown(record, index);
      PutValue(*column, value, index, row);
    }
    if (place == columns_.size()) return;
    for (auto& column : columns_) {
      if (column->length() == row) PutValue(*column, Py_None, index, row);
    }
  }

  static void PutValue(ColumnBuilder& column, PyObject* value, int64_t index, int64_t row) {
    // Two keys of one record may be equal to one name only if their class plays tricks.
    if (column.length() != row) Refuse(ErrorSubject::kSchema, "record {} has the field '{}' twice", index, column.field().name);
    try {
      column.Append(value);
    } catch (const BadValue& bad) {
      throw CoreError(Error(ErrorKind::kInvalidArgument,
                            fmt::format("record {}, field '{}': {}", index, column.field().name, bad.why),
                            ErrorSubject::kValue),
                      bad.overflow);
    } catch (const NoValue&) {
      Refuse(ErrorSubject::kSchema, "record {} has no value in the required field '{}'", index, column.field().name);
    }
  }

  [[noreturn]] void RefuseUnknown(PyObject* record, int64_t index) {
    std::string unknown;
    Py_ssize_t position = 0;
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    while (PyDict_Next(record, &position, &key, &value)) {
      const nb::object held = nb::borrow(key);
      const int known = PyDict_Contains(index_of_.ptr(), key);
      if (known < 0) ThrowPending();
      if (known == 0) unknown += (unknown.empty() ? "" : ", ") + std::string(nb::repr(held).c_str());
    }
    std::string all;
    for (const Field& field : fields_) all += (all.empty() ? "'" : ", '") + field.name + "'";
    Refuse(ErrorSubject::kSchema, "record {} has fields the schema does not know: {}. The schema has: {}. Nothing was "
           "written", index, unknown, all);
  }

  const std::vector<Field>& fields_;
  nb::dict index_of_;
  std::vector<Place> places_;
  std::vector<std::unique_ptr<ColumnBuilder>> columns_;
  bool full_ = false;
};

}  // namespace

ArrowStream StreamOfRecords(nb::handle records, const Schema& schema) {
  auto ready = std::make_unique<ReadyBatches>();
  ready->fields = schema.fields;
  Converter converter(schema);
  for (int64_t row = 0; row < CountOf(records.ptr());) {
    ArrowArrayHandle batch;
    row = converter.ConvertBatch(records.ptr(), row, batch.get());
    ready->batches.push_back(std::move(batch));
  }
  ArrowStream stream;
  *stream.get() = ArrowArrayStream{.get_schema = GetSchema, .get_next = GetNext, .get_last_error = GetLastError,
                                   .release = Release, .private_data = ready.release()};
  return stream;
}

}  // namespace datashard::python
