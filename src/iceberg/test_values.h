// Random but repeatable metadata, manifests and values, for this room's tests only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "iceberg/decimal.h"
#include "iceberg/manifest.h"
#include "iceberg/metadata.h"

namespace datashard::iceberg::testing {

class Values {
 public:
  explicit Values(uint64_t seed) : random_(SeededRandom(seed)) {}

  int64_t Below(int64_t bound) { return static_cast<int64_t>(random_->Next() % static_cast<uint64_t>(bound)); }
  bool Coin() { return Below(2) == 0; }
  int64_t Long() { return static_cast<int64_t>(random_->Next() >> Below(64)) * (Coin() ? 1 : -1); }
  int32_t Int() { return static_cast<int32_t>(Long()); }
  int64_t Id() { return RandomId63(*random_); }

  /// Text of everything that once broke a codec: quotes, controls, NUL, non-ASCII, four-byte UTF-8.
  std::string Text() {
    static const std::vector<std::string> kParts = {"a", "Z9", " ", "\"", "\\", "/", "\n", "\x01", "\x7f", "ä", "漢", "🧊",
                                                    "=", ":", ",", "{", "[", std::string(1, '\0')};
    std::string text = "t";
    for (int64_t i = Below(12); i > 0; --i) text += kParts[static_cast<size_t>(Below(kParts.size()))];
    return text;
  }
  std::string Binary(int64_t size) {
    std::string bytes;
    while (static_cast<int64_t>(bytes.size()) < size) bytes += static_cast<char>(random_->Next());
    return bytes;
  }

