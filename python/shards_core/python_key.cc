#include "python_key.h"

#include <fmt/format.h>
#include <nanobind/stl/string.h>

#include "context_error.h"

namespace datashard::python {
namespace {

Error NoKey(PyObject* object, std::string_view what) {
  PyErr_Clear();
  return Error(ErrorKind::kInvalidArgument, fmt::format("a key is int, str or bytes; {} {}", Py_TYPE(object)->tp_name, what));
}

Result<KeyView> NumberOf(PyObject* number) {
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
  if (overflow == 0) return KeyView::Int(value);
  if (overflow > 0) {
    const unsigned long long large = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred() == nullptr) return KeyView::Unsigned(large);
    PyErr_Clear();
  }
  nb::object text = nb::steal(PyObject_Str(number));
  if (!text.is_valid()) PyErr_Clear();
  return Error(ErrorKind::kInvalidArgument, fmt::format("key {} is out of range: integers are of -2^63 to 2^64-1",
                                                        text.is_valid() ? nb::cast<std::string>(text) : "of thousands of digits"));
}

Result<std::string_view> TextOf(PyObject* text) {
  Py_ssize_t size = 0;
  const char* bytes = PyUnicode_AsUTF8AndSize(text, &size);
  if (bytes != nullptr) return std::string_view(bytes, static_cast<size_t>(size));
  return NoKey(text, "with lone surrogates is no Unicode text");
}

std::string_view BytesOf(PyObject* bytes) {
  return {PyBytes_AS_STRING(bytes), static_cast<size_t>(PyBytes_GET_SIZE(bytes))};
}

/// A value of a column without further questions.
bool IsPlain(PyObject* value) {
  return value == Py_None || PyFloat_Check(value) || PyLong_Check(value) || PyUnicode_Check(value) || PyBytes_Check(value);
}

}  // namespace

Result<KeyView> KeyOf(PyObject* object) {
  if (PyLong_Check(object)) return NumberOf(object);
  if (PyBytes_Check(object)) return KeyView::Bytes(BytesOf(object));
  if (PyUnicode_Check(object)) {
    Result<std::string_view> text = TextOf(object);
    if (!text.ok()) return std::move(text).error();
    return KeyView::Text(*text);
  }
  if (PyIndex_Check(object)) {
    nb::object number = nb::steal(PyNumber_Index(object));
    if (number.is_valid()) return NumberOf(number.ptr());
  }
  return NoKey(object, "is none");
}

nb::object ToPython(const KeyView& key) {
  const std::string_view bytes = key.bytes();
  switch (key.kind()) {
    case KeyView::Kind::kInt: return Steal(PyLong_FromLongLong(key.as_int()));
    case KeyView::Kind::kUnsigned: return Steal(PyLong_FromUnsignedLongLong(key.as_unsigned()));
    case KeyView::Kind::kText: return Steal(PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "surrogateescape"));
    case KeyView::Kind::kBytes: return Steal(PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
  }
  return nb::none();
}

Result<CelValue> CelValueOf(PyObject* object, std::vector<nb::object>& held) {
  if (object == Py_None) return CelValue{};
  if (PyBool_Check(object)) return CelValue{object == Py_True};
  if (PyFloat_Check(object)) return CelValue{PyFloat_AS_DOUBLE(object)};
  if (!IsPlain(object)) {
    // A scalar of numpy says what it is by item().
    nb::object item = nb::steal(PyObject_CallMethod(object, "item", nullptr));
    if (item.is_valid() && IsPlain(item.ptr())) {
      held.push_back(item);
      return CelValueOf(item.ptr(), held);
    }
    PyErr_Clear();
    return Error(ErrorKind::kInvalidArgument, fmt::format("a column of an expression is int, float, bool, str, bytes or None; {} is none",
                                                          Py_TYPE(object)->tp_name));
  }
  held.push_back(nb::borrow(object));
  DS_ASSIGN_OR_RETURN(const KeyView key, KeyOf(object));
  switch (key.kind()) {
    case KeyView::Kind::kInt: return CelValue{key.as_int()};
    case KeyView::Kind::kUnsigned: return CelValue{key.as_unsigned()};
    case KeyView::Kind::kText: return CelValue{CelText{key.bytes()}};
    case KeyView::Kind::kBytes: return CelValue{CelBytes{key.bytes()}};
  }
  return CelValue{};
}

CelColumns CelColumnsOf(nb::handle columns) {
  CelColumns found;
  for (auto [name, type] : nb::cast<nb::dict>(columns)) {
    found.emplace_back(nb::cast<std::string>(name), OrThrow(Doing::kConfigure, CelTypeOf(nb::cast<std::string>(type))));
  }
  return found;
}

Result<std::vector<CelValue>> CelRowOf(PyObject* row, const CelColumns& columns, std::vector<nb::object>& held) {
  std::vector<CelValue> values;
  values.reserve(columns.size());
  for (const auto& [name, type] : columns) {
    nb::object value = nb::steal(PyMapping_GetItemString(row, name.c_str()));
    if (!value.is_valid()) {
      if (PyErr_ExceptionMatches(PyExc_KeyError) == 0) ThrowPending();
      PyErr_Clear();
      values.emplace_back();
      continue;
    }
    held.push_back(value);
    Result<CelValue> converted = CelValueOf(value.ptr(), held);
    if (!converted.ok()) return std::move(converted).error().In(fmt::format("column {}", name));
    values.push_back(*converted);
  }
  return values;
}

}  // namespace datashard::python
