// Invariants: decode(encode(x)) == x; fields nobody knows are skipped; bad bytes give kCorruption or a value, never a
// crash, a hang, or more memory than the bytes can fill.
#include "iceberg/manifest.h"

#include <fmt/format.h>

#include <cmath>

#include "iceberg/avro_container.h"
#include "iceberg/avro_writer.h"
#include "iceberg/partition.h"
#include "iceberg/test_values.h"
#include "iceberg/value.h"
#include "support/matchers.h"

namespace datashard::iceberg {
namespace {

constexpr std::string_view kName = "m0.avro";

Result<DecodedManifest> Decode(ByteView bytes) { return DecodeManifest(bytes, Schema{}, PartitionSpec{}, kName); }

TEST(Manifest, RandomManifestsComeBack) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    testing::Values values(seed);
    const ManifestHeader header = values.Header();
    const std::vector<ManifestEntry> entries = values.Entries(header, values.Below(seed % 50 == 0 ? 3000 : 20));
    for (const AvroCodec codec : {AvroCodec::kNull, AvroCodec::kDeflate}) {
      ASSERT_OK_AND_ASSIGN(const Bytes avro, EncodeManifest(header, entries, codec));
      const Result<DecodedManifest> decoded = Decode(avro);
      ASSERT_THAT(decoded, IsOk()) << "seed " << seed;
      EXPECT_TRUE(decoded->entries == entries) << "seed " << seed;
      EXPECT_TRUE(decoded->header.schema == header.schema);
      EXPECT_TRUE(decoded->header.partition_spec == header.partition_spec);
      EXPECT_EQ(decoded->header.content, header.content);
    }
  }
}

TEST(ManifestList, RandomListsComeBack) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    testing::Values values(seed);
    std::vector<ManifestFile> lines;
    for (int64_t i = values.Below(20); i > 0; --i) lines.push_back(values.Line());
    for (const AvroCodec codec : {AvroCodec::kNull, AvroCodec::kDeflate}) {
      ASSERT_OK_AND_ASSIGN(const Bytes avro, EncodeManifestList({values.Id(), values.Id(), 3}, lines, codec));
      ASSERT_OK_AND_ASSIGN(const std::vector<ManifestFile> decoded, DecodeManifestList(avro, kName));
      EXPECT_TRUE(decoded == lines) << "seed " << seed;
    }
  }
}

// One small manifest and list per codec, for the tests that damage them.
std::vector<Bytes> SmallFiles() {
  testing::Values values(3);
  const ManifestHeader header = values.Header();
  const std::vector<ManifestEntry> entries = values.Entries(header, 3);
  const std::vector<ManifestFile> lines = {values.Line(), values.Line()};
  std::vector<Bytes> files;
  for (const AvroCodec codec : {AvroCodec::kNull, AvroCodec::kDeflate}) {
    files.push_back(EncodeManifest(header, entries, codec).value());
    files.push_back(EncodeManifestList({1, 2, 3}, lines, codec).value());
  }
  return files;
}

TEST(Damage, TruncatedAnywhereIsCorruption) {
  for (const Bytes& file : SmallFiles()) {
    for (size_t size = 0; size < file.size(); ++size) {
      const bool is_list = file.find("manifest_path") != Bytes::npos;
      const ByteView cut = ByteView(file).substr(0, size);
      if (is_list) {
        EXPECT_THAT(DecodeManifestList(cut, kName), HasKind(ErrorKind::kCorruption)) << size;
      } else {
        EXPECT_THAT(Decode(cut), HasKind(ErrorKind::kCorruption)) << size;
      }
    }
  }
}

