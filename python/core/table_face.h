// Table and Transaction for Python.
#pragma once

#include <nanobind/nanobind.h>

namespace datashard::python {

void BindTable(nanobind::module_& module);

}  // namespace datashard::python
