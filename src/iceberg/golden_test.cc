// Reads the metadata, manifest lists and manifests that the released datashard 0.11.2 wrote; make.py there says what.
#include <filesystem>
#include <fstream>
#include <sstream>

#include "iceberg/manifest.h"
#include "iceberg/metadata.h"
#include "iceberg/value.h"
#include "support/matchers.h"

namespace datashard::iceberg {
namespace {

using ::testing::ElementsAre;

std::string ReadGolden(const std::filesystem::path& table, std::string_view uri) {
  std::ifstream file(table / "metadata" / std::filesystem::path(uri).filename(), std::ios::binary);
  EXPECT_TRUE(file.good()) << uri;
  return std::move(std::ostringstream() << file.rdbuf()).str();
}

struct Loaded {
  TableMetadata metadata;
  std::vector<ManifestFile> manifests;
  std::vector<ManifestEntry> entries;
};

Result<Loaded> Load(std::string_view table, std::string_view version) {
  const std::filesystem::path path = std::filesystem::path(DATASHARD_GOLDEN_DIR) / "datashard-0.11.2" / table;
  Loaded loaded;
  DS_ASSIGN_OR_RETURN(loaded.metadata, DecodeTableMetadata(ReadGolden(path, version), version));
  const std::string& list = loaded.metadata.current_snapshot()->manifest_list;
  DS_ASSIGN_OR_RETURN(loaded.manifests, DecodeManifestList(ReadGolden(path, list), list));
  for (const ManifestFile& line : loaded.manifests) {
    const std::string bytes = ReadGolden(path, line.manifest_path);
    EXPECT_EQ(static_cast<int64_t>(bytes.size()), line.manifest_length);
    DS_ASSIGN_OR_RETURN(DecodedManifest manifest,
                        DecodeManifest(bytes, loaded.metadata.current_schema(), *loaded.metadata.FindSpec(0),
                                       line.manifest_path));
    DS_RETURN_IF_ERROR(Inherit(line, manifest.entries));
    for (ManifestEntry& entry : manifest.entries) loaded.entries.push_back(std::move(entry));
  }
  return loaded;
}

TEST(Golden, PlainTableOf0112) {
  ASSERT_OK_AND_ASSIGN(const Loaded table, Load("plain", "v5.metadata.json"));
  EXPECT_EQ(table.metadata.snapshots.size(), 3u);
  EXPECT_EQ(table.metadata.last_sequence_number, 3);
  EXPECT_EQ(table.metadata.properties.at("comment"), "golden");
  EXPECT_EQ(table.metadata.current_schema().fields.size(), 15u);
  EXPECT_EQ(table.metadata.current_schema().Find("c_decimal")->type, Type::Decimal(9, 2));
  ASSERT_EQ(table.entries.size(), 3u);
  int64_t rows = 0;
  for (const ManifestEntry& entry : table.entries) rows += entry.data_file.record_count;
  EXPECT_EQ(rows, 12);

  // Rows 0 to 3; row 2 is null but for its id.
  const DataFile& first = table.entries[0].data_file;
  const auto bound = [&](const std::map<int32_t, std::string>& bounds, const char* column) {
    const Field* field = table.metadata.current_schema().Find(column);
    return DecodeValue(bounds.at(field->id), field->type).value();
  };
  EXPECT_EQ(bound(first.lower_bounds, "id"), Literal(int64_t{0}));
  EXPECT_EQ(bound(first.upper_bounds, "id"), Literal(int64_t{3}));
  EXPECT_EQ(bound(first.upper_bounds, "c_decimal"), Literal(DecimalValue{"0.75"}));
  EXPECT_EQ(bound(first.upper_bounds, "c_date"), Literal(DateValue{15706}));
  EXPECT_EQ(bound(first.upper_bounds, "c_time"), Literal(TimeValue{18'003'000'000}));
  EXPECT_EQ(bound(first.upper_bounds, "c_timestamptz"), Literal(TimestampValue{1'357'016'403'000'000, true}));
  EXPECT_EQ(bound(first.upper_bounds, "c_string"), Literal(std::string("row 3 ä")));
}

TEST(Golden, PartitionedTableOf0112) {
  ASSERT_OK_AND_ASSIGN(const Loaded table, Load("partitioned", "v3.metadata.json"));
  const PartitionSpec& spec = *table.metadata.FindSpec(0);
  ASSERT_EQ(spec.fields.size(), 2u);
  EXPECT_EQ(spec.fields[1].transform, "truncate[2]");
  ASSERT_EQ(table.entries.size(), 5u);
  EXPECT_THAT(table.entries[0].data_file.partition,
              ElementsAre(Literal(DateValue{15706}), Literal(std::string("w0"))));
  EXPECT_THAT(table.entries[4].data_file.partition, ElementsAre(Literal(), Literal()));
  ASSERT_EQ(table.manifests.size(), 2u);
  EXPECT_TRUE(table.manifests[1].partitions[0].contains_null);
  EXPECT_EQ(table.manifests[0].partitions[1].upper_bound, "w1");

  // What we make of the same entries is what 0.11.2 said of them.
  const ManifestHeader header{.schema = table.metadata.current_schema(), .partition_spec = spec};
  ASSERT_OK_AND_ASSIGN(const ManifestFile line, Summarize(header, std::span(table.entries).first(4)));
  EXPECT_TRUE(line.partitions == table.manifests[0].partitions);
  EXPECT_EQ(line.added_rows_count, table.manifests[0].added_rows_count);
}

TEST(Golden, WhatWeReadWeWriteBackUnchanged) {
  ASSERT_OK_AND_ASSIGN(const Loaded table, Load("plain", "v5.metadata.json"));
  ASSERT_OK_AND_ASSIGN(const Bytes json, EncodeTableMetadata(table.metadata));
  ASSERT_OK_AND_ASSIGN(const TableMetadata again, DecodeTableMetadata(json, "again"));
  EXPECT_TRUE(again.schemas == table.metadata.schemas);
  EXPECT_TRUE(*again.current_snapshot() == *table.metadata.current_snapshot());
  EXPECT_EQ(again.properties, table.metadata.properties);
}

}  // namespace
}  // namespace datashard::iceberg
