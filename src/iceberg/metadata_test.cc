// Invariants: decode(encode(x)) == x; keys nobody knows survive; bad bytes give kCorruption or a value, never a crash.
#include "iceberg/metadata.h"

#include <fmt/format.h>

#include "iceberg/inflate.h"
#include "iceberg/test_values.h"
#include "support/matchers.h"

namespace datashard::iceberg {
namespace {

constexpr std::string_view kSmall = R"({
  "format-version": 2, "table-uuid": "u", "location": "file:///t/", "last-sequence-number": 2, "last-updated-ms": 5,
  "last-column-id": 1, "current-schema-id": 0,
  "schemas": [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "a", "required": true, "type": "long"}]}],
  "default-spec-id": 0, "partition-specs": [{"spec-id": 0, "fields": []}], "last-partition-id": 999,
  "default-sort-order-id": 0, "sort-orders": [{"order-id": 0, "fields": []}], "properties": {"k": "v"},
  "current-snapshot-id": 7,
  "snapshots": [{"snapshot-id": 7, "timestamp-ms": 5, "sequence-number": 2, "manifest-list": "file:///t/l.avro",
                 "summary": {"operation": "append", "added-records": 3}, "schema-id": 0, "key-id": "k"}],
  "refs": {"main": {"snapshot-id": 7, "type": "branch", "max-ref-age-ms": 9}}, "encryption-keys": [ {"a" : 1} ]
})";

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}
std::string Edited(std::string_view from, std::string_view to) { return Replaced(std::string(kSmall), from, to); }

Result<TableMetadata> Decode(std::string_view json) { return DecodeTableMetadata(json, "v3.metadata.json"); }

// Snapshots are shared pointers; what they point to is what must be equal.
void ExpectSame(const TableMetadata& a, const TableMetadata& b) {
  EXPECT_EQ(a.table_uuid, b.table_uuid);
  EXPECT_EQ(a.location, b.location);
  EXPECT_EQ(a.last_sequence_number, b.last_sequence_number);
  EXPECT_EQ(a.last_updated_ms, b.last_updated_ms);
  EXPECT_EQ(a.last_column_id, b.last_column_id);
  EXPECT_TRUE(a.schemas == b.schemas);
  EXPECT_EQ(a.current_schema_id, b.current_schema_id);
  EXPECT_TRUE(a.partition_specs == b.partition_specs);
  EXPECT_EQ(a.default_spec_id, b.default_spec_id);
  EXPECT_EQ(a.last_partition_id, b.last_partition_id);
  EXPECT_TRUE(a.sort_orders == b.sort_orders);
  EXPECT_EQ(a.default_sort_order_id, b.default_sort_order_id);
  EXPECT_EQ(a.properties, b.properties);
  EXPECT_EQ(a.current_snapshot_id, b.current_snapshot_id);
  ASSERT_EQ(a.snapshots.size(), b.snapshots.size());
  for (size_t i = 0; i < a.snapshots.size(); ++i) EXPECT_TRUE(*a.snapshots[i] == *b.snapshots[i]);
  EXPECT_TRUE(a.snapshot_log == b.snapshot_log);
  EXPECT_TRUE(a.metadata_log == b.metadata_log);
  EXPECT_TRUE(a.refs == b.refs);
  EXPECT_EQ(a.statistics, b.statistics);
  EXPECT_EQ(a.partition_statistics, b.partition_statistics);
  EXPECT_EQ(a.extra, b.extra);
}

TEST(Metadata, RandomTablesComeBack) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const TableMetadata metadata = testing::Values(seed).Metadata();
    ASSERT_OK_AND_ASSIGN(const Bytes json, EncodeTableMetadata(metadata));
    const Result<TableMetadata> decoded = Decode(json);
    ASSERT_THAT(decoded, IsOk()) << "seed " << seed;
    ExpectSame(*decoded, metadata);
    ASSERT_OK_AND_ASSIGN(const Bytes again, EncodeTableMetadata(*decoded));
    ASSERT_EQ(again, json) << "seed " << seed;
  }
}

