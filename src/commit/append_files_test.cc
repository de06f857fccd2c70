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
const PlanIds kIds{.snapshot_id = 42, .commit_uuid = "u", .attempt = 1, .now = kNow, .root_uri = "memory://t"};

TEST(AppendFiles, PlansOneSnapshotWithAllFiles) {
  const AppendFiles change({File("a", 3), File("b", 4)}, Columns(1, "x"));
  ASSERT_OK_AND_ASSIGN(const CommitPlan plan, change.Plan(BaseOf(Columns(1, "x"), kNow), kIds));
  ASSERT_EQ(plan.next.snapshots.size(), 1u);
  const Snapshot& snapshot = *plan.next.snapshots[0];
  EXPECT_EQ(snapshot.snapshot_id, 42);
  EXPECT_EQ(snapshot.sequence_number, 1);
  EXPECT_EQ(snapshot.operation(), "append");
  EXPECT_EQ(plan.next.current_snapshot_id, 42);
  EXPECT_EQ(plan.next.refs.at("main").snapshot_id, 42);
  ASSERT_EQ(plan.files.size(), 2u);
  ASSERT_OK_AND_ASSIGN(const auto lines, iceberg::DecodeManifestList(plan.files[1].body, "list"));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].added_files_count, 2);
  EXPECT_EQ(lines[0].added_rows_count, 7);
  EXPECT_EQ(lines[0].manifest_path, "memory://t/" + plan.files[0].key);
}

TEST(AppendFiles, SameBaseAndIdsGiveTheSamePlan) {
  const AppendFiles change({File("a", 3)}, Columns(1, "x"));
  const Base base = BaseOf(Columns(1, "x"), kNow);
  ASSERT_OK_AND_ASSIGN(const CommitPlan once, change.Plan(base, kIds));
  ASSERT_OK_AND_ASSIGN(const CommitPlan again, change.Plan(base, kIds));
  ASSERT_EQ(once.files.size(), again.files.size());
  for (size_t i = 0; i < once.files.size(); ++i) {
    EXPECT_EQ(once.files[i].key, again.files[i].key);
    EXPECT_EQ(once.files[i].body, again.files[i].body);
  }
}

TEST(AppendFiles, ASecondAttemptKeepsTheManifestAndRenamesTheList) {
  const AppendFiles change({File("a", 3)}, Columns(1, "x"));
  const Base base = BaseOf(Columns(1, "x"), kNow);
  PlanIds second = kIds;
  second.attempt = 2;
  ASSERT_OK_AND_ASSIGN(const CommitPlan once, change.Plan(base, kIds));
  ASSERT_OK_AND_ASSIGN(const CommitPlan again, change.Plan(base, second));
  EXPECT_EQ(once.files[0].key, again.files[0].key);
  EXPECT_EQ(once.files[0].body, again.files[0].body);
  EXPECT_NE(once.files[1].key, again.files[1].key);
  EXPECT_FALSE(once.files[0].bound_to_base);
  EXPECT_TRUE(once.files[1].bound_to_base);
}

TEST(AppendFiles, ASchemalessTableAdoptsTheSchemaInTheSameVersion) {
  const AppendFiles change({File("a", 3)}, Columns(5, "x"));
  ASSERT_OK_AND_ASSIGN(const CommitPlan plan, change.Plan(BaseOf(std::nullopt, kNow), kIds));
  EXPECT_FALSE(IsSchemaless(plan.next));
  EXPECT_EQ(plan.next.current_schema().fields[0].name, "x");
  EXPECT_EQ(plan.next.current_schema_id, 5);
  EXPECT_EQ(plan.next.schemas.size(), 1u);
  EXPECT_EQ(plan.next.last_column_id, 1);
  EXPECT_TRUE(plan.next.properties.contains("schema.name-mapping.default"));
}

TEST(AppendFiles, TheLoserOfTwoFirstSchemasCommitsNothing) {
  const AppendFiles change({File("a", 3)}, Columns(1, "y"));
  const auto plan = change.Plan(BaseOf(Columns(1, "x"), kNow), kIds);
  EXPECT_THAT(plan, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(plan, HasSubject(ErrorSubject::kSchema));
  EXPECT_THAT(plan, HasMessage("Nothing was committed"));
}

TEST(AppendFiles, TimeNeverRunsBackwardsAlongTheVersions) {
  const Base base = BaseOf(Columns(1, "x"), kNow + std::chrono::seconds(30));
  const AppendFiles change({File("a", 3)}, Columns(1, "x"));
  ASSERT_OK_AND_ASSIGN(const CommitPlan plan, change.Plan(base, kIds));
  EXPECT_EQ(plan.next.last_updated_ms, base.metadata().last_updated_ms);
  EXPECT_EQ(plan.next.snapshots[0]->timestamp_ms, base.metadata().last_updated_ms);
}

TEST(AppendFiles, APartitionedTableIsRefused) {
  Base base = BaseOf(Columns(1, "x"), kNow);
  auto version = std::make_shared<catalog::Version>(*base.version);
  version->metadata.partition_specs[0].fields.push_back(
      {.source_id = 1, .field_id = 1000, .name = "x", .transform = "identity"});
  base.version = version;
  const AppendFiles change({File("a", 3)}, Columns(1, "x"));
  EXPECT_THAT(change.Plan(base, kIds), HasKind(ErrorKind::kUnsupported));
}

TEST(AppendFiles, TheMetadataLogIsBounded) {
  Base base = BaseOf(Columns(1, "x"), kNow);
  const AppendFiles change({File("a", 1)}, Columns(1, "x"));
  for (int i = 0; i < 150; ++i) {
    PlanIds ids = kIds;
    ids.snapshot_id = 1000 + i;
    ASSERT_OK_AND_ASSIGN(CommitPlan plan, change.Plan(base, ids));
    auto version = std::make_shared<catalog::Version>();
    version->number = base.version->number + 1;
    version->key = catalog::VersionKey(version->number);
    version->metadata = std::move(plan.next);
    base.version = version;
  }
  EXPECT_EQ(base.metadata().metadata_log.size(), 100u);
  EXPECT_EQ(base.metadata().metadata_log.back().metadata_file, "memory://t/metadata/v150.metadata.json");
  EXPECT_EQ(base.metadata().snapshots.size(), 150u);
}

}  // namespace
}  // namespace datashard::commit
