// How DuckDB is told to read a bucket: its CREATE SECRET statement, from the settings of a table.
#pragma once

#include <string>
#include <string_view>

#include "datashard/result.h"
#include "s3/settings.h"

namespace datashard::s3 {

/// CREATE OR REPLACE SECRET `name` with endpoint, region, URL style, TLS and keys of `settings`. The text holds the keys: it is for
/// DuckDB alone. Without keys in the settings it names DuckDB's own AWS chain (its extension aws), and holds none.
/// Every value is a quoted literal, so no key or name can end the statement.
/// Errors: kInvalidArgument: an empty name, a NUL.
/// Source: DuckDB documentation, "S3 API Support" (extension httpfs).
Result<std::string> DuckDbSecret(const S3Settings& settings, std::string_view name);

}  // namespace datashard::s3
