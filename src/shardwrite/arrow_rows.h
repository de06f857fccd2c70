// A stream of record batches, row by row: key, value, and the columns of a rule.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "datashard/arrow_c.h"
#include "datashard/result.h"
#include "datashard/sharded_writer.h"

namespace datashard::shardwrite {

/// Valid during the call.
using RowSink = std::function<Status(const KeyView& key, std::string_view value, std::span<const CelValue> columns)>;

/// Hands every row to `sink`, until it answers an error, which then names the row. `rule_columns`: by name; "key" stands for the key column where the batch
/// has no column of that name. Errors: kInvalidArgument: columns that are missing or of other types, null keys; kUnsupported: types
/// we do not take; kUnavailable: the stream failed.
Status ForEachRow(ArrowStream rows, const ArrowKeyValue& columns, const std::vector<std::pair<std::string, CelType>>& rule_columns, const RowSink& sink);

}  // namespace datashard::shardwrite