TEST(Damage, FlippedBitsGiveAnErrorOrAValue) {
  int refused = 0;
  for (Bytes file : SmallFiles()) {
    for (size_t bit = 0; bit < file.size() * 8; ++bit) {
      file[bit / 8] ^= static_cast<char>(1 << bit % 8);
      const Result<DecodedManifest> manifest = Decode(file);
      const Result<std::vector<ManifestFile>> list = DecodeManifestList(file, kName);
      for (const auto kind : {manifest.ok() ? ErrorKind::kCorruption : manifest.kind(),
                              list.ok() ? ErrorKind::kCorruption : list.kind()}) {
        EXPECT_TRUE(kind == ErrorKind::kCorruption || kind == ErrorKind::kUnsupported) << bit;
      }
      refused += !manifest.ok() && !list.ok();
      file[bit / 8] ^= static_cast<char>(1 << bit % 8);
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(Damage, RandomBytesInRandomPlacesGiveAnErrorOrAValue) {
  testing::Values values(17);
  const std::vector<Bytes> files = SmallFiles();
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    Bytes file = files[static_cast<size_t>(values.Below(4))];
    for (int64_t i = 1 + values.Below(4); i > 0; --i) {
      const auto at = static_cast<size_t>(values.Below(static_cast<int64_t>(file.size())));
      const auto size = static_cast<size_t>(values.Below(8));
      file.replace(at, values.Coin() ? size : 0, values.Binary(static_cast<int64_t>(size)));
    }
    refused += !Decode(file).ok() && !DecodeManifestList(file, kName).ok();
  }
  EXPECT_GT(refused, 10'000);
}

TEST(Damage, ErrorsNameObjectAndPlace) {
  Bytes file = SmallFiles()[0];
  EXPECT_THAT(Decode("{}"), HasMessage("m0.avro: no Avro file"));
  EXPECT_THAT(Decode(file.substr(0, file.size() - 20)), HasMessage("m0.avro: an Avro block is truncated"));
  file.back() ^= 1;
  EXPECT_THAT(Decode(file), HasMessage("sync marker"));
  EXPECT_THAT(Decode(file), HasSubject(ErrorSubject::kMetadata));
}

// A file of `schema` with one block of `count` records in `body`.
Bytes Forged(const std::string& schema, int64_t count, const Bytes& body,
             std::vector<std::pair<std::string, std::string>> header = {}) {
  header.emplace_back("avro.schema", schema);
  AvroEncoder file;
  file.Fixed("Obj\x01");
  file.Long(static_cast<int64_t>(header.size()));
  for (const auto& [key, value] : header) {
    file.Text(key);
    file.Text(value);
  }
  file.Long(0);
  const Bytes sync(16, 's');
  file.Fixed(sync);
  file.Long(count);
  file.Text(body);
  file.Fixed(sync);
  return file.bytes();
}

std::string ManifestSchemaWith(const std::string& field) {
  return R"({"type":"record","name":"e","fields":[{"name":"status","field-id":0,"type":"int"},)" + field +
         R"({"name":"data_file","field-id":2,"type":{"type":"record","name":"d","fields":[)"
         R"({"name":"p","field-id":100,"type":"string"},{"name":"f","field-id":101,"type":"string"},)"
         R"({"name":"r","field-id":103,"type":"long"},{"name":"s","field-id":104,"type":"int"}]}}]})";
}

Bytes FileRecord() {
  AvroEncoder record;
  record.Text("file:///a");
  record.Text("PARQUET");
  record.Long(10);
  record.Long(20);
  return record.bytes();
}

TEST(Tolerance, OptionalFieldsMayBeMissingAndUnknownOnesAreSkipped) {
  const std::string strange =
      R"({"name":"x1","type":["null",{"type":"map","values":{"type":"array","items":"double"}}]},)"
      R"({"name":"x2","field-id":9001,"type":{"type":"enum","name":"en","symbols":["A","B"]}},)"
      R"({"name":"x3","type":{"type":"fixed","name":"fx","size":3}},{"name":"x4","type":["en","float"]},)";
  AvroEncoder record;
  record.Long(1);
  record.Some();  // x1: {"k": [0.5]}
  record.Long(1);
  record.Text("k");
  record.Long(-1);  // a block with its size
  record.Long(8);
  record.Double(0.5);
  record.Long(0);
  record.Long(0);
  record.Long(1);
  record.Fixed("abc");
  record.Long(1);
  record.Float(1);
  record.Fixed(FileRecord());
  ASSERT_OK_AND_ASSIGN(const DecodedManifest manifest, Decode(Forged(ManifestSchemaWith(strange), 1, record.bytes())));
  ASSERT_EQ(manifest.entries.size(), 1u);
  EXPECT_EQ(manifest.entries[0].data_file.file_path, "file:///a");
  EXPECT_EQ(manifest.entries[0].data_file.file_size_in_bytes, 20);
  EXPECT_EQ(manifest.entries[0].snapshot_id, std::nullopt);
}

TEST(Tolerance, FieldsEveryReaderNeedsAreDemanded) {
  EXPECT_THAT(Decode(Forged(R"({"type":"record","name":"e","fields":[]})", 0, "")),
              HasMessage("no field with field-id 0 (status)"));
  EXPECT_THAT(DecodeManifestList(Forged(R"("int")", 0, ""), kName), HasMessage("field-id 500 (manifest_path)"));
  const Bytes entry = Bytes("\x02", 1) + FileRecord();
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(""), 1, entry, {{"avro.codec", "zstandard"}})),
              HasMessage("Avro codec 'zstandard'"));
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(""), 1, entry, {{"avro.codec", "zstandard"}})),
              HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(""), 1, entry, {{"format-version", "3"}})),
              HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(""), 1, entry, {{"datashard.record-count", "2"}})),
              HasMessage("1 records, but its header says 2"));
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(""), 1, Bytes("\x08", 1) + FileRecord())), HasMessage("entry status 4"));
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(""), 1, entry + "x")), HasMessage("bytes behind its 1 records"));
}