TEST(Metadata, ReadsWhatOthersWriteAndKeepsWhatItDoesNotKnow) {
  ASSERT_OK_AND_ASSIGN(const TableMetadata metadata, Decode(kSmall));
  EXPECT_EQ(metadata.location, "file:///t");
  EXPECT_EQ(metadata.current_snapshot()->manifest_list, "file:///t/l.avro");
  EXPECT_EQ(metadata.current_snapshot()->operation(), "append");
  EXPECT_EQ(metadata.current_schema().Find("a")->type, Type(TypeKind::kLong));
  EXPECT_EQ(metadata.extra, (Extra{{"encryption-keys", "[{\"a\":1}]"}}));
  ASSERT_OK_AND_ASSIGN(const Bytes json, EncodeTableMetadata(metadata));
  for (const char* kept : {R"("encryption-keys":[{"a":1}])", R"("key-id":"k")", R"("max-ref-age-ms":9)",
                           R"("added-records":"3")", R"("refs":{"main":{"snapshot-id":7,"type":"branch")",
                           R"("current-snapshot-id":7)", R"("sort-orders":[{"order-id":0,"fields":[]}])"}) {
    EXPECT_THAT(json, ::testing::HasSubstr(kept));
  }
}

TEST(Metadata, AnEmptyTableIsOneWithoutCurrentSnapshot) {
  const std::string without_main = Edited(R"("main": {"snapshot-id": 7, "type": "branch", "max-ref-age-ms": 9})", "");
  for (const char* id : {R"("current-snapshot-id": -1,)", R"("current-snapshot-id": null,)", ""}) {
    ASSERT_OK_AND_ASSIGN(const TableMetadata metadata,
                         Decode(Replaced(without_main, R"("current-snapshot-id": 7,)", id)));
    EXPECT_EQ(metadata.current_snapshot(), nullptr);
    ASSERT_OK_AND_ASSIGN(const Bytes json, EncodeTableMetadata(metadata));
    EXPECT_THAT(json, ::testing::HasSubstr("\"current-snapshot-id\":-1"));
  }
}

TEST(Metadata, RefsAreMadeUpWhereThereAreNone) {
  ASSERT_OK_AND_ASSIGN(const TableMetadata metadata,
                       Decode(Edited(R"("main": {"snapshot-id": 7, "type": "branch", "max-ref-age-ms": 9})", "")));
  EXPECT_EQ(metadata.refs.at("main"), (SnapshotRef{.snapshot_id = 7, .type = "branch"}));
}

TEST(Metadata, FaultsAreNamedWithTheirPlace) {
  const struct { const char* from; const char* to; const char* message; } kCases[] = {
      {R"("table-uuid": "u",)", "", "v3.metadata.json: required key 'table-uuid' is missing"},
      {R"("table-uuid": "u")", R"("table-uuid": 5)", "table-uuid: expected a string, found 5"},
      {R"("type": "long")", R"~("type": "decimal(99, 1)")~", "schemas[0].fields[0].type: type 'decimal(99, 1)'"},
      {R"("type": "long")", R"("type": ["null"])", "schemas[0].fields[0].type: expected a type, found an array"},
      {R"("name": "a")", R"("name": "a", "name": "b")", "schemas[0].fields[0]: key 'name' occurs twice"},
      {R"("required": true)", R"("required": "yes")", "expected true or false, found \"yes\""},
      {R"("id": 1,)", R"("id": 3000000000,)", "schemas[0].fields[0].id: expected a 32-bit integer, found 3000000000"},
      {R"("timestamp-ms": 5)", R"("timestamp-ms": 5.5)", "snapshots[0].timestamp-ms: expected a 64-bit integer, found 5.5"},
      {R"("timestamp-ms": 5)", R"("timestamp-ms": null)", "found null"},
      {R"("current-schema-id": 0)", R"("current-schema-id": 4)", "current-schema-id 4 is not among the 1 schemas"},
      {R"("default-spec-id": 0)", R"("default-spec-id": 4)", "default-spec-id 4"},
      {R"("default-sort-order-id": 0)", R"("default-sort-order-id": 4)", "default-sort-order-id 4"},
      {R"("current-snapshot-id": 7)", R"("current-snapshot-id": 8)", "current-snapshot-id 8 is not among"},
      {R"({"main": {"snapshot-id": 7)", R"({"b": {"snapshot-id": 9)", "refs: 'b' names snapshot 9"},
      {R"("current-snapshot-id": 7)", R"("current-snapshot-id": -1)", "refs: 'main' names snapshot 7"},
      {R"("last-sequence-number": 2)", R"("last-sequence-number": 1)", "sequence-number 2 lies outside 0 to"},
      {R"("properties": {"k": "v"})", R"("properties": {"k": 1})", "properties.k: expected a string, found 1"},
      {R"([{"spec-id": 0, "fields": []}])", R"([{"spec-id": 0, "fields": []},{"spec-id": 0, "fields": []}])",
       "spec-id 0 occurs twice"},
      {R"("format-version": 2,)", "", "required key 'format-version' is missing"},
      {R"("format-version": 2)", R"("format-version": 0)", "format-version 0 does not exist"},
  };
  for (const auto& [from, to, message] : kCases) {
    const Result<TableMetadata> decoded = Decode(Edited(from, to));
    EXPECT_THAT(decoded, HasKind(ErrorKind::kCorruption)) << to;
    EXPECT_THAT(decoded, HasMessage(message));
    EXPECT_THAT(decoded, HasMessage("v3.metadata.json"));
    EXPECT_THAT(decoded, HasSubject(ErrorSubject::kMetadata));
  }
}

