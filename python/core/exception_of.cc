// Which exception of the tables package an error is; `python_error.cc` and `signals.cc` are also built into shards_core/, which has another.
#include "python_error.h"

namespace datashard::python {
namespace {

// In the order of ErrorSubject.
constexpr const char* kSubjects[] = {"none", "table", "snapshot", "data_file", "metadata",
                                     "column", "value", "operand", "schema", "legacy_layout"};

}  // namespace

nb::object ExceptionOf(const Error& error, bool overflow) {
  const std::string kind(ToString(error.kind()));
  return nb::module_::import_("datashard.exceptions")
      .attr("exception_of")(kind, kSubjects[static_cast<int>(error.subject())], error.message(), overflow);
}

}  // namespace datashard::python