// Each of these once meant a crash, a hang or gigabytes in some Avro reader.
TEST(Hostile, SchemasAndCountsCannotMakeTheReaderWorkForNothing) {
  const Bytes entry = Bytes("\x02", 1) + FileRecord();
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(""), int64_t{1} << 60, entry)), HasMessage("records in"));
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(""), -1, entry)), HasMessage("records in"));

  // An array of a billion nulls.
  AvroEncoder nulls;
  nulls.Long(1);
  nulls.Long(1'000'000'000);
  nulls.Fixed(FileRecord());
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(R"({"name":"x","type":{"type":"array","items":"null"}},)"), 1, nulls.bytes())),
              HasMessage("1000000000 items, but"));
  AvroEncoder few_nulls;
  few_nulls.Long(1);
  few_nulls.Long(2);
  few_nulls.Fixed(FileRecord());
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(R"({"name":"x","type":{"type":"array","items":"null"}},)"), 1,
                            few_nulls.bytes())),
              HasMessage("items that take no bytes"));

  // Ten thousand fields more than anybody needs.
  std::string wide;
  for (int i = 0; i <= 10'000; ++i) wide += fmt::format(R"({{"name":"x{0}","field-id":{1},"type":"int"}},)", i, i + 5000);
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(wide), 1, entry)), HasMessage("more than 10000 fields"));

  // A spec of many fields that the records do not have: each entry would still hold a value for each.
  PartitionSpec spec;
  for (int i = 0; i < 30'000; ++i) spec.fields.push_back({.field_id = i});
  Bytes entries;
  for (int i = 0; i < 2'000; ++i) entries += entry;
  EXPECT_THAT(DecodeManifest(Forged(ManifestSchemaWith(""), 2'000, entries), Schema{}, spec, kName),
              HasMessage("items in one file"));

  // Records of two records each, sixty deep: 2^60 values without a byte.
  std::string doubling = R"({"name":"x0","type":{"type":"record","name":"r0","fields":[]}},)";
  for (int i = 1; i <= 60; ++i) {
    doubling += fmt::format(R"({{"name":"x{0}","type":{{"type":"record","name":"r{0}","fields":[)"
                            R"({{"name":"a","type":"r{1}"}},{{"name":"b","type":"r{1}"}}]}}}},)", i, i - 1);
  }
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(doubling), 1, entry)), HasMessage("more values than the block has bytes"));

  // A record that holds itself.
  const std::string endless = R"({"name":"x","type":{"type":"record","name":"r","fields":[{"name":"r","type":"r"}]}},)";
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(endless), 1, entry)), HasMessage("nested too deeply"));

  EXPECT_THAT(Decode(Forged(std::string(200, '[') + std::string(200, ']'), 1, entry)), HasMessage("nested deeper"));
  EXPECT_THAT(Decode(Forged(R"({"type":"fixed","name":"f","size":99999999999})", 1, entry)), HasMessage("0 to 1 MiB"));

  // A string of nearly 2^63 bytes, and a number that never ends.
  AvroEncoder lengthy;
  lengthy.Long(1);
  lengthy.Long(INT64_MAX);
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(""), 1, lengthy.bytes())), HasMessage("bytes, but 0 are left"));
  EXPECT_THAT(Decode(Forged(ManifestSchemaWith(""), 1, Bytes(20, '\xff'))), HasMessage("longer than 64 bits"));
}

TEST(Hostile, DeflateBombsAreCutOff) {
  AvroFileWriter writer({}, R"({"type":"record","name":"m","fields":[]})", AvroCodec::kDeflate);
  writer.record().Fixed(Bytes(kAvroBlockBytesMax + 1, '\0'));
  ASSERT_THAT(writer.EndRecord(), IsOk());
  ASSERT_OK_AND_ASSIGN(const Bytes bomb, std::move(writer).Finish());
  EXPECT_LT(bomb.size(), 1u << 20);
  ASSERT_OK_AND_ASSIGN(AvroFile file, AvroFile::Open(bomb, kName));
  EXPECT_THAT(file.Next(), HasMessage("unpacked at most"));
}

