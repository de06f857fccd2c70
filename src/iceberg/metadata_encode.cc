// Table metadata as JSON: every key that some engine insists on, in a fixed order. See docs/formats/metadata.md.
#include "base/check.h"
#include "base/error.h"
#include "iceberg/json_reader.h"
#include "iceberg/json_writer.h"
#include "iceberg/metadata.h"
#include "iceberg/metadata_check.h"
#include "iceberg/schema_json.h"

namespace datashard::iceberg {
namespace {

void WriteSortOrder(JsonWriter& json, const SortOrder& order) {
  json.BeginObject().Key("order-id").Int(order.order_id).Key("fields").BeginArray();
  for (const SortField& field : order.fields) {
    json.BeginObject().Key("transform").String(field.transform).Key("source-id").Int(field.source_id);
    json.Key("direction").String(field.direction).Key("null-order").String(field.null_order);
    json.Members(field.extra).EndObject();
  }
  json.EndArray().Members(order.extra).EndObject();
}

void WriteSnapshot(JsonWriter& json, const Snapshot& snapshot) {
  json.BeginObject().Key("snapshot-id").Int(snapshot.snapshot_id);
  if (snapshot.parent_snapshot_id) json.Key("parent-snapshot-id").Int(*snapshot.parent_snapshot_id);
  json.Key("sequence-number").Int(snapshot.sequence_number).Key("timestamp-ms").Int(snapshot.timestamp_ms);
  if (!snapshot.manifest_list.empty()) json.Key("manifest-list").String(snapshot.manifest_list);
  if (!snapshot.summary.empty()) {
    json.Key("summary").BeginObject();
    for (const auto& [key, value] : snapshot.summary) json.Key(key).String(value);
    json.EndObject();
  }
  if (snapshot.schema_id) json.Key("schema-id").Int(*snapshot.schema_id);
  json.Members(snapshot.extra).EndObject();
}

void WriteSchemasAndLayouts(JsonWriter& json, const TableMetadata& metadata) {
  json.Key("last-column-id").Int(metadata.last_column_id);
  json.Key("current-schema-id").Int(metadata.current_schema_id).Key("schemas").BeginArray();
  for (const Schema& schema : metadata.schemas) WriteSchema(json, schema);
  json.EndArray().Key("default-spec-id").Int(metadata.default_spec_id).Key("partition-specs").BeginArray();
  for (const PartitionSpec& spec : metadata.partition_specs) {
    json.BeginObject().Key("spec-id").Int(spec.spec_id).Key("fields");
    WritePartitionFields(json, spec);
    json.Members(spec.extra).EndObject();
  }
  json.EndArray().Key("last-partition-id").Int(metadata.last_partition_id);
  json.Key("default-sort-order-id").Int(metadata.default_sort_order_id).Key("sort-orders").BeginArray();
  for (const SortOrder& order : metadata.sort_orders) WriteSortOrder(json, order);
  json.EndArray();
}

void WriteSnapshotsAndLogs(JsonWriter& json, const TableMetadata& metadata) {
  // Version 2 writes -1 for an empty table; an absent key would mean the same to all engines but Spark, which refuses it.
  json.Key("current-snapshot-id").Int(metadata.current_snapshot_id.value_or(-1)).Key("refs").BeginObject();
  for (const auto& [name, ref] : metadata.refs) {
    json.Key(name).BeginObject().Key("snapshot-id").Int(ref.snapshot_id).Key("type").String(ref.type);
    json.Members(ref.extra).EndObject();
  }
  json.EndObject().Key("snapshots").BeginArray();
  for (const auto& snapshot : metadata.snapshots) WriteSnapshot(json, *snapshot);
  json.EndArray().Key("snapshot-log").BeginArray();
  for (const SnapshotLogEntry& entry : metadata.snapshot_log) {
    json.BeginObject().Key("timestamp-ms").Int(entry.timestamp_ms).Key("snapshot-id").Int(entry.snapshot_id);
    json.Members(entry.extra).EndObject();
  }
  json.EndArray().Key("metadata-log").BeginArray();
  for (const MetadataLogEntry& entry : metadata.metadata_log) {
    json.BeginObject().Key("timestamp-ms").Int(entry.timestamp_ms).Key("metadata-file").String(entry.metadata_file);
    json.Members(entry.extra).EndObject();
  }
  json.EndArray();
}

// A guess that spares the text its reallocations; measured on snapshots with a dozen summary keys.
size_t SizeEstimate(const TableMetadata& metadata) {
  return 8192 + metadata.snapshots.size() * 1024 + metadata.metadata_log.size() * 160;
}

}  // namespace

Result<Bytes> EncodeTableMetadata(const TableMetadata& metadata) {
  const std::string fault = FaultOf(metadata);
  if (!fault.empty()) return Internal("refusing to write metadata of {}: {}", metadata.location, fault);
  DS_CHECK(!metadata.current_snapshot_id || metadata.refs.contains("main"));

  JsonWriter json;
  json.Reserve(SizeEstimate(metadata));
  json.BeginObject().Key("format-version").Int(2).Key("table-uuid").String(metadata.table_uuid);
  json.Key("location").String(metadata.location);
  json.Key("last-sequence-number").Int(metadata.last_sequence_number);
  json.Key("last-updated-ms").Int(metadata.last_updated_ms);
  WriteSchemasAndLayouts(json, metadata);
  json.Key("properties").BeginObject();
  for (const auto& [key, value] : metadata.properties) json.Key(key).String(value);
  json.EndObject();
  WriteSnapshotsAndLogs(json, metadata);
  if (metadata.statistics) json.Key("statistics").Kept(*metadata.statistics);
  if (metadata.partition_statistics) json.Key("partition-statistics").Kept(*metadata.partition_statistics);
  json.Members(metadata.extra).EndObject();
  const bool has_kept = json.has_kept();
  Bytes text = std::move(json).Take();

  // Published metadata cannot be taken back, so text that would not parse must not leave this room. What the writer made
  // can only fail by a string that is no UTF-8; what was kept from other writers is parsed.
  if (!IsUtf8(text)) return Internal("refusing to write metadata of {}: a string in it is no UTF-8", metadata.location);
  if (has_kept) {
    const Result<JsonDocument> readable = JsonDocument::Parse(text, metadata.location, kMetadataBytesMax);
    if (!readable.ok()) return Internal("refusing to write metadata: {}", readable.error().message());
  }
  return text;
}

}  // namespace datashard::iceberg
