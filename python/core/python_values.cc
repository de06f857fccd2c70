#include "python_values.h"

#include <datetime.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <optional>

#include "python_error.h"

namespace datashard::python {
namespace {

constexpr int64_t kMicrosPerDay = 86'400'000'000;

bool IsOfType(PyObject* value, std::string_view name) { return Py_TYPE(value)->tp_name == name; }

// Classes of the standard library are looked up once, when a value of an unknown class first asks for it.
PyObject* ClassOf(const char* module, const char* name, PyObject*& cached) {
  if (cached == nullptr) cached = nb::object(nb::module_::import_(module).attr(name)).release().ptr();
  return cached;
}
PyObject* decimal_class = nullptr;
PyObject* uuid_class = nullptr;

bool IsInstance(PyObject* value, PyObject* cls) {
  const int found = PyObject_IsInstance(value, cls);
  if (found < 0) ThrowPending();
  return found == 1;
}

int32_t DaysOf(int year, int month, int day) {
  using namespace std::chrono;
  const sys_days days = year_month_day{std::chrono::year{year}, std::chrono::month(static_cast<unsigned>(month)),
                                       std::chrono::day(static_cast<unsigned>(day))};
  return static_cast<int32_t>(days.time_since_epoch().count());
}

int64_t WallClockMicros(PyObject* datetime) {
  const int64_t days = DaysOf(PyDateTime_GET_YEAR(datetime), PyDateTime_GET_MONTH(datetime), PyDateTime_GET_DAY(datetime));
  const int64_t seconds = PyDateTime_DATE_GET_HOUR(datetime) * 3600 + PyDateTime_DATE_GET_MINUTE(datetime) * 60 +
                          PyDateTime_DATE_GET_SECOND(datetime);
  return days * kMicrosPerDay + seconds * 1'000'000 + PyDateTime_DATE_GET_MICROSECOND(datetime);
}

// How far the clock of `datetime` is ahead of UTC; nothing for a datetime without a zone, which also is one whose
// utcoffset() is None.
std::optional<int64_t> OffsetMicros(PyObject* datetime) {
  PyObject* zone = PyDateTime_DATE_GET_TZINFO(datetime);
  if (zone == Py_None) return std::nullopt;
  if (zone == PyDateTime_TimeZone_UTC) return 0;
  const nb::object offset = Steal(PyObject_CallMethod(datetime, "utcoffset", nullptr));
  if (offset.is_none()) return std::nullopt;
  if (!PyDelta_Check(offset.ptr())) throw BadValue{"utcoffset() of its time zone gives no timedelta"};
  return PyDateTime_DELTA_GET_DAYS(offset.ptr()) * kMicrosPerDay +
         PyDateTime_DELTA_GET_SECONDS(offset.ptr()) * int64_t{1'000'000} + PyDateTime_DELTA_GET_MICROSECONDS(offset.ptr());
}

// pandas.Timestamp is a datetime with nanoseconds behind it.
void RefuseNanoseconds(PyObject* datetime) {
  if (PyDateTime_CheckExact(datetime)) return;
  const nb::object nanosecond = nb::getattr(nb::handle(datetime), "nanosecond", nb::int_(0));
  if (PyObject_IsTrue(nanosecond.ptr()) != 0) throw BadValue{Shown(datetime) + " has nanoseconds; microseconds are kept"};
}

bool IsNumpyDatetime(PyObject* value) { return IsOfType(value, "numpy.datetime64"); }

int64_t NumpyDatetimeMicros(PyObject* value) {
  const nb::handle given(value);
  const nb::object micros = given.attr("astype")("datetime64[us]");
  // numpy wraps around silently, in comparisons too; only the way back shows it.
  if (!micros.attr("astype")(given.attr("dtype")).equal(given)) throw BadValue{Shown(value) + " is out of range or has nanoseconds; microseconds are kept"};
  return nb::cast<int64_t>(micros.attr("astype")("int64").attr("item")());
}

__int128 PowerOfTen(int exponent) {
  __int128 power = 1;
  for (int i = 0; i < exponent; ++i) power *= 10;
  return power;
}

// "-12.34", "1E+3"; nothing where it is not finite.
struct DecimalText {
  bool negative = false;
  std::string digits;  // no zeros at either end
  int64_t exponent = 0;
};
std::optional<DecimalText> ParseDecimalText(std::string_view text) {
  DecimalText parsed;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    parsed.negative = text[0] == '-';
    text.remove_prefix(1);
  }
  size_t i = 0;
  bool fraction = false;
  for (; i < text.size(); ++i) {
    if (text[i] == '.') {
      fraction = true;
    } else if (text[i] >= '0' && text[i] <= '9') {
      parsed.digits += text[i];
      if (fraction) --parsed.exponent;
    } else {
      break;
    }
  }
  if (parsed.digits.empty()) return std::nullopt;
  if (i < text.size()) {
    if (text[i] != 'E' && text[i] != 'e') return std::nullopt;
    constexpr long long kExponentMax = 1'000'000'000'000'000'000;  // what Python's decimals end at
    const long long exponent = std::strtoll(std::string(text.substr(i + 1)).c_str(), nullptr, 10);
    parsed.exponent += std::clamp(exponent, -kExponentMax, kExponentMax);
  }
  while (!parsed.digits.empty() && parsed.digits.back() == '0') {
    parsed.digits.pop_back();
    ++parsed.exponent;
  }
  parsed.digits.erase(0, std::min(parsed.digits.find_first_not_of('0'), parsed.digits.size()));
  return parsed;
}

DecimalText DecimalTextOf(PyObject* value) {
  const nb::object text = Steal(PyObject_Str(value));
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (data == nullptr) ThrowPending();
  const auto parsed = ParseDecimalText({data, static_cast<size_t>(size)});
  if (!parsed) throw BadValue{Shown(value) + " is not finite"};
  return *parsed;
}

}  // namespace

