// The class Writer.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "faces.h"
#include "writer_core.h"

namespace datashard::python {
namespace {

nb::object Given(nb::object function) { return function.is_none() ? nb::object() : function; }

void AddRecords(WriterCore& writer, nb::iterable records, nb::object key_fn, nb::object value_fn, nb::object columns_fn, nb::object progress) {
  writer.AddRecords(records, {std::move(key_fn), std::move(value_fn), Given(std::move(columns_fn)), Given(std::move(progress))});
}

}  // namespace

void BindWriter(nb::module_& module) {
  using namespace nb::literals;
  nb::class_<WriterCore>(module, "Writer", "One write of a sharded snapshot. Dropped unfinished, it removes what it made.")
      .def(nb::init<nb::dict, nb::dict>(), "settings"_a, "parts"_a, "See shardyfusion/_settings.py and _bridges.py.")
      .def("add_records", &AddRecords, "records"_a, "key_fn"_a, "value_fn"_a, "columns_fn"_a.none(), "progress"_a.none(),
           "Takes any iterable to pieces, record by record. An error says which row it is about.")
      .def("add_rows", &WriterCore::AddRows, "rows"_a, "key_col"_a, "value_col"_a.none(), "json_cols"_a.none(), "json"_a, "progress"_a.none(),
           "Takes columns of what has __arrow_c_stream__.")
      .def("finish", &WriterCore::Finish, "Builds, uploads, publishes. Returns the fields of BuildResult.")
      .def("abandon", &WriterCore::Abandon, "hurry"_a, "Removes what an unfinished write made; within seconds where `hurry`.")
      .def_prop_ro("run_id", &WriterCore::run_id)
      .def_prop_ro("rows_added", &WriterCore::rows_added);
}

}  // namespace datashard::python