TEST(Metadata, OtherFormatsAreNamed) {
  EXPECT_THAT(Decode(Edited("\"format-version\": 2", "\"format-version\": 3")), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(Decode(Edited("\"format-version\": 2", "\"format-version\": 3")), HasMessage("format version 3"));
  EXPECT_THAT(Decode(Edited("\"format-version\": 2", "\"format-version\": 1")), HasMessage("format version 1"));
  const Result<TableMetadata> legacy = Decode(R"({"location": "/t", "table_uuid": "u", "format_version": 2})");
  EXPECT_THAT(legacy, HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(legacy, HasSubject(ErrorSubject::kLegacyLayout));
  EXPECT_THAT(legacy, HasMessage("pip install datashard==0.11.2, then `datashard migrate`"));
}

TEST(Metadata, NumbersThatAreTooSmallAreRaised) {
  ASSERT_OK_AND_ASSIGN(const TableMetadata metadata, Decode(Edited("\"last-column-id\": 1", "\"last-column-id\": 0")));
  EXPECT_EQ(metadata.last_column_id, 1);
}

TEST(Metadata, SnapshotsOfFormatV1WithoutAListAreKept) {
  ASSERT_OK_AND_ASSIGN(const TableMetadata metadata,
                       Decode(Edited(R"("manifest-list": "file:///t/l.avro")", R"("manifests": ["a.avro"])")));
  EXPECT_EQ(metadata.current_snapshot()->manifest_list, "");
  ASSERT_OK_AND_ASSIGN(const Bytes json, EncodeTableMetadata(metadata));
  EXPECT_THAT(json, ::testing::HasSubstr(R"("manifests":["a.avro"])"));
}

TEST(Metadata, GzipIsUnpackedWithinBounds) {
  ASSERT_OK_AND_ASSIGN(const Bytes packed, Deflate(kSmall, ZlibFormat::kGzip));
  EXPECT_THAT(Decode(packed), IsOk());
  EXPECT_EQ(*UnpackMetadata(packed, "v1"), kSmall);
  EXPECT_EQ(*UnpackMetadata(Bytes(kSmall), "v1"), kSmall);
  EXPECT_THAT(UnpackMetadata(packed.substr(0, 20), "v1"), HasMessage("v1"));
  EXPECT_THAT(Decode(packed.substr(0, packed.size() - 1)), HasMessage("truncated"));
  EXPECT_THAT(Decode(packed + "x"), HasMessage("end before their last byte"));
  Bytes flipped = packed;
  flipped[packed.size() - 6] ^= 1;  // in the checksum
  EXPECT_THAT(Decode(flipped), HasMessage("damaged"));
}

TEST(Inflating, StopsAtItsBounds) {
  const Bytes plain(1 << 20, ' ');
  ASSERT_OK_AND_ASSIGN(const Bytes packed, Deflate(plain, ZlibFormat::kGzip));
  ASSERT_OK_AND_ASSIGN(const Bytes exact, Inflate(packed, ZlibFormat::kGzip, {.size_bytes_max = 1 << 20}));
  EXPECT_EQ(exact, plain);
  EXPECT_THAT(Inflate(packed, ZlibFormat::kGzip, {.size_bytes_max = (1 << 20) - 1}), HasMessage("more than the 1048575"));
  EXPECT_THAT(Inflate(packed, ZlibFormat::kGzip, {.size_bytes_max = 1 << 20, .ratio_max = 10}), HasMessage("more than"));
}

TEST(Inflating, ToleratesTheTailThatPythonWritersLeave) {
  ASSERT_OK_AND_ASSIGN(const Bytes packed, Deflate("plain", ZlibFormat::kRawDeflate));
  const InflateBounds bounds{.size_bytes_max = 100, .tail_bytes_max = 4};
  for (const char* tail : {"", "abc", "abcd"}) EXPECT_THAT(Inflate(packed + tail, ZlibFormat::kRawDeflate, bounds), IsOk());
  EXPECT_THAT(Inflate(packed + "abcde", ZlibFormat::kRawDeflate, bounds), HasMessage("end before their last byte"));
}

TEST(Metadata, DeepAndEmptyTextIsRefused) {
  EXPECT_THAT(Decode(""), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(Decode("[]"), HasMessage("expected an object, found an array"));
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  EXPECT_THAT(Decode(Edited(R"([ {"a" : 1} ])", deep)), HasMessage("nested deeper than 64"));
}

TEST(Metadata, TruncatedAndFlippedBytesNeverCrash) {
  int read = 0;
  for (size_t size = 0; size < kSmall.size(); ++size)
    EXPECT_THAT(Decode(kSmall.substr(0, size)), HasKind(ErrorKind::kCorruption)) << size;
  for (size_t i = 0; i < kSmall.size() * 8; ++i) {
    std::string text(kSmall);
    text[i / 8] ^= static_cast<char>(1 << i % 8);
    const Result<TableMetadata> decoded = Decode(text);
    if (decoded.ok()) {
      ++read;
      EXPECT_THAT(EncodeTableMetadata(*decoded), IsOk()) << text;
    } else {
      EXPECT_TRUE(decoded.kind() == ErrorKind::kCorruption || decoded.kind() == ErrorKind::kUnsupported);
    }
  }
  EXPECT_GT(read, 0) << "a flipped letter inside a string is still metadata";
}

TEST(Metadata, WhatNobodyCouldReadIsNotWritten) {
  ASSERT_OK_AND_ASSIGN(TableMetadata metadata, Decode(kSmall));
  TableMetadata broken = metadata;
  broken.current_schema_id = 9;
  EXPECT_THAT(EncodeTableMetadata(broken), HasKind(ErrorKind::kInternal));
  broken = metadata;
  broken.refs["main"].snapshot_id = 8;
  EXPECT_THAT(EncodeTableMetadata(broken), HasKind(ErrorKind::kInternal));
  broken = metadata;
  broken.properties["k"] = "\xff";
  EXPECT_THAT(EncodeTableMetadata(broken), HasKind(ErrorKind::kInternal));
  broken = metadata;
  broken.extra.emplace_back("k", "[1");
  EXPECT_THAT(EncodeTableMetadata(broken), HasKind(ErrorKind::kInternal));
}

TEST(Schemas, TextFormsAreTheSpecs) {
  const Schema schema{
      .schema_id = 3,
      .fields = {{.id = 1, .name = "id", .type = Type(TypeKind::kUuid), .required = true},
                 {.id = 2,
                  .name = "data",
                  .type = Type::List({.id = 3, .name = "element", .type = Type::Decimal(9, 2), .required = true})}}};
  EXPECT_EQ(EncodeSchema(schema),
            R"({"type":"struct","schema-id":3,"fields":[{"id":1,"name":"id","required":true,"type":"uuid"},)"
            R"({"id":2,"name":"data","required":false,"type":{"type":"list","element-id":3,)"
            R"~("element":"decimal(9, 2)","element-required":true}}]})~");
  ASSERT_OK_AND_ASSIGN(const Schema decoded, DecodeSchema(EncodeSchema(schema), "x"));
  EXPECT_EQ(decoded, schema);
  EXPECT_EQ(EncodeNameMapping(schema),
            R"([{"field-id":1,"names":["id"]},{"field-id":2,"names":["data"],)"
            R"("fields":[{"field-id":3,"names":["element"]}]}])");
  EXPECT_EQ(EncodePartitionFields({.fields = {{.source_id = 1, .field_id = 1000, .name = "b", .transform = "bucket[16]"}}}),
            R"([{"source-id":1,"field-id":1000,"name":"b","transform":"bucket[16]"}])");
}

}  // namespace
}  // namespace datashard::iceberg