void ImportDatetime() {
  PyDateTime_IMPORT;
  if (PyDateTimeAPI == nullptr) ThrowPending();
}

std::string Shown(PyObject* value) {
  constexpr Py_ssize_t kShownMax = 60;
  std::string text = "a value";
  PyObject* repr = PyObject_Repr(value);
  if (repr != nullptr && PyUnicode_GET_LENGTH(repr) > kShownMax) {
    PyObject* start = PyUnicode_Substring(repr, 0, kShownMax);
    Py_SETREF(repr, start);
    text.clear();
  } else if (repr != nullptr) {
    text.clear();
  }
  if (repr != nullptr) {
    // Lone surrogates must not stop an error from being told.
    if (PyObject* bytes = PyUnicode_AsEncodedString(repr, "utf-8", "backslashreplace")) {
      text = PyBytes_AS_STRING(bytes);
      if (PyUnicode_GET_LENGTH(repr) == kShownMax) text += "…";
      Py_DECREF(bytes);
    }
    Py_DECREF(repr);
  }
  PyErr_Clear();
  return fmt::format("{} ({})", text, Py_TYPE(value)->tp_name);
}

BadValue DoesNotFit(PyObject* value, std::string_view type) {
  return {fmt::format("{} cannot be stored as {}", Shown(value), type)};
}

bool IsMissing(PyObject* value) {
  if (value == Py_None) return true;
  const std::string_view type = Py_TYPE(value)->tp_name;
  if (type.ends_with("NaTType") || type.ends_with("NAType")) return true;
  if (!IsNumpyDatetime(value)) return false;
  // Alone among its kind, NaT is not equal to itself.
  const nb::object equal = Steal(PyObject_RichCompare(value, value, Py_EQ));
  return PyObject_IsTrue(equal.ptr()) == 0;
}

