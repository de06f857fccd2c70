// The module shardyfusion._core. Its Python face is pinned in python/shardyfusion/_core.pyi.ref.
#include <nanobind/nanobind.h>

#include "context_error.h"
#include "faces.h"

NB_MODULE(_core, module) {
  // What a program still holds when it ends, in a traceback say, is no leak of ours, and its standard error no place to say so.
  nanobind::set_leak_warnings(false);
  namespace py = datashard::python;
  module.doc() = "The C++ core of shardyfusion. Not a public interface: use the shardyfusion package.";
  py::RegisterErrors();
  py::RegisterContextErrors();
  py::BindRouting(module);
  py::BindReader(module);
  py::BindWriter(module);
  py::BindShards(module);
  py::BindObjects(module);
}
