#include "schema_face.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <limits>

#include "python_error.h"
#include "python_values.h"

namespace datashard::python {
namespace {

nb::object Get(const nb::dict& field, const char* key) {
  return field.contains(key) ? nb::object(field[key]) : nb::none();
}

int32_t IdOf(nb::handle value, std::string_view what) {
  int overflow = 0;
  if (PyLong_Check(value.ptr()) && !PyBool_Check(value.ptr())) {
    const long long id = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
    if (overflow == 0 && id >= 0 && id <= std::numeric_limits<int32_t>::max()) return static_cast<int32_t>(id);
  }
  Refuse(ErrorSubject::kSchema, "Invalid schema: {} is {}; expected an integer of 32 bits", what, Shown(value.ptr()));
}

std::string TextOf(nb::handle value, std::string_view what, PyObject* field) {
  if (!PyUnicode_Check(value.ptr()))
    Refuse(ErrorSubject::kSchema, "Invalid schema: {} is {} in {}; expected a string", what, Shown(value.ptr()), Shown(field));
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
  if (data == nullptr) ThrowPending();
  return {data, static_cast<size_t>(size)};
}

Field FieldFromPython(nb::handle item) {
  if (!PyDict_Check(item.ptr())) {
    Refuse(ErrorSubject::kSchema, "Invalid schema: {} is no field; expected a dict with id, name, type and required",
           Shown(item.ptr()));
  }
  const auto dict = nb::borrow<nb::dict>(item);
  for (const char* key : {"id", "name", "type"}) {
    if (!dict.contains(key))
      Refuse(ErrorSubject::kSchema, "Invalid schema: field {} has no '{}'", Shown(item.ptr()), key);
  }
  Field field;
  field.name = TextOf(dict["name"], "a name", item.ptr());
  // Arrow's C interface ends names there.
  if (field.name.find('\0') != std::string::npos)
    Refuse(ErrorSubject::kSchema, "Invalid schema: the name in {} contains a NUL character", Shown(item.ptr()));
  field.id = IdOf(dict["id"], fmt::format("the id of field '{}'", field.name));
  Result<Type> type = Type::Parse(TextOf(dict["type"], "a type", item.ptr()));
  if (!type.ok()) Refuse(ErrorSubject::kSchema, "Invalid schema: field '{}': {}", field.name, type.error().message());
  field.type = *std::move(type);
  const nb::object required = Get(dict, "required");
  if (!required.is_none() && !PyBool_Check(required.ptr())) {
    Refuse(ErrorSubject::kSchema, "Invalid schema: 'required' of field '{}' is {}; expected True or False", field.name,
           Shown(required.ptr()));
  }
  field.required = required.ptr() == Py_True;
  const nb::object doc = Get(dict, "doc");
  if (!doc.is_none()) field.doc = TextOf(doc, "a doc", item.ptr());
  return field;
}

template <typename Map>
nb::dict ToDict(const Map& map) {
  nb::dict dict;
  for (const auto& [key, value] : map) dict[nb::cast(key)] = nb::cast(value);
  return dict;
}

nb::object Bytes(const std::string& bytes) { return nb::bytes(bytes.data(), bytes.size()); }

nb::dict BoundsToDict(const std::map<int32_t, std::string>& bounds) {
  nb::dict dict;
  for (const auto& [key, value] : bounds) dict[nb::cast(key)] = Bytes(value);
  return dict;
}

template <typename T>
nb::list ToList(const std::vector<T>& values) {
  nb::list list;
  for (const T& value : values) list.append(nb::cast(value));
  return list;
}

Literal LiteralFromPython(nb::handle object) {
  PyObject* value = object.ptr();
  if (IsMissing(value)) return std::monostate();
  if (PyBool_Check(value) || IsNumpyBool(value)) return BoolOf(value);
  if (PyUnicode_Check(value)) {
    std::string text(Utf8Size(value), '\0');
    WriteUtf8(value, text.data());
    return text;
  }
  if (PyFloat_Check(value) || IsNumpyFloat(value)) return PyFloat_AsDouble(value);
  if (IsDatetime(value)) {
    const bool has_zone = HasZone(value);
    return TimestampValue{has_zone ? InstantOf(value) : TimestampOf(value), has_zone};
  }
  if (IsDate(value)) return DateValue{DateOf(value)};
  if (IsTime(value)) return TimeValue{TimeOf(value)};
  if (PyBytes_Check(value) || PyByteArray_Check(value) || PyMemoryView_Check(value))
    return BinaryValue{std::string(BytesView(value, "binary").view())};
  if (IsUuid(value)) return UuidValue{UuidOf(value)};
  if (IsDecimal(value)) return DecimalValue{PlainDecimalOf(value)};
  if (IsInteger(value)) {
    const nb::object index = Steal(PyNumber_Index(value));
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
    if (overflow != 0) return DecimalValue{PlainDecimalOf(value)};
    return int64_t{number};
  }
  throw BadValue{Shown(value) + " is nothing a column can be compared with"};
}

Predicate PredicateFromPython(nb::handle item) {
  const auto parts = nb::cast<nb::tuple>(item);
  Predicate predicate{.column = nb::cast<std::string>(parts[0])};
  predicate.op = ValueOrThrow(ParseFilterOp(nb::cast<std::string>(parts[1])));
  const nb::object value = parts[2];
  try {
    switch (predicate.op) {
      case FilterOp::kIsNull:
      case FilterOp::kIsNotNull: return predicate;
      case FilterOp::kIn:
      case FilterOp::kNotIn:
      case FilterOp::kBetween: {
        const bool is_text = PyUnicode_Check(value.ptr()) || PyBytes_Check(value.ptr());
        const nb::object items = is_text ? nb::object() : nb::steal(PySequence_List(value.ptr()));
        if (!items.is_valid()) {
          PyErr_Clear();
          throw BadValue{Shown(value.ptr()) + " is no collection of values; give a list"};
        }
        for (const nb::handle one : nb::borrow<nb::list>(items)) predicate.values.push_back(LiteralFromPython(one));
        if (predicate.op == FilterOp::kBetween && predicate.values.size() != 2)
          throw BadValue{Shown(value.ptr()) + " is no pair of bounds; give (low, high)"};
        return predicate;
      }
      default: predicate.values.push_back(LiteralFromPython(value)); return predicate;
    }
  } catch (const BadValue& bad) {
    throw CoreError(Error(ErrorKind::kInvalidArgument,
                          fmt::format("filter on '{}', operator {}: {}", predicate.column, ToString(predicate.op), bad.why),
                          ErrorSubject::kOperand),
                    bad.overflow);
  }
}

}  // namespace

Schema SchemaFromPython(int64_t schema_id, nb::handle fields) {
  Schema schema;
  schema.schema_id = IdOf(nb::int_(schema_id), "schema_id");
  for (const nb::handle item : fields) schema.fields.push_back(FieldFromPython(item));
  const Status valid = schema.Validate();
  if (!valid.ok()) throw CoreError(Error(valid.error()).In("Invalid schema"));
  return schema;
}

nb::tuple SchemaToPython(const Schema& schema) {
  nb::list fields;
  for (const Field& field : schema.fields) {
    nb::dict dict;
    dict["id"] = field.id;
    dict["name"] = field.name;
    dict["type"] = field.type.ToString();
    dict["required"] = field.required;
    if (field.doc) dict["doc"] = *field.doc;
    fields.append(dict);
  }
  return nb::make_tuple(schema.schema_id, fields);
}

Filter FilterFromPython(nb::handle filter) {
  Filter all;
  for (const nb::handle item : filter) all.all_of.push_back(PredicateFromPython(item));
  return all;
}

nb::dict SnapshotToPython(const Snapshot& snapshot) {
  nb::dict dict;
  dict["snapshot_id"] = snapshot.snapshot_id;
  dict["timestamp_ms"] = snapshot.timestamp_ms;
  dict["manifest_list"] = snapshot.manifest_list;
  dict["parent_snapshot_id"] = snapshot.parent_snapshot_id;
  const std::string operation(snapshot.operation());
  dict["operation"] = operation.empty() ? nb::none() : nb::object(nb::str(operation.c_str()));
  nb::dict summary;
  for (const auto& [key, value] : snapshot.summary) {
    if (key != "operation") summary[nb::cast(key)] = value;
  }
  dict["summary"] = summary;
  dict["schema_id"] = snapshot.schema_id;
  dict["sequence_number"] = snapshot.sequence_number;
  return dict;
}

nb::dict ManifestFileToPython(const ManifestFile& manifest) {
  nb::dict dict;
  dict["manifest_path"] = manifest.manifest_path;
  dict["manifest_length"] = manifest.manifest_length;
  dict["partition_spec_id"] = manifest.partition_spec_id;
  dict["added_snapshot_id"] = manifest.added_snapshot_id;
  dict["added_data_files_count"] = manifest.added_files_count;
  dict["existing_data_files_count"] = manifest.existing_files_count;
  dict["deleted_data_files_count"] = manifest.deleted_files_count;
  nb::list partitions;
  for (const PartitionSummary& summary : manifest.partitions) {
    nb::dict one;
    one["contains_null"] = summary.contains_null;
    one["contains_nan"] = summary.contains_nan;
    one["lower_bound"] = summary.lower_bound ? Bytes(*summary.lower_bound) : nb::none();
    one["upper_bound"] = summary.upper_bound ? Bytes(*summary.upper_bound) : nb::none();
    partitions.append(one);
  }
  dict["partitions"] = partitions;
  dict["content"] = static_cast<int>(manifest.content);
  dict["sequence_number"] = manifest.sequence_number;
  dict["min_sequence_number"] = manifest.min_sequence_number;
  dict["added_rows_count"] = manifest.added_rows_count;
  dict["existing_rows_count"] = manifest.existing_rows_count;
  return dict;
}

nb::dict ManifestEntryToPython(const ManifestEntry& entry) {
  const DataFile& file = entry.data_file;
  nb::dict dict;
  dict["file_path"] = file.file_path;
  dict["file_format"] = file.file_format;
  dict["record_count"] = file.record_count;
  dict["file_size_in_bytes"] = file.file_size_in_bytes;
  dict["column_sizes"] = ToDict(file.column_sizes);
  dict["value_counts"] = ToDict(file.value_counts);
  dict["null_value_counts"] = ToDict(file.null_value_counts);
  dict["lower_bounds"] = BoundsToDict(file.lower_bounds);
  dict["upper_bounds"] = BoundsToDict(file.upper_bounds);
  dict["key_metadata"] = file.key_metadata ? Bytes(*file.key_metadata) : nb::none();
  dict["split_offsets"] = ToList(file.split_offsets);
  dict["equality_ids"] = ToList(file.equality_ids);
  dict["sort_order_id"] = file.sort_order_id;
  dict["added_snapshot_id"] = entry.snapshot_id;
  dict["sequence_number"] = entry.sequence_number;
  return dict;
}

}  // namespace datashard::python