TEST(Manifest, DamageToTheCountOfBlocksIsNoticed) {
  testing::Values values(5);
  const ManifestHeader header = values.Header();
  const std::vector<ManifestEntry> entries = values.Entries(header, 2000);
  ASSERT_OK_AND_ASSIGN(const Bytes avro, EncodeManifest(header, entries, AvroCodec::kNull));
  // The sync marker occurs behind the header and behind each block: cut after the first block.
  const Bytes sync = avro.substr(avro.size() - 16);
  const size_t first = avro.find(sync);
  const size_t second = avro.find(sync, first + 1);
  ASSERT_LT(second, avro.size() - 16);
  EXPECT_THAT(Decode(avro.substr(0, second + 16)), HasMessage("the file is truncated"));
}

TEST(Manifest, EveryAttributeEnginesAskForIsThere) {
  ManifestHeader header;
  header.schema.fields = {{.id = 1, .name = "a b", .type = Type(TypeKind::kTimestamp)}};
  header.partition_spec.fields = {{.source_id = 1, .field_id = 1000, .name = "a b", .transform = "identity"}};
  ASSERT_OK_AND_ASSIGN(const Bytes avro, EncodeManifest(header, {}, AvroCodec::kNull));
  for (const char* part : {"\"field-id\":134", "\"element-id\":133", "\"logicalType\":\"map\"", "\"name\":\"k117_v118\"",
                           "\"name\":\"a_x20b\"", "\"iceberg-field-name\":\"a b\"", "\"logicalType\":\"timestamp-micros\"",
                           "\"adjust-to-utc\":false", "format-version", "partition-spec-id", "schema-id", "content"})
    EXPECT_THAT(avro, ::testing::HasSubstr(part));
  ASSERT_OK_AND_ASSIGN(const Bytes again, EncodeManifest(header, {}, AvroCodec::kNull));
  EXPECT_EQ(avro, again) << "equal input gives equal bytes, sync marker included";
  ASSERT_OK_AND_ASSIGN(const Bytes list, EncodeManifestList({1, {}, 3}, {}, AvroCodec::kNull));
  for (const char* part : {"added_files_count", "\"element-id\":508", "\"field-id\":515", "parent-snapshot-id"})
    EXPECT_THAT(list, ::testing::HasSubstr(part));
}

TEST(Manifest, UnwritableEntriesAreRefused) {
  testing::Values values(1);
  ManifestHeader header;
  header.partition_spec.fields = {{.source_id = 9, .field_id = 1000, .name = "gone", .transform = "identity"}};
  EXPECT_THAT(EncodeManifest(header, {}), HasMessage("'gone' (identity of field 9)"));
  header.partition_spec.fields.clear();
  ManifestEntry entry{.data_file = {.file_path = "file:///a", .file_size_in_bytes = 5}};
  EXPECT_THAT(EncodeManifest(header, {&entry, 1}), IsOk());
  entry.data_file.content_offset = 4;
  EXPECT_THAT(EncodeManifest(header, {&entry, 1}), HasKind(ErrorKind::kUnsupported));
  entry = {.status = EntryStatus::kExisting, .data_file = {.file_path = "file:///a", .file_size_in_bytes = 5}};
  EXPECT_THAT(EncodeManifest(header, {&entry, 1}), HasMessage("'file:///a' in a manifest: it is not new"));
  entry = {.data_file = {.file_path = "file:///a"}};
  EXPECT_THAT(EncodeManifest(header, {&entry, 1}), HasMessage("its size is not known"));
  const ManifestFile unwritten{.manifest_path = "file:///m"};
  EXPECT_THAT(EncodeManifestList({}, {&unwritten, 1}), HasMessage("'file:///m' of 0 bytes"));
}

TEST(AvroNames, AreSanitized) {
  EXPECT_EQ(AvroName("plain_1"), "plain_1");
  EXPECT_EQ(AvroName("1st"), "_1st");
  EXPECT_EQ(AvroName("a b"), "a_x20b");
  EXPECT_EQ(AvroName("ä漢🧊"), "_xE4_x6F22_x1F9CA");
  EXPECT_EQ(AvroName("\n"), "_xA");
  EXPECT_EQ(AvroName(""), "_");
}

ManifestEntry Entry(EntryStatus status, int64_t rows, Literal partition) {
  ManifestEntry entry{.status = status};
  entry.data_file.record_count = rows;
  entry.data_file.partition = {std::move(partition)};
  return entry;
}

