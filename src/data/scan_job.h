// What every thread of a scan reads.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "data/data_file.h"
#include "storage/object_store.h"

namespace datashard::data {

/// Does not change.
struct ScanJob {
  std::shared_ptr<ObjectStore> store;
  ReadPlan plan;
  std::vector<Field> fields;         // those wanted, in the order wanted, then those only the filter needs
  size_t wanted = 0;                 // how many of `fields` are wanted
  std::vector<size_t> filter_fields; // index into `fields` for each predicate
};

}  // namespace datashard::data