bool IsDate(PyObject* value) { return PyDate_Check(value) && !PyDateTime_Check(value); }
bool IsDatetime(PyObject* value) { return PyDateTime_Check(value) || IsNumpyDatetime(value); }
bool IsTime(PyObject* value) { return PyTime_Check(value); }
bool IsDecimal(PyObject* value) { return IsInstance(value, ClassOf("decimal", "Decimal", decimal_class)); }
bool IsUuid(PyObject* value) { return IsInstance(value, ClassOf("uuid", "UUID", uuid_class)); }
bool IsNumpyBool(PyObject* value) { return IsOfType(value, "numpy.bool") || IsOfType(value, "numpy.bool_"); }
bool IsNumpyFloat(PyObject* value) {
  return IsOfType(value, "numpy.float32") || IsOfType(value, "numpy.float16") || IsOfType(value, "numpy.float64");
}
bool IsInteger(PyObject* value) {
  if (PyBool_Check(value) || IsNumpyBool(value)) return false;
  return PyLong_Check(value) || PyIndex_Check(value);
}
bool HasZone(PyObject* datetime) { return PyDateTime_Check(datetime) && OffsetMicros(datetime).has_value(); }

bool BoolOf(PyObject* value) {
  if (PyBool_Check(value)) return value == Py_True;
  if (IsNumpyBool(value)) return PyObject_IsTrue(value) == 1;
  throw DoesNotFit(value, "boolean");
}

int64_t Int64Of(PyObject* value, std::string_view type) {
  const auto too_large = [&] {
    return BadValue{fmt::format("{} cannot be stored as {}: it is too large", Shown(value), type), /*overflow=*/true};
  };
  if (PyFloat_Check(value) || IsNumpyFloat(value)) {
    const double real = PyFloat_AsDouble(value);
    if (!std::isfinite(real)) throw DoesNotFit(value, type);
    if (std::trunc(real) != real) throw BadValue{fmt::format("{} would be truncated to {}", Shown(value), type)};
    if (real < -0x1p63 || real >= 0x1p63) throw too_large();
    return static_cast<int64_t>(real);
  }
  if (IsInteger(value)) {
    const nb::object index = Steal(PyNumber_Index(value));
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
    if (overflow != 0) throw too_large();
    return number;
  }
  if (!PyUnicode_Check(value) && !PyBool_Check(value) && IsDecimal(value)) {
    const DecimalText text = DecimalTextOf(value);
    if (text.exponent < 0 && !text.digits.empty())
      throw BadValue{fmt::format("{} would be truncated to {}", Shown(value), type)};
    if (static_cast<int64_t>(text.digits.size()) + text.exponent > 19) throw too_large();
    const nb::object whole = Steal(PyNumber_Long(value));
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
    if (overflow != 0) throw too_large();
    return number;
  }
  throw DoesNotFit(value, type);
}

double DoubleOf(PyObject* value, std::string_view type) {
  if (PyFloat_Check(value) || IsNumpyFloat(value)) return PyFloat_AsDouble(value);
  if (!IsInteger(value)) throw DoesNotFit(value, type);
  const nb::object index = Steal(PyNumber_Index(value));
  const double real = PyLong_AsDouble(index.ptr());
  if (real == -1.0 && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw BadValue{fmt::format("{} is too large for {}", Shown(value), type), /*overflow=*/true};
  }
  const nb::object back = Steal(PyLong_FromDouble(real));
  if (!back.equal(index)) throw BadValue{fmt::format("no {} is equal to {}", type, Shown(value))};
  return real;
}

