// The change behind every append: data files, already written, become one snapshot on top of whatever is newest. Rebases
// always, unless the table's schema is no longer the one the files were written with.
#pragma once

#include <optional>
#include <vector>

#include "commit/change.h"
#include "datashard/manifest.h"
#include "datashard/schema.h"

namespace datashard::commit {

class AppendFiles final : public Change {
 public:
  /// \param files   at least one, below the table's root.
  /// \param schema  what they were written with; a schema-less table adopts it in the same version.
  AppendFiles(std::vector<DataFile> files, Schema schema);

  Result<CommitPlan> Plan(const Base& base, const PlanIds& ids) const override;

 private:
  std::vector<DataFile> files_;
  Schema schema_;
};

/// The metadata of version 1 of a table.
iceberg::TableMetadata FirstVersion(std::string table_uuid, std::string location, const std::optional<Schema>& schema,
                                    std::map<std::string, std::string> properties, Instant now);

/// Is there no schema yet? (On disk: a current schema without fields.)
inline bool IsSchemaless(const iceberg::TableMetadata& metadata) { return metadata.current_schema().fields.empty(); }

}  // namespace datashard::commit