  Type Primitive() {
    switch (Below(14)) {
      case 0: return Type(TypeKind::kBoolean);
      case 1: return Type(TypeKind::kInt);
      case 2: return Type(TypeKind::kLong);
      case 3: return Type(TypeKind::kFloat);
      case 4: return Type(TypeKind::kDouble);
      case 5: {
        const auto precision = static_cast<int32_t>(1 + Below(38));
        return Type::Decimal(precision, static_cast<int32_t>(Below(precision + 1)));
      }
      case 6: return Type(TypeKind::kDate);
      case 7: return Type(TypeKind::kTime);
      case 8: return Type(TypeKind::kTimestamp);
      case 9: return Type(TypeKind::kTimestampTz);
      case 10: return Type(TypeKind::kString);
      case 11: return Type(TypeKind::kUuid);
      case 12: return Type::Fixed(static_cast<int32_t>(1 + Below(20)));
      default: return Type(TypeKind::kBinary);
    }
  }
  /// A value of a primitive type, never null.
  Literal Value(const Type& type) {
    switch (type.kind()) {
      case TypeKind::kBoolean: return Coin();
      case TypeKind::kInt: return int64_t{Int()};
      case TypeKind::kLong: return Long();
      case TypeKind::kFloat: return double{static_cast<float>(Int()) / 8};
      case TypeKind::kDouble: return static_cast<double>(Long()) / 1024;
      case TypeKind::kDecimal: {
        Int128 unscaled = 0;
        for (int64_t i = 1 + Below(type.precision()); i > 0; --i) unscaled = unscaled * 10 + Below(10);
        return DecimalValue{DecimalText(Coin() ? unscaled : -unscaled, type.scale())};
      }
      case TypeKind::kDate: return DateValue{Int()};
      case TypeKind::kTime: return TimeValue{Below(86'400'000'000)};
      case TypeKind::kTimestamp: return TimestampValue{Long(), false};
      case TypeKind::kTimestampTz: return TimestampValue{Long(), true};
      case TypeKind::kString: return Text();
      case TypeKind::kUuid: {
        UuidValue uuid;
        for (uint8_t& byte : uuid.bytes) byte = static_cast<uint8_t>(Below(256));
        return uuid;
      }
      case TypeKind::kFixed: return BinaryValue{Binary(type.length())};
      default: return BinaryValue{Binary(Below(20))};
    }
  }

  Extra SomeExtra() {
    static const std::vector<std::string> kJson = {"null", "true", "-17", "[1,{\"a\":\"ä\\n\"}]", "{\"k\":[[],{}]}", "\"x\"",
                                                   "0.5"};
    Extra extra;
    for (int64_t i = Below(3); i > 0; --i)
      extra.emplace_back("x-" + std::to_string(i) + Text(), kJson[static_cast<size_t>(Below(kJson.size()))]);
    return extra;
  }

  Type AnyType(int depth) {
    const int64_t choice = depth > 2 ? 9 : Below(10);
    if (choice == 0) return Type::Struct(Fields(1 + Below(3), depth + 1), SomeExtra());
    if (choice == 1)
      return Type::List({.id = NextId(), .name = "element", .type = AnyType(depth + 1), .required = Coin()}, SomeExtra());
    if (choice == 2) {
      Field key{.id = NextId(), .name = "key", .type = Primitive(), .required = true};
      Field value{.id = NextId(), .name = "value", .type = AnyType(depth + 1), .required = Coin()};
      return Type::Map(std::move(key), std::move(value), SomeExtra());
    }
    if (choice == 3) return Type::Other(Coin() ? "timestamp_ns" : "{\"type\":\"cube\",\"of\":[1,2]}");
    return Primitive();
  }
  std::vector<Field> Fields(int64_t count, int depth) {
    std::vector<Field> fields;
    for (int64_t i = 0; i < count; ++i) {
      Field& field = fields.emplace_back();
      field.id = NextId();
      field.name = std::to_string(i) + Text();
      field.type = AnyType(depth);
      field.required = Coin();
      if (Coin()) field.doc = Text();
      field.extra = SomeExtra();
    }
    return fields;
  }
  Schema AnySchema(int32_t schema_id) {
    next_id_ = 1;
    Schema schema{.schema_id = schema_id, .fields = Fields(Below(8), 0)};
    if (Coin()) schema.identifier_field_ids = {1, 2};
    schema.extra = SomeExtra();
    return schema;
  }

  std::shared_ptr<const Snapshot> AnySnapshot(int64_t sequence_number) {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->snapshot_id = Id();
    if (Coin()) snapshot->parent_snapshot_id = Id();
    snapshot->sequence_number = sequence_number;
    snapshot->timestamp_ms = 1'700'000'000'000 + Below(1'000'000'000);
    snapshot->manifest_list = "file:///t/" + Text();
    if (Coin()) snapshot->schema_id = 0;
    snapshot->summary = {{"operation", "append"}, {Text(), Text()}};
    snapshot->extra = SomeExtra();
    return snapshot;
  }

  TableMetadata Metadata() {
    TableMetadata metadata;
    metadata.table_uuid = RandomUuid(*random_);
    metadata.location = "file:///t/" + Text() + "x";
    metadata.last_sequence_number = 50;
    metadata.last_updated_ms = Below(2'000'000'000'000);
    for (int32_t id = 0; id <= Below(3); ++id) metadata.schemas.push_back(AnySchema(id));
    for (const Schema& schema : metadata.schemas)
      metadata.last_column_id = std::max(metadata.last_column_id, schema.HighestFieldId());
    metadata.partition_specs.push_back({.spec_id = 0, .extra = SomeExtra()});
    metadata.partition_specs.push_back(
        {.spec_id = 7,
         .fields = {{.source_id = 1, .field_id = 1000, .name = Text(), .transform = "identity", .extra = SomeExtra()},
                    {.source_id = 1, .field_id = 1001, .name = "b", .transform = "bucket[16]"}}});
    metadata.default_spec_id = Coin() ? 0 : 7;
    metadata.last_partition_id = 1001;
    metadata.sort_orders.push_back({});
    metadata.sort_orders.push_back({.order_id = 3,
                                    .fields = {{"identity", 1, "asc", "nulls-first", SomeExtra()}},
                                    .extra = SomeExtra()});
    for (int64_t i = Below(5); i > 0; --i) metadata.properties[Text()] = Text();
    for (int64_t i = Below(6); i > 0; --i) metadata.snapshots.push_back(AnySnapshot(Below(50)));
    for (const auto& snapshot : metadata.snapshots) {
      metadata.snapshot_log.push_back({snapshot->timestamp_ms, snapshot->snapshot_id, SomeExtra()});
      metadata.metadata_log.push_back({snapshot->timestamp_ms, "file:///" + Text(), SomeExtra()});
    }
    if (!metadata.snapshots.empty()) {
      metadata.current_snapshot_id = metadata.snapshots.back()->snapshot_id;
      metadata.refs["main"] = {*metadata.current_snapshot_id, "branch", SomeExtra()};
      metadata.refs[Text()] = {metadata.snapshots.front()->snapshot_id, "tag", SomeExtra()};
    }
    if (Coin()) metadata.statistics = "[{\"snapshot-id\":1,\"blobs\":[]}]";
    if (Coin()) metadata.partition_statistics = "[]";
    metadata.extra = SomeExtra();
    return metadata;
  }

  /// A header with an identity partition on up to four primitive columns.
  ManifestHeader Header() {
    ManifestHeader header;
    header.partition_spec.spec_id = static_cast<int32_t>(Below(5));
    for (int32_t i = 0; i < static_cast<int32_t>(Below(5)); ++i) {
      header.schema.fields.push_back({.id = i + 1, .name = std::to_string(i) + Text(), .type = Primitive()});
      header.partition_spec.fields.push_back(
          {.source_id = i + 1, .field_id = 1000 + i, .name = header.schema.fields.back().name, .transform = "identity"});
    }
    if (Coin()) header.content = ManifestContent::kDeletes;
    return header;
  }
  ManifestEntry Entry(const ManifestHeader& header) {
    ManifestEntry entry;
    entry.status = static_cast<EntryStatus>(Below(3));
    if (entry.status != EntryStatus::kAdded || Coin()) {
      entry.snapshot_id = Id();
      entry.sequence_number = Below(1000);
      entry.file_sequence_number = Below(1000);
    }
    DataFile& file = entry.data_file;
    file.content = header.content == ManifestContent::kData ? FileContent::kData
                   : Coin()                                 ? FileContent::kPositionDeletes
                                                            : FileContent::kEqualityDeletes;
    file.file_path = "file:///t/data/" + Text();
    for (const Field& field : header.schema.fields)
      file.partition.push_back(Below(4) == 0 ? Literal() : Value(field.type));
    file.record_count = Below(1'000'000'000'000);
    file.file_size_in_bytes = 1 + Below(1'000'000'000'000);
    for (auto* counts : {&file.column_sizes, &file.value_counts, &file.null_value_counts, &file.nan_value_counts})
      for (int64_t i = Below(4); i > 0; --i) (*counts)[static_cast<int32_t>(Below(100))] = Below(1'000'000'000);
    for (auto* bounds : {&file.lower_bounds, &file.upper_bounds})
      for (int64_t i = Below(4); i > 0; --i) (*bounds)[Int()] = Binary(Below(20));
    if (Coin()) file.key_metadata = Binary(Below(9));
    for (int64_t i = Below(4); i > 0; --i) file.split_offsets.push_back(Below(1'000'000'000'000));
    if (file.content == FileContent::kEqualityDeletes) file.equality_ids = {1, 300};
    if (Coin()) file.sort_order_id = Int();
    if (Coin()) file.referenced_data_file = Text();
    return entry;
  }
  std::vector<ManifestEntry> Entries(const ManifestHeader& header, int64_t count) {
    std::vector<ManifestEntry> entries;
    for (int64_t i = 0; i < count; ++i) entries.push_back(Entry(header));
    return entries;
  }
  ManifestFile Line() {
    ManifestFile line{.manifest_path = "file:///t/metadata/" + Text(), .manifest_length = 1 + Below(1'000'000)};
    line.partition_spec_id = Int();
    if (Coin()) line.content = ManifestContent::kDeletes;
    line.sequence_number = Below(1000);
    line.min_sequence_number = Below(1000);
    line.added_snapshot_id = Id();
    line.added_files_count = static_cast<int32_t>(Below(1 << 30));
    line.existing_files_count = static_cast<int32_t>(Below(100));
    line.deleted_files_count = static_cast<int32_t>(Below(100));
    line.added_rows_count = Below(1'000'000'000'000);
    line.existing_rows_count = Below(100);
    line.deleted_rows_count = Below(100);
    for (int64_t i = Below(3); i > 0; --i) {
      PartitionSummary& summary = line.partitions.emplace_back();
      summary.contains_null = Coin();
      if (Coin()) summary.contains_nan = Coin();
      if (Coin()) summary.lower_bound = Binary(Below(9));
      if (Coin()) summary.upper_bound = Binary(Below(9));
    }
    if (Coin()) line.key_metadata = Binary(3);
    return line;
  }

 private:
  int32_t NextId() { return next_id_++; }

  std::unique_ptr<Random> random_;
  int32_t next_id_ = 1;
};

}  // namespace datashard::iceberg::testing