// The worked example of docs/formats/manifest.md.
TEST(ManifestList, LinesAreTheBytesOfTheirPage) {
  const ManifestFile line{.manifest_path = "m", .manifest_length = 9, .sequence_number = 1, .min_sequence_number = 1,
                          .added_snapshot_id = 2, .added_files_count = 1, .added_rows_count = 4};
  ASSERT_OK_AND_ASSIGN(const Bytes list, EncodeManifestList({2, {}, 1}, {&line, 1}, AvroCodec::kNull));
  const Bytes bytes("\x02m\x12\0\0\x02\x02\x04\x02\0\0\x08\0\0\x02\0\0", 17);
  EXPECT_EQ(list.substr(list.size() - 16 - bytes.size(), bytes.size()), bytes);
}

TEST(Summary, CountsRowsAndBoundsPartitions) {
  const ManifestHeader header{
      .schema = {.fields = {{.id = 1, .name = "x", .type = Type(TypeKind::kDouble)}}},
      .partition_spec = {.spec_id = 4,
                         .fields = {{.source_id = 1, .field_id = 1000, .name = "x", .transform = "identity"}}}};
  const std::vector<ManifestEntry> entries = {
      Entry(EntryStatus::kAdded, 5, 2.0), Entry(EntryStatus::kAdded, 1, std::nan("")),
      Entry(EntryStatus::kExisting, 7, -3.0), Entry(EntryStatus::kDeleted, 9, Literal())};
  ASSERT_OK_AND_ASSIGN(const ManifestFile line, Summarize(header, entries));
  EXPECT_EQ(line.partition_spec_id, 4);
  EXPECT_EQ(line.added_files_count, 2);
  EXPECT_EQ(line.added_rows_count, 6);
  EXPECT_EQ(line.existing_files_count, 1);
  EXPECT_EQ(line.existing_rows_count, 7);
  EXPECT_EQ(line.deleted_files_count, 1);
  EXPECT_EQ(line.deleted_rows_count, 9);
  ASSERT_EQ(line.partitions.size(), 1u);
  EXPECT_TRUE(line.partitions[0].contains_null);
  EXPECT_EQ(line.partitions[0].contains_nan, true);
  EXPECT_EQ(line.partitions[0].lower_bound, EncodeValue(-3.0, Type(TypeKind::kDouble)).value());
  EXPECT_EQ(line.partitions[0].upper_bound, EncodeValue(2.0, Type(TypeKind::kDouble)).value());
}

TEST(Inheritance, FillsWhatAddedEntriesLeaveOut) {
  const ManifestFile line{.sequence_number = 8, .added_snapshot_id = 77};
  std::vector<ManifestEntry> entries(2);
  entries[1].snapshot_id = 5;
  entries[1].sequence_number = 3;
  ASSERT_THAT(Inherit(line, entries), IsOk());
  EXPECT_EQ(entries[0].snapshot_id, 77);
  EXPECT_EQ(entries[0].sequence_number, 8);
  EXPECT_EQ(entries[1].snapshot_id, 5);
  EXPECT_EQ(entries[1].sequence_number, 3);
  EXPECT_EQ(entries[1].file_sequence_number, 8);

  entries = {ManifestEntry{.status = EntryStatus::kExisting, .snapshot_id = 5}};
  EXPECT_THAT(Inherit(line, entries), HasKind(ErrorKind::kCorruption));
  ASSERT_THAT(Inherit(ManifestFile{.added_snapshot_id = 5}, entries), IsOk()) << "format v1 has no sequence numbers";
  EXPECT_EQ(entries[0].sequence_number, 0);
}

TEST(Partitions, TransformsHaveTheirResultTypes) {
  const Schema schema{.fields = {{.id = 1, .name = "t", .type = Type(TypeKind::kTimestamp)}}};
  const auto type_of = [&](const char* transform) {
    return PartitionType({.source_id = 1, .field_id = 1000, .name = "p", .transform = transform}, schema).kind();
  };
  EXPECT_EQ(type_of("identity"), TypeKind::kTimestamp);
  EXPECT_EQ(type_of("void"), TypeKind::kTimestamp);
  EXPECT_EQ(type_of("truncate[4]"), TypeKind::kTimestamp);
  EXPECT_EQ(type_of("bucket[16]"), TypeKind::kInt);
  EXPECT_EQ(type_of("hour"), TypeKind::kInt);
  EXPECT_EQ(type_of("day"), TypeKind::kDate);
  EXPECT_EQ(type_of("zorder"), TypeKind::kOther);
}

}  // namespace
}  // namespace datashard::iceberg
