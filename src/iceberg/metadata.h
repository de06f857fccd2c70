// Table metadata of format v2 as plain values, and its JSON codec. Whatever a file says that we do not interpret is kept
// (`extra`, raw JSON text) and written back. No I/O here. Source: Iceberg spec, "Table Metadata and Snapshots", appendix C.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"
#include "datashard/schema.h"
#include "datashard/snapshot.h"

namespace datashard::iceberg {

/// Keys we do not interpret, in file order: key, JSON text.
using Extra = ExtraKeys;

struct PartitionField {
  int32_t source_id = 0;
  int32_t field_id = 0;
  std::string name;
  std::string transform;  // as written: "identity", "bucket[16]" …
  Extra extra;
  bool operator==(const PartitionField&) const = default;
};

struct PartitionSpec {
  int32_t spec_id = 0;
  std::vector<PartitionField> fields;
  Extra extra;
  bool operator==(const PartitionSpec&) const = default;
};

struct SortField {
  std::string transform;
  int32_t source_id = 0;
  std::string direction;   // "asc" | "desc"
  std::string null_order;  // "nulls-first" | "nulls-last"
  Extra extra;
  bool operator==(const SortField&) const = default;
};

struct SortOrder {
  int32_t order_id = 0;
  std::vector<SortField> fields;
  Extra extra;
  bool operator==(const SortOrder&) const = default;
};

struct SnapshotLogEntry {
  int64_t timestamp_ms = 0;
  int64_t snapshot_id = 0;
  Extra extra;
  bool operator==(const SnapshotLogEntry&) const = default;
};

struct MetadataLogEntry {
  int64_t timestamp_ms = 0;
  std::string metadata_file;
  Extra extra;
  bool operator==(const MetadataLogEntry&) const = default;
};

struct SnapshotRef {
  int64_t snapshot_id = 0;
  std::string type;  // "branch" | "tag"
  Extra extra;       // retention settings among others
  bool operator==(const SnapshotRef&) const = default;
};

struct TableMetadata {
  int32_t format_version = 2;
  std::string table_uuid;
  std::string location;  // URI, no trailing '/'
  int64_t last_sequence_number = 0;
  int64_t last_updated_ms = 0;
  int32_t last_column_id = 0;
  std::vector<Schema> schemas;
  int32_t current_schema_id = 0;
  std::vector<PartitionSpec> partition_specs;
  int32_t default_spec_id = 0;
  int32_t last_partition_id = 999;
  std::vector<SortOrder> sort_orders;
  int32_t default_sort_order_id = 0;
  std::map<std::string, std::string> properties;
  std::optional<int64_t> current_snapshot_id;  // none: empty table (-1, null or absent in the file)
  /// In file order; shared between versions, never changed.
  std::vector<std::shared_ptr<const Snapshot>> snapshots;
  std::vector<SnapshotLogEntry> snapshot_log;
  std::vector<MetadataLogEntry> metadata_log;
  std::map<std::string, SnapshotRef> refs;
  std::optional<std::string> statistics;            // raw JSON
  std::optional<std::string> partition_statistics;  // raw JSON
  Extra extra;

  const Schema* FindSchema(int32_t schema_id) const;
  const PartitionSpec* FindSpec(int32_t spec_id) const;
  const Snapshot* FindSnapshot(int64_t snapshot_id) const;
  const Schema& current_schema() const { return *FindSchema(current_schema_id); }  // Decode and Validate prove it exists
  /// Null for an empty table.
  const Snapshot* current_snapshot() const;
};

/// What a decoder may take in at most.
inline constexpr int64_t kMetadataBytesMax = 256 << 20;
inline constexpr int kJsonDepthMax = 64;

/// Reads format v2. `object` names the file in errors. Gzip is recognised by its magic and unpacked within the bounds.
/// Checks everything a reader relies on: required keys, current ids that exist, unique ids, refs and snapshot references.
/// Errors: kCorruption (kMetadata) with the key and what was found; kUnsupported for format versions 1 and above 2 (with
/// the version) and (kLegacyLayout) for the snake_case metadata of the package's releases before 0.10.
Result<TableMetadata> DecodeTableMetadata(ByteView file, std::string_view object);
/// The JSON text of such a file, without looking into it.
Result<Bytes> UnpackMetadata(Bytes file, std::string_view object);

/// Deterministic, compact UTF-8 (control characters escaped). Key order follows the spec's table; `extra` comes last.
/// Errors: kInternal where Decode would refuse the result.
Result<Bytes> EncodeTableMetadata(const TableMetadata& metadata);

/// The JSON of one schema, as metadata and manifest headers carry it, and back.
std::string EncodeSchema(const Schema& schema);
Result<Schema> DecodeSchema(ByteView json, std::string_view object);
/// The JSON array of a spec's fields, as manifest headers carry it.
std::string EncodePartitionFields(const PartitionSpec& spec);
/// schema.name-mapping.default for `schema`: every field by its name.
std::string EncodeNameMapping(const Schema& schema);

}  // namespace datashard::iceberg
