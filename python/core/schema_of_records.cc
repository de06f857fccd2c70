// Inference: the first append to a table without a schema gives it one.
#include <algorithm>
#include <map>
#include <optional>

#include "python_error.h"
#include "python_values.h"
#include "records_to_arrow.h"

namespace datashard::python {
namespace {

/// What has been seen of one column.
struct Seen {
  std::string name;
  std::optional<TypeKind> kind;
  int32_t scale_max = 0;
  int64_t first_record = 0;  // that had a value
};

TypeKind KindOf(PyObject* value, int64_t record, const std::string& name) {
  if (PyBool_Check(value) || IsNumpyBool(value)) return TypeKind::kBoolean;
  if (PyUnicode_Check(value)) return TypeKind::kString;
  if (PyFloat_Check(value) || IsNumpyFloat(value)) return TypeKind::kDouble;
  if (PyBytes_Check(value) || PyByteArray_Check(value) || PyMemoryView_Check(value)) return TypeKind::kBinary;
  if (IsDatetime(value)) return HasZone(value) ? TypeKind::kTimestampTz : TypeKind::kTimestamp;
  if (IsDate(value)) return TypeKind::kDate;
  if (IsTime(value)) return TypeKind::kTime;
  if (IsDecimal(value)) return TypeKind::kDecimal;
  if (IsUuid(value)) return TypeKind::kUuid;
  if (IsInteger(value)) return TypeKind::kLong;
  Refuse(ErrorSubject::kSchema, "record {}, field '{}': no column type is known for {}", record, name, Shown(value));
}

bool IsNumber(TypeKind kind) { return kind == TypeKind::kLong || kind == TypeKind::kDouble; }

// Decimal places of a Decimal; NaN and infinities are refused when the values are converted.
int32_t ScaleOf(PyObject* value) {
  const nb::object exponent = nb::handle(value).attr("as_tuple")().attr("exponent");
  if (!PyLong_Check(exponent.ptr())) return 0;
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(exponent.ptr(), &overflow);
  return static_cast<int32_t>(std::clamp<long long>(-number, 0, 38));
}

void See(Seen& seen, PyObject* value, int64_t record) {
  const TypeKind kind = KindOf(value, record, seen.name);
  if (kind == TypeKind::kDecimal) seen.scale_max = std::max(seen.scale_max, ScaleOf(value));
  if (!seen.kind) {
    seen.kind = kind;
    seen.first_record = record;
  } else if (*seen.kind != kind) {
    if (!IsNumber(*seen.kind) || !IsNumber(kind)) {
      Refuse(ErrorSubject::kSchema, "field '{}' is {} in record {} and {} in record {}; give a schema", seen.name,
             Type(*seen.kind).ToString(), seen.first_record, Shown(value), record);
    }
    seen.kind = TypeKind::kDouble;
  }
}

}  // namespace

Schema SchemaOfRecords(nb::handle records) {
  std::vector<Seen> columns;
  std::map<std::string, size_t, std::less<>> by_name;
  for (int64_t record = 0; record < PySequence_Fast_GET_SIZE(records.ptr()); ++record) {
    const nb::object item = nb::borrow(PySequence_Fast_GET_ITEM(records.ptr(), record));
    if (!PyDict_Check(item.ptr()) && !PyObject_HasAttrString(item.ptr(), "keys"))
      Refuse(ErrorSubject::kValue, "record {} is {}, not a dict", record, Shown(item.ptr()));
    // A copy: asking a value for its class may run Python code, which could change the record.
    const nb::object copy = Steal(PyObject_CallOneArg(reinterpret_cast<PyObject*>(&PyDict_Type), item.ptr()));
    for (const auto [key, value] : nb::borrow<nb::dict>(copy)) {
      if (!PyUnicode_Check(key.ptr())) Refuse(ErrorSubject::kSchema, "record {}: {} is no field name", record, Shown(key.ptr()));
      const std::string name = nb::cast<std::string>(key);
      const auto [found, added] = by_name.emplace(name, columns.size());
      if (added) columns.push_back({.name = name});
      if (!IsMissing(value.ptr())) See(columns[found->second], value.ptr(), record);
    }
  }
  Schema schema{.schema_id = 0};
  for (const Seen& seen : columns) {
    if (!seen.kind) {
      Refuse(ErrorSubject::kSchema, "field '{}' is None in every record, so its type is not known. Give a schema, or leave "
             "the field out", seen.name);
    }
    const Type type = *seen.kind == TypeKind::kDecimal ? Type::Decimal(38, seen.scale_max) : Type(*seen.kind);
    schema.fields.push_back({.id = static_cast<int32_t>(schema.fields.size() + 1), .name = seen.name, .type = type});
  }
  if (schema.fields.empty()) Refuse(ErrorSubject::kSchema, "the records have no fields to take a schema from");
  return schema;
}

}  // namespace datashard::python
