// The tables that manifests have in PostgreSQL, and the statements over them. Names are checked, values are parameters.
#pragma once

#include <string>
#include <vector>

#include "datashard/sharded_manifest.h"
#include "generation/manifest_columns.h"
#include "generation/postgres_connection.h"

namespace datashard::generation {

struct PostgresTables {
  std::string builds, shards, pointer, pointer_index;
  /// Does the pointer's table have our column seq? Its numbers tell which row is the last one; without, only updated_at does.
  bool has_sequence = false;
  bool has_version = false;  ///< the same of format_version in the table of builds; without, it is 4

  std::string newest_first() const { return has_sequence ? "seq DESC" : "updated_at DESC"; }
};

/// Errors: kInvalidArgument: what is no plain name, with or without a schema's.
Result<PostgresTables> TablesOf(const PostgresManifestOptions& options);
/// Makes what is missing, our column too where that is allowed, and finds out about it.
Status EnsureTables(PostgresConnection& connection, PostgresTables& tables, bool ensure);

/// Replaces what is stored of the run. In a transaction of the caller's.
Status WriteManifest(PostgresConnection& connection, const PostgresTables& tables, const ManifestRows& rows);
/// Errors: kNotFound.
Result<ManifestRows> ReadManifest(PostgresConnection& connection, const PostgresTables& tables, const std::string& run_id);

}  // namespace datashard::generation
