// The change behind every append: data files, already written, become one snapshot on top of whatever is newest. Rebases
// always, unless the table's schema is no longer the one the files were written with.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "commit/change.h"
#include "commit/new_snapshot.h"
#include "datashard/manifest.h"
#include "datashard/schema.h"

namespace datashard::commit {

/// A manifest that its owner has written and synced: its line, but for ids and sequence numbers, and the bytes it names.
struct WrittenManifest {
  ManifestFile line;
  int64_t added_bytes = 0;
};
/// A run of files of one snapshot, in row order.
using AppendPart = std::variant<std::vector<DataFile>, WrittenManifest>;

class AppendFiles final : public Change {
 public:
  /// \param parts   at least one file in all, below the table's root.
  /// \param schema  what they were written with; a schema-less table adopts it in the same version.
  AppendFiles(std::vector<AppendPart> parts, Schema schema, ChangeIds ids);

  Status Apply(Draft& draft) override;

 private:
  std::vector<AppendPart> parts_;
  Schema schema_;
  ChangeIds ids_;
};

struct MadeManifest {
  NewFile file;
  WrittenManifest written;
};
/// The manifest `key` of `files`, which are new in snapshot `snapshot_id`; where that is not known yet, they inherit it.
/// Sequence numbers are always inherited, so that the manifest serves every attempt.
Result<MadeManifest> MakeManifest(const std::vector<DataFile>& files, const Schema& schema,
                                  const iceberg::PartitionSpec& spec, std::string_view root_uri, std::string key,
                                  std::optional<int64_t> snapshot_id);

/// What an append is told whose rows were written for a schema that is no longer the table's.
Error SchemaChanged(const iceberg::TableMetadata& now);

/// The metadata of version 1 of a table.
iceberg::TableMetadata FirstVersion(std::string table_uuid, std::string location, const std::optional<Schema>& schema,
                                    std::map<std::string, std::string> properties, Instant now);

/// Is there no schema yet? (On disk: a current schema without fields.)
inline bool IsSchemaless(const iceberg::TableMetadata& metadata) { return metadata.current_schema().fields.empty(); }

}  // namespace datashard::commit
