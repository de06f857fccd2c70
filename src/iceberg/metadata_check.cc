#include "iceberg/metadata_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_set>

namespace datashard::iceberg {
namespace {

// An id that occurs twice. Sorted copies, not hash sets: a summary has a dozen keys, and there are hundreds of them.
template <typename Range, typename IdOf>
auto Repeated(const Range& range, IdOf id_of) {
  using Id = decltype(id_of(*range.begin()));
  std::vector<Id> ids;
  ids.reserve(range.size());
  for (const auto& item : range) ids.push_back(id_of(item));
  std::sort(ids.begin(), ids.end());
  const auto twice = std::adjacent_find(ids.begin(), ids.end());
  return twice == ids.end() ? std::optional<Id>() : std::optional<Id>(*twice);
}

std::string FaultOfSchemas(const TableMetadata& metadata) {
  if (const auto id = Repeated(metadata.schemas, [](const Schema& schema) { return schema.schema_id; }))
    return fmt::format("schemas: schema-id {} occurs twice", *id);
  for (const Schema& schema : metadata.schemas) {
    if (const Status valid = schema.Validate(); !valid.ok())
      return fmt::format("schemas: schema {}: {}", schema.schema_id, valid.error().message());
  }
  if (metadata.FindSchema(metadata.current_schema_id) == nullptr)
    return fmt::format("current-schema-id {} is not among the {} schemas", metadata.current_schema_id,
                       metadata.schemas.size());
  return "";
}

std::string FaultOfLayouts(const TableMetadata& metadata) {
  if (const auto id = Repeated(metadata.partition_specs, [](const PartitionSpec& spec) { return spec.spec_id; }))
    return fmt::format("partition-specs: spec-id {} occurs twice", *id);
  for (const PartitionSpec& spec : metadata.partition_specs) {
    if (const auto id = Repeated(spec.fields, [](const PartitionField& field) { return field.field_id; }))
      return fmt::format("partition-specs: spec {}: field-id {} occurs twice", spec.spec_id, *id);
  }
  if (metadata.FindSpec(metadata.default_spec_id) == nullptr)
    return fmt::format("default-spec-id {} is not among the {} partition-specs", metadata.default_spec_id,
                       metadata.partition_specs.size());
  const auto order_id = [](const SortOrder& order) { return order.order_id; };
  if (const auto id = Repeated(metadata.sort_orders, order_id))
    return fmt::format("sort-orders: order-id {} occurs twice", *id);
  if (std::none_of(metadata.sort_orders.begin(), metadata.sort_orders.end(),
                   [&](const SortOrder& order) { return order.order_id == metadata.default_sort_order_id; }))
    return fmt::format("default-sort-order-id {} is not among the {} sort-orders", metadata.default_sort_order_id,
                       metadata.sort_orders.size());
  return "";
}

std::string FaultOfSnapshots(const TableMetadata& metadata) {
  std::unordered_set<int64_t> ids;
  ids.reserve(metadata.snapshots.size());
  for (const auto& snapshot : metadata.snapshots) {
    if (snapshot->snapshot_id < 0)
      return fmt::format("snapshots: snapshot-id {} is negative", snapshot->snapshot_id);
    if (!ids.insert(snapshot->snapshot_id).second)
      return fmt::format("snapshots: snapshot-id {} occurs twice", snapshot->snapshot_id);
    if (snapshot->sequence_number < 0 || snapshot->sequence_number > metadata.last_sequence_number)
      return fmt::format("snapshots: snapshot {}: sequence-number {} lies outside 0 to last-sequence-number {}",
                         snapshot->snapshot_id, snapshot->sequence_number, metadata.last_sequence_number);
    if (const auto key = Repeated(snapshot->summary, [](const auto& entry) { return std::string_view(entry.first); }))
      return fmt::format("snapshots: snapshot {}: summary key '{}' occurs twice", snapshot->snapshot_id, *key);
  }
  if (metadata.current_snapshot_id && !ids.contains(*metadata.current_snapshot_id))
    return fmt::format("current-snapshot-id {} is not among the {} snapshots", *metadata.current_snapshot_id,
                       metadata.snapshots.size());
  for (const auto& [name, ref] : metadata.refs) {
    if (!ids.contains(ref.snapshot_id))
      return fmt::format("refs: '{}' names snapshot {}, which is not among the {} snapshots", name, ref.snapshot_id,
                         metadata.snapshots.size());
  }
  // Engines that follow the ref and engines that follow the id must see the same rows.
  const auto main = metadata.refs.find("main");
  if (main != metadata.refs.end() && main->second.snapshot_id != metadata.current_snapshot_id)
    return fmt::format("refs: 'main' names snapshot {}, but current-snapshot-id is {}", main->second.snapshot_id,
                       metadata.current_snapshot_id.value_or(-1));
  return "";
}

}  // namespace

std::string FaultOf(const TableMetadata& metadata) {
  if (metadata.format_version != 2) return fmt::format("format-version is {}, not 2", metadata.format_version);
  if (metadata.table_uuid.empty()) return "table-uuid is empty";
  if (metadata.location.empty()) return "location is empty";
  if (metadata.last_sequence_number < 0)
    return fmt::format("last-sequence-number {} is negative", metadata.last_sequence_number);
  for (const auto check : {FaultOfSchemas, FaultOfLayouts, FaultOfSnapshots}) {
    if (std::string fault = check(metadata); !fault.empty()) return fault;
  }
  return "";
}

const Schema* TableMetadata::FindSchema(int32_t schema_id) const {
  for (const Schema& schema : schemas)
    if (schema.schema_id == schema_id) return &schema;
  return nullptr;
}

const PartitionSpec* TableMetadata::FindSpec(int32_t spec_id) const {
  for (const PartitionSpec& spec : partition_specs)
    if (spec.spec_id == spec_id) return &spec;
  return nullptr;
}

const Snapshot* TableMetadata::FindSnapshot(int64_t snapshot_id) const {
  // The newest are asked for most, and stand last.
  for (auto it = snapshots.rbegin(); it != snapshots.rend(); ++it)
    if ((*it)->snapshot_id == snapshot_id) return it->get();
  return nullptr;
}

const Snapshot* TableMetadata::current_snapshot() const {
  return current_snapshot_id ? FindSnapshot(*current_snapshot_id) : nullptr;
}

}  // namespace datashard::iceberg
