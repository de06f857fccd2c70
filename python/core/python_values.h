// Single Python values as Iceberg values: without loss, or not at all. What each type takes is listed in
// python/README.md, "Values". All functions need the GIL and throw BadValue where a value does not fit.
#pragma once

#include <Python.h>

#include <array>
#include <cstdint>
#include <string>

#include "datashard/schema.h"

namespace datashard::python {

/// Why a value does not fit; whoever knows the row and the column adds them.
struct BadValue {
  std::string why;
  bool overflow = false;  // an integer beyond 64 bits
};

/// To be called once, when the module is loaded.
void ImportDatetime();

/// The value as users know it, shortened, with its class: "1.9 (float)".
std::string Shown(PyObject* value);
/// "1.9 (float) cannot be stored as long".
BadValue DoesNotFit(PyObject* value, std::string_view type);

/// None, pandas.NaT, pandas.NA or numpy's NaT: all say that there is no value, in any column. NaN is a number.
bool IsMissing(PyObject* value);

bool BoolOf(PyObject* value);
/// Integers of Python and numpy; floats and Decimals that are whole. No bools.
int64_t Int64Of(PyObject* value, std::string_view type);
/// Floats; integers that a double holds exactly.
double DoubleOf(PyObject* value, std::string_view type);
/// `value` times 10^`scale`, at most `precision` digits: of a Decimal or an integer.
__int128 DecimalOf(PyObject* value, int32_t precision, int32_t scale);
/// A Decimal or an integer as plain digits, for comparisons. What lies beyond every decimal column, or nearer to zero than
/// any of their values, is given as another number that does too: Decimal("1E+999999999") has too many digits to write out.
std::string PlainDecimalOf(PyObject* value);
/// Days since 1970-01-01, of a date, or of a datetime at midnight without a zone.
int32_t DateOf(PyObject* value);
/// Microseconds since midnight, of a time without a zone.
int64_t TimeOf(PyObject* value);
/// Microseconds since 1970-01-01, of a datetime without a zone.
int64_t TimestampOf(PyObject* value);
/// Microseconds since 1970-01-01 UTC. A datetime without a zone is taken as UTC, as earlier releases did.
int64_t InstantOf(PyObject* value);
/// Of a uuid.UUID, a string uuid.UUID() would read, or 16 bytes.
std::array<uint8_t, 16> UuidOf(PyObject* value);

bool IsDate(PyObject* value);      ///< a date that is not a datetime
bool IsDatetime(PyObject* value);  ///< also numpy.datetime64
bool IsTime(PyObject* value);
bool IsDecimal(PyObject* value);
bool IsUuid(PyObject* value);
bool IsNumpyBool(PyObject* value);
bool IsNumpyFloat(PyObject* value);
bool HasZone(PyObject* datetime);
/// Any integer, of Python or numpy, but no bool.
bool IsInteger(PyObject* value);

/// The bytes of a bytes-like object while this lives.
class BytesView {
 public:
  explicit BytesView(PyObject* value, std::string_view type);
  ~BytesView();
  BytesView(const BytesView&) = delete;
  BytesView& operator=(const BytesView&) = delete;
  std::string_view view() const { return {static_cast<const char*>(buffer_.buf), static_cast<size_t>(buffer_.len)}; }

 private:
  Py_buffer buffer_;
};

/// Bytes `text` takes in UTF-8. Throws for a lone surrogate, which UTF-8 does not have.
size_t Utf8Size(PyObject* text);
/// Writes them to `out`, which has room for Utf8Size(text).
void WriteUtf8(PyObject* text, char* out);

}  // namespace datashard::python
