// Commands from a YAML file, one after another.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/shardy/operations.h"

namespace datashard::cli::shardy {

struct BatchItem {
  std::string op;
  std::vector<std::string> keys;  ///< of get and route: one
  TypedContext context;
  std::optional<double> staleness_threshold_s;
  int64_t limit = 10;
};

struct Batch {
  bool stop_on_error = true;
  std::vector<BatchItem> items;
};

/// Errors: kInvalidArgument with line and what was expected; nothing is run of a file with a mistake.
Result<Batch> ParseBatch(const std::string& yaml);
Result<Json> RunItem(Session& session, const BatchItem& item);

}  // namespace datashard::cli::shardy
