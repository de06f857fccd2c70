// What module.cc puts together.
#pragma once

#include <nanobind/nanobind.h>

namespace datashard::python {

void BindReader(nanobind::module_& module);
void BindWriter(nanobind::module_& module);
void BindRouting(nanobind::module_& module);
void BindShards(nanobind::module_& module);
void BindObjects(nanobind::module_& module);

}  // namespace datashard::python
