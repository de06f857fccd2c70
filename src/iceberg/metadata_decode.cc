// Table metadata from JSON. What a key means and which are required: docs/formats/metadata.md.
#include <algorithm>
#include <set>

#include "base/error.h"
#include "iceberg/inflate.h"
#include "iceberg/json_reader.h"
#include "iceberg/metadata.h"
#include "iceberg/metadata_check.h"
#include "iceberg/schema_json.h"

namespace datashard::iceberg {
namespace {

Result<std::map<std::string, std::string>> ReadStringMap(const JsonValue& value) {
  DS_ASSIGN_OR_RETURN(const JsonObject object, JsonObject::Of(value));
  std::map<std::string, std::string> map;
  for (const auto& [key, member] : object.All()) {
    DS_ASSIGN_OR_RETURN(map[std::string(key)], member.String());
  }
  return map;
}

Result<PartitionSpec> ReadSpec(const JsonValue& value) {
  DS_ASSIGN_OR_RETURN(JsonObject object, JsonObject::Of(value));
  PartitionSpec spec;
  DS_ASSIGN_OR_RETURN(spec.spec_id, object.Int32("spec-id"));
  DS_RETURN_IF_ERROR(object.ForEachIn("fields", [&](const JsonValue& item) -> Status {
    DS_ASSIGN_OR_RETURN(PartitionField field, ReadPartitionField(item));
    spec.fields.push_back(std::move(field));
    return {};
  }));
  spec.extra = object.Rest();
  return spec;
}

Result<SortField> ReadSortField(const JsonValue& value) {
  DS_ASSIGN_OR_RETURN(JsonObject object, JsonObject::Of(value));
  SortField field;
  DS_ASSIGN_OR_RETURN(field.transform, object.String("transform"));
  DS_ASSIGN_OR_RETURN(field.source_id, object.Int32("source-id"));
  DS_ASSIGN_OR_RETURN(field.direction, object.String("direction"));
  DS_ASSIGN_OR_RETURN(field.null_order, object.String("null-order"));
  field.extra = object.Rest();
  return field;
}

Result<SortOrder> ReadSortOrder(const JsonValue& value) {
  DS_ASSIGN_OR_RETURN(JsonObject object, JsonObject::Of(value));
  SortOrder order;
  DS_ASSIGN_OR_RETURN(order.order_id, object.Int32("order-id"));
  DS_RETURN_IF_ERROR(object.ForEachIn("fields", [&](const JsonValue& item) -> Status {
    DS_ASSIGN_OR_RETURN(SortField field, ReadSortField(item));
    order.fields.push_back(std::move(field));
    return {};
  }));
  order.extra = object.Rest();
  return order;
}

Result<std::vector<std::pair<std::string, std::string>>> ReadSummary(const JsonValue& value) {
  DS_ASSIGN_OR_RETURN(const JsonObject object, JsonObject::Of(value));
  std::vector<std::pair<std::string, std::string>> summary;
  for (const auto& [key, member] : object.All()) {
    // Some writers put numbers here; every engine but two reads them, and we write them back as the spec's strings.
    DS_ASSIGN_OR_RETURN(std::string text, member.ScalarText());
    summary.emplace_back(std::string(key), std::move(text));
  }
  return summary;
}

Result<Snapshot> ReadSnapshot(const JsonValue& value) {
  DS_ASSIGN_OR_RETURN(JsonObject object, JsonObject::Of(value));
  Snapshot snapshot;
  DS_ASSIGN_OR_RETURN(snapshot.snapshot_id, object.Int64("snapshot-id"));
  if (const auto parent = object.Optional("parent-snapshot-id")) {
    DS_ASSIGN_OR_RETURN(snapshot.parent_snapshot_id, parent->Int64());
    if (snapshot.parent_snapshot_id == -1) snapshot.parent_snapshot_id.reset();
  }
  if (const auto sequence_number = object.Optional("sequence-number")) {
    DS_ASSIGN_OR_RETURN(snapshot.sequence_number, sequence_number->Int64());
  }
  DS_ASSIGN_OR_RETURN(snapshot.timestamp_ms, object.Int64("timestamp-ms"));
  // Format v1 could list manifests in place; such a snapshot is kept, and refused only when its files are asked for.
  if (!object.Has("manifests") || object.Has("manifest-list")) {
    DS_ASSIGN_OR_RETURN(snapshot.manifest_list, object.String("manifest-list"));
  }
  if (const auto summary = object.Optional("summary")) {
    DS_ASSIGN_OR_RETURN(snapshot.summary, ReadSummary(*summary));
  }
  if (const auto schema_id = object.Optional("schema-id")) {
    DS_ASSIGN_OR_RETURN(snapshot.schema_id, schema_id->Int32());
  }
  snapshot.extra = object.Rest();
  return snapshot;
}

Result<SnapshotRef> ReadRef(const JsonValue& value) {
  DS_ASSIGN_OR_RETURN(JsonObject object, JsonObject::Of(value));
  SnapshotRef ref;
  DS_ASSIGN_OR_RETURN(ref.snapshot_id, object.Int64("snapshot-id"));
  DS_ASSIGN_OR_RETURN(ref.type, object.String("type"));
  ref.extra = object.Rest();
  return ref;
}

Status ReadSchemas(JsonObject& object, TableMetadata& metadata) {
  DS_ASSIGN_OR_RETURN(metadata.last_column_id, object.Int32("last-column-id"));
  DS_RETURN_IF_ERROR(object.ForEachIn("schemas", [&](const JsonValue& item) -> Status {
    DS_ASSIGN_OR_RETURN(Schema schema, ReadSchema(item, /*schema_id_required=*/true));
    // Engines read a number that is too small without complaint; handing out a used id again would mix up columns.
    metadata.last_column_id = std::max(metadata.last_column_id, schema.HighestFieldId());
    metadata.schemas.push_back(std::move(schema));
    return {};
  }));
  DS_ASSIGN_OR_RETURN(metadata.current_schema_id, object.Int32("current-schema-id"));
  return {};
}

Status ReadLayouts(JsonObject& object, TableMetadata& metadata) {
  DS_ASSIGN_OR_RETURN(metadata.last_partition_id, object.Int32("last-partition-id"));
  DS_RETURN_IF_ERROR(object.ForEachIn("partition-specs", [&](const JsonValue& item) -> Status {
    DS_ASSIGN_OR_RETURN(PartitionSpec spec, ReadSpec(item));
    for (const PartitionField& field : spec.fields)
      metadata.last_partition_id = std::max(metadata.last_partition_id, field.field_id);
    metadata.partition_specs.push_back(std::move(spec));
    return {};
  }));
  DS_ASSIGN_OR_RETURN(metadata.default_spec_id, object.Int32("default-spec-id"));
  DS_RETURN_IF_ERROR(object.ForEachIn("sort-orders", [&](const JsonValue& item) -> Status {
    DS_ASSIGN_OR_RETURN(SortOrder order, ReadSortOrder(item));
    metadata.sort_orders.push_back(std::move(order));
    return {};
  }));
  DS_ASSIGN_OR_RETURN(metadata.default_sort_order_id, object.Int32("default-sort-order-id"));
  return {};
}

Status ReadSnapshots(JsonObject& object, TableMetadata& metadata) {
  if (const auto id = object.Optional("current-snapshot-id")) {
    DS_ASSIGN_OR_RETURN(metadata.current_snapshot_id, id->Int64());
    if (metadata.current_snapshot_id == -1) metadata.current_snapshot_id.reset();
  }
  if (const auto snapshots = object.Optional("snapshots")) {
    DS_RETURN_IF_ERROR(snapshots->ForEach([&](const JsonValue& item) -> Status {
      DS_ASSIGN_OR_RETURN(Snapshot snapshot, ReadSnapshot(item));
      metadata.snapshots.push_back(std::make_shared<const Snapshot>(std::move(snapshot)));
      return {};
    }));
  }
  if (const auto refs = object.Optional("refs")) {
    DS_ASSIGN_OR_RETURN(const JsonObject named, JsonObject::Of(*refs));
    for (const auto& [name, member] : named.All()) {
      DS_ASSIGN_OR_RETURN(metadata.refs[std::string(name)], ReadRef(member));
    }
  }
  return {};
}

Status ReadLogs(JsonObject& object, TableMetadata& metadata) {
  if (const auto log = object.Optional("snapshot-log")) {
    DS_RETURN_IF_ERROR(log->ForEach([&](const JsonValue& item) -> Status {
      DS_ASSIGN_OR_RETURN(JsonObject entry, JsonObject::Of(item));
      SnapshotLogEntry& line = metadata.snapshot_log.emplace_back();
      DS_ASSIGN_OR_RETURN(line.timestamp_ms, entry.Int64("timestamp-ms"));
      DS_ASSIGN_OR_RETURN(line.snapshot_id, entry.Int64("snapshot-id"));
      line.extra = entry.Rest();
      return {};
    }));
  }
  if (const auto log = object.Optional("metadata-log")) {
    DS_RETURN_IF_ERROR(log->ForEach([&](const JsonValue& item) -> Status {
      DS_ASSIGN_OR_RETURN(JsonObject entry, JsonObject::Of(item));
      MetadataLogEntry& line = metadata.metadata_log.emplace_back();
      DS_ASSIGN_OR_RETURN(line.timestamp_ms, entry.Int64("timestamp-ms"));
      DS_ASSIGN_OR_RETURN(line.metadata_file, entry.String("metadata-file"));
      line.extra = entry.Rest();
      return {};
    }));
  }
  return {};
}

// Says what a file is that has no "format-version" of 2.
Status CheckFormatVersion(JsonObject& object, const JsonValue& root, std::string_view name) {
  if (!object.Has("format-version") && (object.Has("format_version") || object.Has("current_snapshot_id"))) {
    return Unsupported(
        "{}: a table written before release 0.10 of the datashard package; convert it once with that package: "
        "pip install datashard==0.11.2, then `datashard migrate`", name).About(ErrorSubject::kLegacyLayout);
  }
  DS_ASSIGN_OR_RETURN(const int64_t version, object.Int64("format-version"));
  if (version == 2) return {};
  if (version < 1) return root.Wrong(fmt::format("format-version {} does not exist", version));
  return Unsupported("{}: format version {}; this release reads and writes version 2{}", name, version,
                     version == 1 ? ". Upgrade the table with the engine that wrote it" : "")
      .About(ErrorSubject::kMetadata);
}

Result<TableMetadata> ReadMetadata(const JsonValue& root, std::string_view name) {
  DS_ASSIGN_OR_RETURN(JsonObject object, JsonObject::Of(root));
  DS_RETURN_IF_ERROR(CheckFormatVersion(object, root, name));
  TableMetadata metadata;
  DS_ASSIGN_OR_RETURN(metadata.table_uuid, object.String("table-uuid"));
  DS_ASSIGN_OR_RETURN(metadata.location, object.String("location"));
  while (metadata.location.size() > 1 && metadata.location.ends_with('/')) metadata.location.pop_back();
  DS_ASSIGN_OR_RETURN(metadata.last_sequence_number, object.Int64("last-sequence-number"));
  DS_ASSIGN_OR_RETURN(metadata.last_updated_ms, object.Int64("last-updated-ms"));
  DS_RETURN_IF_ERROR(ReadSchemas(object, metadata));
  DS_RETURN_IF_ERROR(ReadLayouts(object, metadata));
  if (const auto properties = object.Optional("properties")) {
    DS_ASSIGN_OR_RETURN(metadata.properties, ReadStringMap(*properties));
  }
  DS_RETURN_IF_ERROR(ReadSnapshots(object, metadata));
  DS_RETURN_IF_ERROR(ReadLogs(object, metadata));
  if (const auto raw = object.Optional("statistics")) metadata.statistics = raw->Raw();
  if (const auto raw = object.Optional("partition-statistics")) metadata.partition_statistics = raw->Raw();
  // Version 1's copies of the current schema and spec: no reader of version 2 looks at them, and kept they would go stale.
  object.Drop("schema");
  object.Drop("partition-spec");
  metadata.extra = object.Rest();
  return metadata;
}

// What a reader may add without changing the meaning of the file.
void Complete(TableMetadata& metadata) {
  const bool has_unsorted = std::any_of(metadata.sort_orders.begin(), metadata.sort_orders.end(),
                                        [](const SortOrder& order) { return order.order_id == 0; });
  if (metadata.default_sort_order_id == 0 && !has_unsorted) metadata.sort_orders.push_back({});
  if (metadata.current_snapshot_id && !metadata.refs.contains("main")) {
    metadata.refs["main"] = {.snapshot_id = *metadata.current_snapshot_id, .type = "branch"};
  }
}

bool IsGzip(ByteView bytes) { return bytes.starts_with("\x1f\x8b"); }

}  // namespace

Result<Bytes> UnpackMetadata(Bytes file, std::string_view object) {
  if (!IsGzip(file)) return file;
  Result<Bytes> plain = Inflate(file, ZlibFormat::kGzip, {.size_bytes_max = kMetadataBytesMax});
  if (!plain.ok()) return std::move(plain).error().In(object).About(ErrorSubject::kMetadata);
  return plain;
}

Result<TableMetadata> DecodeTableMetadata(ByteView file, std::string_view object) {
  Bytes unpacked;
  ByteView json = file;
  if (IsGzip(file)) {
    DS_ASSIGN_OR_RETURN(unpacked, UnpackMetadata(Bytes(file), object));
    json = unpacked;
  }
  DS_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::Parse(json, object, kMetadataBytesMax));
  DS_ASSIGN_OR_RETURN(TableMetadata metadata, ReadMetadata(document.root(), object));
  Complete(metadata);
  if (const std::string fault = FaultOf(metadata); !fault.empty()) {
    return Corruption("{}: {}", object, fault).About(ErrorSubject::kMetadata);
  }
  return metadata;
}

}  // namespace datashard::iceberg