__int128 DecimalOf(PyObject* value, int32_t precision, int32_t scale) {
  if (!IsInteger(value) && !IsDecimal(value)) throw DoesNotFit(value, fmt::format("decimal({}, {})", precision, scale));
  DecimalText text;
  if (IsInteger(value)) {
    const nb::object index = Steal(PyNumber_Index(value));
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
    // Beyond some thousand digits Python refuses to print an integer at all.
    if (overflow != 0 && nb::cast<size_t>(index.attr("bit_length")()) > 128)
      throw BadValue{fmt::format("an integer of over 38 digits does not fit decimal({}, {})", precision, scale)};
    text = overflow == 0 ? *ParseDecimalText(fmt::format("{}", number)) : DecimalTextOf(index.ptr());
  } else {
    text = DecimalTextOf(value);
  }
  if (text.digits.empty()) return 0;
  const int64_t shift = text.exponent + scale;
  if (shift < 0) throw BadValue{fmt::format("{} has more than {} decimal places", Shown(value), scale)};
  if (static_cast<int64_t>(text.digits.size()) + shift > precision)
    throw BadValue{fmt::format("{} does not fit decimal({}, {})", Shown(value), precision, scale)};
  __int128 unscaled = 0;
  for (const char digit : text.digits) unscaled = unscaled * 10 + (digit - '0');
  unscaled *= PowerOfTen(static_cast<int>(shift));
  return text.negative ? -unscaled : unscaled;
}

std::string PlainDecimalOf(PyObject* value) {
  // Beyond some thousand digits Python refuses to print an integer at all.
  constexpr int64_t kFarDigits = 100;
  const auto far = [](bool negative, bool large) {
    const std::string digits = large ? "1" + std::string(kFarDigits, '0') : "0." + std::string(kFarDigits, '0') + "1";
    return negative ? "-" + digits : digits;
  };
  if (IsInteger(value)) {
    const nb::object index = Steal(PyNumber_Index(value));
    if (nb::cast<int64_t>(index.attr("bit_length")()) > 4 * kFarDigits)
      return far(PyObject_RichCompareBool(index.ptr(), nb::int_(0).ptr(), Py_LT) == 1, /*large=*/true);
    return nb::cast<std::string>(nb::str(index));
  }
  const DecimalText text = DecimalTextOf(value);
  if (text.digits.empty()) return "0";
  const int64_t whole_digits = static_cast<int64_t>(text.digits.size()) + text.exponent;
  if (whole_digits > kFarDigits || whole_digits < -kFarDigits) return far(text.negative, whole_digits > 0);
  return nb::cast<std::string>(nb::module_::import_("builtins").attr("format")(nb::handle(value), "f"));
}

int32_t DateOf(PyObject* value) {
  if (IsDate(value)) return DaysOf(PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value), PyDateTime_GET_DAY(value));
  if (!IsDatetime(value)) throw DoesNotFit(value, "date");
  const int64_t micros = TimestampOf(value);
  if (micros % kMicrosPerDay != 0) throw BadValue{Shown(value) + " has a time of day, which a date would lose"};
  return static_cast<int32_t>(micros / kMicrosPerDay);
}

int64_t TimeOf(PyObject* value) {
  if (!IsTime(value)) throw DoesNotFit(value, "time");
  if (PyDateTime_TIME_GET_TZINFO(value) != Py_None) throw BadValue{Shown(value) + " has a time zone, which a time would lose"};
  const int64_t seconds = PyDateTime_TIME_GET_HOUR(value) * 3600 + PyDateTime_TIME_GET_MINUTE(value) * 60 +
                          PyDateTime_TIME_GET_SECOND(value);
  return seconds * 1'000'000 + PyDateTime_TIME_GET_MICROSECOND(value);
}

int64_t TimestampOf(PyObject* value) {
  if (!IsDatetime(value)) throw DoesNotFit(value, "timestamp; give a datetime");
  if (IsNumpyDatetime(value)) return NumpyDatetimeMicros(value);
  if (HasZone(value)) throw BadValue{Shown(value) + " has a time zone, which a timestamp would lose; use timestamptz"};
  RefuseNanoseconds(value);
  return WallClockMicros(value);
}

int64_t InstantOf(PyObject* value) {
  if (!IsDatetime(value)) throw DoesNotFit(value, "timestamptz; give a datetime with a time zone");
  if (IsNumpyDatetime(value)) return NumpyDatetimeMicros(value);
  RefuseNanoseconds(value);
  const int64_t micros = WallClockMicros(value);
  return micros - OffsetMicros(value).value_or(0);
}

