// Scans of a reader, as iterators of (key, value).
#pragma once

#include "reader_core.h"

namespace datashard::python {

/// Adds the class Scan to `module`, and `_scan` and `_scan_prefix` to `reader`.
void BindScan(nb::module_& module, nb::class_<ReaderCore>& reader);

}  // namespace datashard::python
