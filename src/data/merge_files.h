// Several data files written anew as one, row after row.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/data_file.h"
#include "datashard/manifest.h"
#include "datashard/result.h"
#include "datashard/schema.h"
#include "storage/object_store.h"

namespace datashard::data {

struct MergePlan {
  std::vector<ScanFile> files;  // at least one row in all, in the order their rows are to have
  Schema schema;                // of the new file: columns the files do not have are null, those it does not have go
  std::string key;
  std::string uri;
  int32_t requests = 1;  // ReadPlan::requests
};

/// Writes the rows of plan.files into a new file of `group`. Memory: one row group of an input, and what the new file has not
/// written out yet. `go_on` is asked between row groups; its error ends the merge.
/// Errors: as ReadDataFiles and WriteDataFile, where a file cannot be read in full under the schema; kCorruption where the
/// rows are not as many as the manifests say. The new object never appears then.
Result<DataFile> MergeDataFiles(std::shared_ptr<ObjectStore> store, MergePlan plan, WriteGroup& group,
                                std::function<Status()> go_on);

/// Merges two rows in memory, so that everything the libraries make on first use is made. For a program that merges in a
/// thread: what is made before it registers its handler for exit is destroyed after that has stopped the thread. Some
/// milliseconds. Errors: none in practice.
Status PrepareToMerge();

}  // namespace datashard::data