namespace {

// Takes what uuid.UUID() takes: 32 hexadecimal digits, with dashes, braces and "urn:uuid:" or without.
std::optional<std::array<uint8_t, 16>> ParseUuid(std::string_view text) {
  if (text.starts_with("urn:")) text.remove_prefix(4);
  if (text.starts_with("uuid:")) text.remove_prefix(5);
  if (text.starts_with('{') && text.ends_with('}')) text = text.substr(1, text.size() - 2);
  std::array<uint8_t, 16> bytes{};
  size_t digits = 0;
  for (const char c : text) {
    if (c == '-') continue;
    int digit = 0;
    if (c >= '0' && c <= '9') digit = c - '0';
    else if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
    else if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
    else return std::nullopt;
    if (digits == 32) return std::nullopt;
    bytes[digits / 2] = static_cast<uint8_t>(bytes[digits / 2] << 4 | digit);
    ++digits;
  }
  if (digits != 32) return std::nullopt;
  return bytes;
}

}  // namespace

std::array<uint8_t, 16> UuidOf(PyObject* value) {
  if (PyUnicode_Check(value)) {
    const auto parsed = PyUnicode_IS_ASCII(value)
                            ? ParseUuid({static_cast<const char*>(PyUnicode_DATA(value)),
                                         static_cast<size_t>(PyUnicode_GET_LENGTH(value))})
                            : std::nullopt;
    if (!parsed) throw BadValue{Shown(value) + " is no uuid"};
    return *parsed;
  }
  const nb::object held = IsUuid(value) ? nb::object(nb::handle(value).attr("bytes")) : nb::borrow(value);
  const BytesView view(held.ptr(), "uuid");
  std::array<uint8_t, 16> bytes;
  if (view.view().size() != bytes.size()) throw BadValue{Shown(value) + " is no uuid: it has not 16 bytes"};
  std::memcpy(bytes.data(), view.view().data(), bytes.size());
  return bytes;
}

BytesView::BytesView(PyObject* value, std::string_view type) {
  const bool is_bytes = PyBytes_Check(value) || PyByteArray_Check(value) || PyMemoryView_Check(value);
  if (!is_bytes) throw DoesNotFit(value, type);
  if (PyObject_GetBuffer(value, &buffer_, PyBUF_C_CONTIGUOUS) != 0) {
    PyErr_Clear();
    throw BadValue{Shown(value) + " is not contiguous in memory"};
  }
}

BytesView::~BytesView() { PyBuffer_Release(&buffer_); }

size_t Utf8Size(PyObject* text) {
  const Py_ssize_t length = PyUnicode_GET_LENGTH(text);
  if (PyUnicode_IS_ASCII(text)) return static_cast<size_t>(length);
  const int kind = PyUnicode_KIND(text);
  const void* data = PyUnicode_DATA(text);
  size_t size = 0;
  for (Py_ssize_t i = 0; i < length; ++i) {
    const Py_UCS4 c = PyUnicode_READ(kind, data, i);
    if (c >= 0xD800 && c < 0xE000) throw BadValue{Shown(text) + " holds a lone surrogate, which UTF-8 cannot express"};
    size += c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  }
  return size;
}

void WriteUtf8(PyObject* text, char* out) {
  const Py_ssize_t length = PyUnicode_GET_LENGTH(text);
  const void* data = PyUnicode_DATA(text);
  if (PyUnicode_IS_ASCII(text)) {
    std::memcpy(out, data, static_cast<size_t>(length));
    return;
  }
  const int kind = PyUnicode_KIND(text);
  const auto put = [&out](Py_UCS4 byte) { *out++ = static_cast<char>(byte); };
  for (Py_ssize_t i = 0; i < length; ++i) {
    const Py_UCS4 c = PyUnicode_READ(kind, data, i);
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xC0 | c >> 6);
      put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      put(0xE0 | c >> 12);
      put(0x80 | (c >> 6 & 0x3F));
      put(0x80 | (c & 0x3F));
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
      put(0x80 | (c >> 6 & 0x3F));
      put(0x80 | (c & 0x3F));
    }
  }
}

}  // namespace datashard::python
