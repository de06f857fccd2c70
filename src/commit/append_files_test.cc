#include "commit/append_files.h"

#include <gtest/gtest.h>

#include "iceberg/manifest.h"
#include "support/matchers.h"

namespace datashard::commit {
namespace {

Schema Columns(int32_t schema_id, std::string name) {
  return {.schema_id = schema_id, .fields = {{.id = 1, .name = std::move(name), .type = Type(TypeKind::kLong)}}};
}

DataFile File(std::string name, int64_t rows) {
  return {.file_path = "memory://t/data/" + name, .record_count = rows, .file_size_in_bytes = 100};
}

Base BaseOf(const std::optional<Schema>& schema, Instant now) {
  auto version = std::make_shared<catalog::Version>();
  version->number = 1;
  version->key = catalog::VersionKey(1);
  version->metadata = FirstVersion("7c3f4d7e-0000-4000-8000-000000000001", "memory://t", schema, {}, now);
  return {.version = std::move(version)};
}

const Instant kNow = Instant(std::chrono::seconds(1'700'000'000));
const ChangeIds kIds{.snapshot_id = 42, .commit_uuid = "u"};

Draft DraftOn(const Base& base, int64_t attempt = 1) {
  return {.version = base.version->number + 1,
          .attempt = attempt,
          .root_uri = "memory://t",
          .now = kNow,
          .metadata = base.metadata(),
          .manifests = base.manifests};
}

/// The draft with `files` appended to `base`.
Result<Draft> Append(std::vector<DataFile> files, Schema schema, const Base& base, int64_t attempt = 1) {
  Draft draft = DraftOn(base, attempt);
  AppendFiles change({std::move(files)}, std::move(schema), kIds);
  DS_RETURN_IF_ERROR(change.Apply(draft));
  return draft;
}

TEST(AppendFiles, PlansOneSnapshotWithAllFiles) {
  ASSERT_OK_AND_ASSIGN(const Draft plan, Append({File("a", 3), File("b", 4)}, Columns(1, "x"), BaseOf(Columns(1, "x"), kNow)));
  EXPECT_TRUE(plan.changed);
  ASSERT_EQ(plan.metadata.snapshots.size(), 1u);
  const Snapshot& snapshot = *plan.metadata.snapshots[0];
  EXPECT_EQ(snapshot.snapshot_id, 42);
  EXPECT_EQ(snapshot.sequence_number, 1);
  EXPECT_EQ(snapshot.operation(), "append");
  EXPECT_EQ(plan.metadata.current_snapshot_id, 42);
  EXPECT_EQ(plan.metadata.refs.at("main").snapshot_id, 42);
  ASSERT_EQ(plan.files.size(), 2u);
  ASSERT_OK_AND_ASSIGN(const auto lines, iceberg::DecodeManifestList(plan.files[1].body, "list"));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].added_files_count, 2);
  EXPECT_EQ(lines[0].added_rows_count, 7);
  EXPECT_EQ(lines[0].manifest_path, "memory://t/" + plan.files[0].key);
}

TEST(AppendFiles, SameBaseAndIdsGiveTheSamePlan) {
  const Base base = BaseOf(Columns(1, "x"), kNow);
  ASSERT_OK_AND_ASSIGN(const Draft once, Append({File("a", 3)}, Columns(1, "x"), base));
  ASSERT_OK_AND_ASSIGN(const Draft again, Append({File("a", 3)}, Columns(1, "x"), base));
  ASSERT_EQ(once.files.size(), again.files.size());
  for (size_t i = 0; i < once.files.size(); ++i) {
    EXPECT_EQ(once.files[i].key, again.files[i].key);
    EXPECT_EQ(once.files[i].body, again.files[i].body);
  }
}

TEST(AppendFiles, ASecondAttemptKeepsTheManifestAndRenamesTheList) {
  const Base base = BaseOf(Columns(1, "x"), kNow);
  ASSERT_OK_AND_ASSIGN(const Draft once, Append({File("a", 3)}, Columns(1, "x"), base, 1));
  ASSERT_OK_AND_ASSIGN(const Draft again, Append({File("a", 3)}, Columns(1, "x"), base, 2));
  EXPECT_EQ(once.files[0].key, again.files[0].key);
  EXPECT_EQ(once.files[0].body, again.files[0].body);
  EXPECT_NE(once.files[1].key, again.files[1].key);
  EXPECT_FALSE(once.files[0].bound_to_base);
  EXPECT_TRUE(once.files[1].bound_to_base);
}

TEST(AppendFiles, ASchemalessTableAdoptsTheSchemaInTheSameVersion) {
  ASSERT_OK_AND_ASSIGN(const Draft plan, Append({File("a", 3)}, Columns(5, "x"), BaseOf(std::nullopt, kNow)));
  EXPECT_FALSE(IsSchemaless(plan.metadata));
  EXPECT_EQ(plan.metadata.current_schema().fields[0].name, "x");
  EXPECT_EQ(plan.metadata.current_schema_id, 5);
  EXPECT_EQ(plan.metadata.schemas.size(), 1u);
  EXPECT_EQ(plan.metadata.last_column_id, 1);
  EXPECT_TRUE(plan.metadata.properties.contains("schema.name-mapping.default"));
}

TEST(AppendFiles, TheLoserOfTwoFirstSchemasCommitsNothing) {
  const auto plan = Append({File("a", 3)}, Columns(1, "y"), BaseOf(Columns(1, "x"), kNow));
  EXPECT_THAT(plan, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(plan, HasSubject(ErrorSubject::kSchema));
  EXPECT_THAT(plan, HasMessage("Nothing was committed"));
}

TEST(AppendFiles, TimeNeverRunsBackwardsAlongTheVersions) {
  const Base base = BaseOf(Columns(1, "x"), kNow + std::chrono::seconds(30));
  ASSERT_OK_AND_ASSIGN(const Draft plan, Append({File("a", 3)}, Columns(1, "x"), base));
  EXPECT_EQ(plan.metadata.last_updated_ms, base.metadata().last_updated_ms);
  EXPECT_EQ(plan.metadata.snapshots[0]->timestamp_ms, base.metadata().last_updated_ms);
}

TEST(AppendFiles, APartitionedTableIsRefused) {
  Base base = BaseOf(Columns(1, "x"), kNow);
  auto version = std::make_shared<catalog::Version>();
  version->number = base.version->number;
  version->metadata = base.metadata();
  version->metadata.partition_specs[0].fields.push_back(
      {.source_id = 1, .field_id = 1000, .name = "x", .transform = "identity"});
  base.version = version;
  EXPECT_THAT(Append({File("a", 3)}, Columns(1, "x"), base), HasKind(ErrorKind::kUnsupported));
}

TEST(AppendFiles, TwoChangesInOneVersionGiveTwoSnapshots) {
  Draft draft = DraftOn(BaseOf(Columns(1, "x"), kNow));
  AppendFiles first({std::vector{File("a", 3)}}, Columns(1, "x"), {.snapshot_id = 1, .commit_uuid = "u"});
  AppendFiles second({std::vector{File("b", 4)}}, Columns(1, "x"), {.snapshot_id = 2, .commit_uuid = "v"});
  ASSERT_THAT(first.Apply(draft), IsOk());
  ASSERT_THAT(second.Apply(draft), IsOk());
  ASSERT_EQ(draft.metadata.snapshots.size(), 2u);
  EXPECT_EQ(draft.metadata.snapshots[1]->parent_snapshot_id, 1);
  EXPECT_EQ(draft.metadata.snapshots[1]->sequence_number, 2);
  EXPECT_EQ(draft.metadata.last_sequence_number, 2);
  EXPECT_EQ(draft.metadata.current_snapshot_id, 2);
  ASSERT_EQ(draft.files.size(), 4u);
  ASSERT_OK_AND_ASSIGN(const auto lines_of_first, iceberg::DecodeManifestList(draft.files[1].body, "list"));
  ASSERT_OK_AND_ASSIGN(const auto lines_of_second, iceberg::DecodeManifestList(draft.files[3].body, "list"));
  EXPECT_EQ(lines_of_first.size(), 1u);
  ASSERT_EQ(lines_of_second.size(), 2u);
  EXPECT_EQ(lines_of_second[0].sequence_number, 1);
  EXPECT_EQ(lines_of_second[1].sequence_number, 2);
}

TEST(AppendFiles, ManifestsOfTheSameVersionAreNotReadForMerging) {
  // Twenty snapshots in one version: far more than the eight manifests that are merged; none of them is written yet.
  Draft draft = DraftOn(BaseOf(Columns(1, "x"), kNow));
  draft.read_manifest = [](const ManifestFile& manifest) -> Result<std::vector<ManifestEntry>> {
    return Error(ErrorKind::kCorruption, manifest.manifest_path + " is missing");
  };
  for (int64_t i = 1; i <= 20; ++i) {
    AppendFiles change({std::vector{File("a" + std::to_string(i), 1)}}, Columns(1, "x"),
                       {.snapshot_id = i, .commit_uuid = "u" + std::to_string(i)});
    ASSERT_THAT(change.Apply(draft), IsOk());
  }
  EXPECT_EQ(draft.metadata.snapshots.size(), 20u);
  EXPECT_EQ(draft.manifests.size(), 20u);
}

TEST(AppendFiles, AManifestOfAnotherProcessBecomesALineOfTheSnapshot) {
  const Base base = BaseOf(Columns(1, "x"), kNow);
  ASSERT_OK_AND_ASSIGN(const MadeManifest made, MakeManifest({File("a", 3)}, Columns(1, "x"), {.spec_id = 0}, "memory://t",
                                                             "metadata/m/0/theirs.avro", std::nullopt));
  Draft draft = DraftOn(base);
  AppendFiles change({made.written, std::vector{File("b", 4)}}, Columns(1, "x"), kIds);
  ASSERT_THAT(change.Apply(draft), IsOk());
  ASSERT_EQ(draft.files.size(), 2u) << "their manifest is written already";
  ASSERT_OK_AND_ASSIGN(const auto lines, iceberg::DecodeManifestList(draft.files[1].body, "list"));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].manifest_path, "memory://t/metadata/m/0/theirs.avro");
  EXPECT_EQ(lines[0].added_snapshot_id, 42);
  EXPECT_EQ(lines[0].added_rows_count, 3);
  // What its entries leave open they inherit.
  ASSERT_OK_AND_ASSIGN(auto decoded, iceberg::DecodeManifest(made.file.body, Columns(1, "x"), {.spec_id = 0}, "theirs"));
  EXPECT_EQ(decoded.entries[0].snapshot_id, std::nullopt);
  ASSERT_THAT(iceberg::Inherit(lines[0], decoded.entries), IsOk());
  EXPECT_EQ(decoded.entries[0].snapshot_id, 42);
  EXPECT_EQ(decoded.entries[0].sequence_number, 1);
}

}  // namespace
}  // namespace datashard::commit
