// Keys, and columns of expressions, between Python and the core.
#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <utility>
#include <vector>

#include "datashard/result.h"
#include "datashard/sharding.h"

namespace datashard::python {

namespace nb = nanobind;

/// A key given as int (also bool, and what has __index__), str or bytes. Borrows from `object`.
/// Errors: kInvalidArgument: another type, an int beyond 64 bits, a str that is no Unicode text. Leaves no Python exception pending.
Result<KeyView> KeyOf(PyObject* object);
nb::object ToPython(const KeyView& key);
inline nb::object ToPython(const Key& key) { return ToPython(key.view()); }

/// None, int, float, bool, str, bytes, and scalars of numpy, which become those. `held` keeps alive what the value borrows from.
Result<CelValue> CelValueOf(PyObject* object, std::vector<nb::object>& held);

using CelColumns = std::vector<std::pair<std::string, CelType>>;
/// From a dict of names and type names. Throws ContextError.
CelColumns CelColumnsOf(nb::handle columns);
/// The columns of `row`, a mapping, in the order of `columns`; what it lacks is null.
Result<std::vector<CelValue>> CelRowOf(PyObject* row, const CelColumns& columns, std::vector<nb::object>& held);

}  // namespace datashard::python
