#include "catalog/directory_catalog.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "catalog/table_files.h"
#include "support/matchers.h"

namespace datashard::catalog {
namespace {

class DirectoryCatalogTest : public testing::Test {
 protected:
  std::shared_ptr<ObjectStore> store = OpenMemoryStore("t", SystemClock());
  MetricSums metrics;
  DirectoryCatalog catalog{store, Outside{SystemClock(), SystemRandom(), metrics, SilentLog()}};

  VersionPtr last;

  iceberg::TableMetadata Metadata(int64_t stamp) {
    iceberg::TableMetadata metadata;
    metadata.table_uuid = "7c3f4d7e-0000-4000-8000-000000000001";
    metadata.location = store->root_uri();
    metadata.last_updated_ms = stamp;
    metadata.schemas.push_back({.schema_id = 0, .fields = {{.id = 1, .name = "x", .type = Type(TypeKind::kLong)}}});
    metadata.last_column_id = 1;
    metadata.partition_specs.push_back({});
    metadata.sort_orders.push_back({});
    return metadata;
  }
  Result<Published> Publish(int64_t number, iceberg::TableMetadata metadata, const VersionPtr& base = nullptr) {
    const auto group = store->NewWriteGroup();
    DS_ASSIGN_OR_RETURN(const auto prepared, catalog.Prepare(number, std::move(metadata), *group));
    DS_RETURN_IF_ERROR(group->Sync());
    DS_ASSIGN_OR_RETURN(const Published published, catalog.Publish(prepared, base));
    if (published == Published::kWon) last = prepared.version;
    return published;
  }
  void Put(int64_t number) {
    ASSERT_OK_AND_ASSIGN(const Published outcome, Publish(number, Metadata(number), last));
    ASSERT_EQ(outcome, Published::kWon);
  }
  void Hint(std::string text) { ASSERT_THAT(store->Replace("metadata/version-hint.text", text), IsOk()); }
  int64_t Head() {
    auto loaded = catalog.Load();
    EXPECT_THAT(loaded, IsOk());
    return loaded.ok() ? (*loaded)->number : -1;
  }
};

TEST_F(DirectoryCatalogTest, AnEmptyDirectoryHoldsNoTable) {
  EXPECT_THAT(catalog.Load(), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(catalog.Load(), HasSubject(ErrorSubject::kTable));
}

TEST_F(DirectoryCatalogTest, ALegacyTableIsNamedAsSuch) {
  ASSERT_THAT(store->Replace("metadata.version-hint.text", "3"), IsOk());
  EXPECT_THAT(catalog.Load(), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(catalog.Load(), HasSubject(ErrorSubject::kLegacyLayout));
}

TEST_F(DirectoryCatalogTest, ANumberIsWonOnce) {
  Put(1);
  ASSERT_OK_AND_ASSIGN(const Published second, Publish(1, Metadata(99)));
  EXPECT_EQ(second, Published::kLost);
  EXPECT_EQ(Head(), 1);
}

TEST_F(DirectoryCatalogTest, TheHintMayLagLieOrBeMissing) {
  for (int64_t number = 1; number <= 70; ++number) Put(number);
  for (const char* hint : {"70", "1", "69\n", "900", "garbage", "", "-3", "0"}) {
    Hint(hint);
    EXPECT_EQ(Head(), 70) << "hint '" << hint << "'";
  }
  ASSERT_THAT(store->Delete("metadata/version-hint.text"), IsOk());
  EXPECT_EQ(Head(), 70);
}

TEST_F(DirectoryCatalogTest, AVersionBeyondAGapIsNeverFollowed) {
  for (int64_t number = 1; number <= 5; ++number) Put(number);
  Put(7);
  EXPECT_EQ(Head(), 5);
  Hint("4");
  EXPECT_EQ(Head(), 5);
}

TEST_F(DirectoryCatalogTest, AHintBeforeAGapThatAPowerFailureHasMadeDoesNotHideWhatFollows) {
  for (int64_t number = 1; number <= 7; ++number) {
    iceberg::TableMetadata metadata = Metadata(number);
    metadata.last_sequence_number = number;  // what follows the gap has all that precedes it, and more
    ASSERT_OK_AND_ASSIGN(const Published outcome, Publish(number, std::move(metadata), last));
    ASSERT_EQ(outcome, Published::kWon);
  }
  ASSERT_THAT(store->Delete(VersionKey(6)), IsOk());
  for (const char* hint : {"3", "5", "7"}) {
    Hint(hint);
    EXPECT_EQ(Head(), 7) << "hint " << hint;
  }
}

TEST_F(DirectoryCatalogTest, AVersionWithoutASnapshotOfItsOwnIsFollowedAcrossAGapToo) {
  for (int64_t number = 1; number <= 7; ++number) {
    iceberg::TableMetadata metadata = Metadata(number);
    metadata.last_sequence_number = 1;  // as where only properties change
    if (number > 1) metadata.metadata_log.push_back({.metadata_file = fmt::format("{}/{}", store->root_uri(), VersionKey(number - 1))});
    if (number > 2) metadata.metadata_log.push_back({.metadata_file = fmt::format("{}/{}", store->root_uri(), VersionKey(number - 2))});
    ASSERT_OK_AND_ASSIGN(const Published outcome, Publish(number, std::move(metadata), last));
    ASSERT_EQ(outcome, Published::kWon);
  }
  ASSERT_THAT(store->Delete(VersionKey(6)), IsOk());
  Hint("5");
  EXPECT_EQ(Head(), 7);
}

TEST_F(DirectoryCatalogTest, ARunWhoseStartWasRemovedIsFoundByItsEnd) {
  for (int64_t number = 1; number <= 8; ++number) Put(number);
  for (int64_t number = 1; number <= 5; ++number) ASSERT_THAT(store->Delete(VersionKey(number)), IsOk());
  EXPECT_EQ(Head(), 8);
}

TEST_F(DirectoryCatalogTest, RefreshFindsEveryLaterVersionAndNothingElse) {
  Put(1);
  ASSERT_OK_AND_ASSIGN(const VersionPtr first, catalog.Load());
  ASSERT_OK_AND_ASSIGN(const VersionPtr same, catalog.Refresh(first));
  EXPECT_EQ(same, first);
  for (int64_t number = 2; number <= 200; ++number) Put(number);
  ASSERT_OK_AND_ASSIGN(const VersionPtr newest, catalog.Refresh(first));
  EXPECT_EQ(newest->number, 200);
  EXPECT_EQ(newest->metadata.last_updated_ms, 200);
}

TEST_F(DirectoryCatalogTest, AReplacedTableIsNoticed) {
  Put(1);
  Put(2);
  ASSERT_OK_AND_ASSIGN(const VersionPtr known, catalog.Load());
  ASSERT_THAT(store->Delete(VersionKey(1)), IsOk());
  ASSERT_THAT(store->Delete(VersionKey(2)), IsOk());
  iceberg::TableMetadata other = Metadata(1);
  other.table_uuid = "7c3f4d7e-0000-4000-8000-000000000002";
  ASSERT_THAT(Publish(1, other), IsOk());
  EXPECT_THAT(catalog.Refresh(known), HasMessage("was replaced"));
}

TEST_F(DirectoryCatalogTest, TheOtherSpellingOfAVersionCounts) {
  Put(1);
  ASSERT_THAT(store->PutIfAbsent("metadata/v2.gz.metadata.json", "somebody's"), IsOk());
  ASSERT_OK_AND_ASSIGN(const Published outcome, Publish(2, Metadata(2)));
  EXPECT_EQ(outcome, Published::kLost);
}

TEST_F(DirectoryCatalogTest, AStaleChecksumOfHadoopIsRemovedBeforeThePublication) {
  ASSERT_THAT(store->Replace("metadata/.v1.metadata.json.crc", "stale"), IsOk());
  Put(1);
  EXPECT_THAT(store->Head("metadata/.v1.metadata.json.crc"), HasKind(ErrorKind::kNotFound));
}

TEST_F(DirectoryCatalogTest, CompressedMetadataIsNotWritten) {
  iceberg::TableMetadata metadata = Metadata(1);
  metadata.properties["write.metadata.compression-codec"] = "gzip";
  EXPECT_THAT(Publish(1, metadata), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(catalog.Load(), HasKind(ErrorKind::kNotFound));
}

TEST_F(DirectoryCatalogTest, TheHintEndsAtTheNewestVersion) {
  for (int64_t number = 1; number <= 3; ++number) Put(number);
  catalog.AdvanceHint(1);  // a slow writer
  EXPECT_EQ(*store->Get("metadata/version-hint.text"), "3");
}

TEST(KeyOf, NamesAreFollowedOnlyBelowTheRoot) {
  MetricSums metrics;
  const auto store = OpenMemoryStore("t", SystemClock());
  EXPECT_EQ(*KeyOf(*store, "", store->root_uri() + "/data/x"), "data/x");
  for (const std::string& uri : {store->root_uri() + "/../x", std::string("/etc/passwd"), std::string("s3://b/x")})
    EXPECT_THAT(KeyOf(*store, "", uri), HasKind(ErrorKind::kInvalidArgument)) << uri;
}

}  // namespace
}  // namespace datashard::catalog
