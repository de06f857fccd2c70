// The module datashard._core. Its Python face is pinned in python/datashard/_core.pyi.ref.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "arrow_to_records.h"
#include "python_error.h"
#include "python_values.h"
#include "records_to_arrow.h"
#include "row_stream.h"
#include "schema_face.h"
#include "table_face.h"

NB_MODULE(_core, module) {
  namespace py = datashard::python;
  module.doc() = "The C++ core of datashard. Not a public interface: use the datashard package.";
  py::ImportDatetime();
  py::ImportDatetimeForReading();
  py::RegisterErrors();
  py::BindRowStream(module);
  py::BindTable(module);
  module.def(
      "check_schema",
      [](int64_t schema_id, nanobind::handle fields) { py::SchemaToPython(py::SchemaFromPython(schema_id, fields)); },
      nanobind::arg("schema_id"), nanobind::arg("fields"), "Raise InvalidArgument where `fields` are no schema.");
  module.def(
      "parse_filter_op",
      [](const std::string& text) {
        return std::string(datashard::ToString(py::ValueOrThrow(datashard::ParseFilterOp(text))));
      },
      nanobind::arg("text"), "The first spelling of an operator given in any of its spellings.");
  module.def(
      "rows_of_records",
      [](nanobind::handle records, int64_t schema_id, nanobind::handle fields) {
        return py::RowStream(py::StreamOfRecords(records, py::SchemaFromPython(schema_id, fields)));
      },
      nanobind::arg("records"), nanobind::arg("schema_id"), nanobind::arg("fields"),
      "A list of dicts as an Arrow stream, without a table.");
  module.def(
      "schema_of_records", [](nanobind::handle records) { return py::SchemaToPython(py::SchemaOfRecords(records)); },
      nanobind::arg("records"), "The (schema_id, field dicts) that fit a list of dicts.");
}
