#include "arrow_to_records.h"

#include <datetime.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <string_view>

#include "python_error.h"
#include "uuid_text.h"

namespace datashard::python {
namespace {

constexpr int64_t kMicrosPerDay = 86'400'000'000;

bool IsAscii(const char* data, size_t size) {
  uint64_t bits = 0;
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t word;
    std::memcpy(&word, data + i, 8);
    bits |= word;
  }
  for (; i < size; ++i) bits |= static_cast<uint64_t>(static_cast<unsigned char>(data[i])) << 56;
  return (bits & 0x8080808080808080U) == 0;
}

PyObject* TextOf(const char* data, size_t size) {
  if (!IsAscii(data, size)) return PyUnicode_DecodeUTF8(data, static_cast<Py_ssize_t>(size), nullptr);
  PyObject* text = PyUnicode_New(static_cast<Py_ssize_t>(size), 127);
  if (text != nullptr && size > 0) std::memcpy(PyUnicode_1BYTE_DATA(text), data, size);
  return text;
}

struct CivilDate {
  int year;
  int month;
  int day;
};
// Python's dates end at year 9999; std::chrono's reach further than any value asked here.
bool ToCivil(int64_t days, CivilDate& out) {
  using namespace std::chrono;
  if (days < -719'162 || days > 2'932'896) return false;  // 0001-01-01, 9999-12-31
  const year_month_day date{sys_days{std::chrono::days{days}}};
  out = {static_cast<int>(date.year()), static_cast<int>(static_cast<unsigned>(date.month())),
         static_cast<int>(static_cast<unsigned>(date.day()))};
  return true;
}

PyObject* OutOfRange(const char* what, int64_t value, const char* unit) {
  PyErr_Format(PyExc_OverflowError,
               "a %s of %lld %s since 1970-01-01 is outside Python's years 1 to 9999; read it with to_arrow()", what,
               static_cast<long long>(value), unit);
  return nullptr;
}

class BoolReader final : public ColumnReader {
  PyObject* Value(int64_t i) const override {
    return Py_NewRef((Buffer<uint8_t>(1)[i / 8] >> (i % 8) & 1) != 0 ? Py_True : Py_False);
  }
};

template <typename T>
class IntegerReader final : public ColumnReader {
  PyObject* Value(int64_t i) const override { return PyLong_FromLongLong(Buffer<T>(1)[i]); }
};

template <typename T>
class RealReader final : public ColumnReader {
  PyObject* Value(int64_t i) const override { return PyFloat_FromDouble(Buffer<T>(1)[i]); }
};

class TextReader final : public ColumnReader {
  PyObject* Value(int64_t i) const override {
    const int32_t* offsets = Buffer<int32_t>(1);
    return TextOf(Buffer<char>(2) + offsets[i], static_cast<size_t>(offsets[i + 1] - offsets[i]));
  }
};

class BytesReader final : public ColumnReader {
  PyObject* Value(int64_t i) const override {
    const int32_t* offsets = Buffer<int32_t>(1);
    return PyBytes_FromStringAndSize(Buffer<char>(2) + offsets[i], offsets[i + 1] - offsets[i]);
  }
};

class FixedBytesReader final : public ColumnReader {
 public:
  explicit FixedBytesReader(int64_t width) : width_(width) {}

 private:
  PyObject* Value(int64_t i) const override { return PyBytes_FromStringAndSize(Buffer<char>(1) + i * width_, width_); }
  int64_t width_;
};

class UuidReader final : public ColumnReader {
  PyObject* Value(int64_t i) const override {
    const std::array<char, 36> text = UuidText(Buffer<uint8_t>(1) + i * 16);
    return TextOf(text.data(), text.size());
  }
};

class DateReader final : public ColumnReader {
  PyObject* Value(int64_t i) const override {
    CivilDate date;
    const int32_t days = Buffer<int32_t>(1)[i];
    if (!ToCivil(days, date)) return OutOfRange("date", days, "days");
    return PyDate_FromDate(date.year, date.month, date.day);
  }
};

class TimeReader final : public ColumnReader {
  PyObject* Value(int64_t i) const override {
    const int64_t micros = Buffer<int64_t>(1)[i];
    const auto seconds = static_cast<int>(micros / 1'000'000);
    return PyTime_FromTime(seconds / 3600, seconds / 60 % 60, seconds % 60, static_cast<int>(micros % 1'000'000));
  }
};

class TimestampReader final : public ColumnReader {
 public:
  explicit TimestampReader(bool has_zone) : zone_(has_zone ? PyDateTime_TimeZone_UTC : Py_None) {}

 private:
  PyObject* Value(int64_t i) const override {
    const int64_t micros = Buffer<int64_t>(1)[i];
    const int64_t days = micros / kMicrosPerDay - (micros % kMicrosPerDay < 0 ? 1 : 0);
    CivilDate date;
    if (!ToCivil(days, date)) return OutOfRange("timestamp", micros, "microseconds");
    const int64_t rest = micros - days * kMicrosPerDay;
    const auto seconds = static_cast<int>(rest / 1'000'000);
    return PyDateTimeAPI->DateTime_FromDateAndTime(date.year, date.month, date.day, seconds / 3600, seconds / 60 % 60,
                                                   seconds % 60, static_cast<int>(rest % 1'000'000), zone_,
                                                   PyDateTimeAPI->DateTimeType);
  }
  PyObject* zone_;  // lives as long as the datetime module
};

class DecimalReader final : public ColumnReader {
 public:
  explicit DecimalReader(int32_t scale) : scale_(scale), decimal_(nb::module_::import_("decimal").attr("Decimal")) {}

 private:
  PyObject* Value(int64_t i) const override {
    __int128 value;
    std::memcpy(&value, Buffer<char>(1) + i * 16, sizeof value);
    // The digits are made from the end: 39 of them, a point and a sign at most.
    std::array<char, 48> text;
    auto magnitude = static_cast<unsigned __int128>(value);
    if (value < 0) magnitude = -magnitude;
    char* end = text.data() + text.size();
    char* at = end;
    for (int32_t digits = 0; magnitude != 0 || digits <= scale_; ++digits) {
      if (digits == scale_ && scale_ > 0) *--at = '.';
      *--at = static_cast<char>('0' + static_cast<int>(magnitude % 10));
      magnitude /= 10;
    }
    if (value < 0) *--at = '-';
    const nb::object digits = Steal(PyUnicode_FromStringAndSize(at, end - at));
    return PyObject_CallOneArg(decimal_.ptr(), digits.ptr());
  }
  int32_t scale_;
  nb::object decimal_;
};

class NullReader final : public ColumnReader {
  PyObject* Value(int64_t) const override { return Py_NewRef(Py_None); }
};

}  // namespace

void ImportDatetimeForReading() {
  PyDateTime_IMPORT;
  if (PyDateTimeAPI == nullptr) ThrowPending();
}

std::unique_ptr<ColumnReader> ColumnReader::Make(const ArrowSchema& schema) {
  const std::string_view format = schema.format;
  if (format == "n") return std::make_unique<NullReader>();
  if (format == "b") return std::make_unique<BoolReader>();
  if (format == "i") return std::make_unique<IntegerReader<int32_t>>();
  if (format == "l") return std::make_unique<IntegerReader<int64_t>>();
  if (format == "f") return std::make_unique<RealReader<float>>();
  if (format == "g") return std::make_unique<RealReader<double>>();
  if (format == "u") return std::make_unique<TextReader>();
  if (format == "z") return std::make_unique<BytesReader>();
  if (format == "tdD") return std::make_unique<DateReader>();
  if (format == "ttu") return std::make_unique<TimeReader>();
  if (format.starts_with("tsu:")) return std::make_unique<TimestampReader>(format.size() > 4);
  if (IsUuidColumn(schema)) return std::make_unique<UuidReader>();
  if (format.starts_with("w:")) return std::make_unique<FixedBytesReader>(std::stoll(std::string(format.substr(2))));
  const size_t comma = format.find(',');
  if (format.starts_with("d:") && comma != std::string_view::npos)
    return std::make_unique<DecimalReader>(std::stoi(std::string(format.substr(comma + 1))));
  throw CoreError(Error(ErrorKind::kUnsupported,
                        fmt::format("column '{}' is of Arrow type '{}', which records cannot show; use to_arrow()",
                                    schema.name, format)));
}

RecordMaker::RecordMaker(const ArrowSchema& schema) {
  for (int64_t i = 0; i < schema.n_children; ++i) {
    keys_.push_back(Steal(PyUnicode_InternFromString(schema.children[i]->name)));
    readers_.push_back(ColumnReader::Make(*schema.children[i]));
  }
}

void RecordMaker::Append(const ArrowArray& batch, nb::list& out) {
  for (size_t c = 0; c < readers_.size(); ++c) readers_[c]->Attach(*batch.children[c]);
  for (int64_t row = 0; row < batch.length; ++row) {
    const nb::object record = Steal(PyDict_New());
    for (size_t c = 0; c < readers_.size(); ++c) {
      const nb::object value = Steal(readers_[c]->At(row + batch.offset));
      if (PyDict_SetItem(record.ptr(), keys_[c].ptr(), value.ptr()) != 0) ThrowPending();
    }
    if (PyList_Append(out.ptr(), record.ptr()) != 0) ThrowPending();
    if (row % 4096 == 4095 && PyErr_CheckSignals() != 0) ThrowPending();
  }
}

}  // namespace datashard::python
