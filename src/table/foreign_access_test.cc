// Invariants: what other engines are told are the files of one snapshot, where they lie now; a table in a directory has no secret.
#include <gtest/gtest.h>

#include <filesystem>

#include "datashard/table.h"
#include "storage/temporary_directory.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"
#include "table/maintenance_test_support.h"

namespace datashard {
namespace {

namespace fs = std::filesystem;

class ForeignAccess : public testing::Test {
 protected:
  void SetUp() override {
    auto created = Table::Create(path, {.schema = IdAndText()});
    ASSERT_THAT(created, IsOk());
    table = std::move(created).value();
  }
  int64_t Append(const std::vector<int64_t>& ids) {
    const auto appended = table->Append(RowsWithIds(ids));
    EXPECT_THAT(appended, IsOk());
    return (*appended)->snapshot_id;
  }

  TemporaryDirectory directory;
  const std::string path = directory.path() + "/a b";
  std::unique_ptr<Table> table;
};

TEST_F(ForeignAccess, DataFilesAreThoseOfTheSnapshotInTheOrderOfCommits) {
  EXPECT_EQ(*table->DataFilePaths(), std::vector<std::string>());
  const int64_t first = Append({1});
  Append({2});
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> all, table->DataFilePaths());
  ASSERT_EQ(all.size(), 2u);
  for (const std::string& file : all) {
    EXPECT_TRUE(file.starts_with(path + "/data/")) << file;
    EXPECT_TRUE(fs::is_regular_file(file)) << file;
  }
  EXPECT_EQ(*table->DataFilePaths(first), std::vector<std::string>{all[0]});
  const auto unknown = table->DataFilePaths(first + 1);
  EXPECT_THAT(unknown, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(unknown, HasSubject(ErrorSubject::kSnapshot));
}

TEST_F(ForeignAccess, TheMetadataFileIsThatOfTheNewestVersion) {
  EXPECT_EQ(*table->MetadataPath(), path + "/metadata/v1.metadata.json");
  Append({1});
  EXPECT_EQ(*table->MetadataPath(), path + "/metadata/v2.metadata.json");
  EXPECT_TRUE(fs::is_regular_file(*table->MetadataPath()));
}

TEST_F(ForeignAccess, FilesOfAMovedTableAreWhereItLiesNow) {
  Append({1});
  const std::string moved = directory.path() + "/moved";
  fs::rename(path, moved);
  ASSERT_OK_AND_ASSIGN(table, Table::Open(moved));
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> files, table->DataFilePaths());
  EXPECT_TRUE(fs::is_regular_file(files.at(0))) << files[0];
  EXPECT_TRUE(files[0].starts_with(moved + "/data/"));
  EXPECT_TRUE(table->MetadataPath()->starts_with(moved + "/metadata/"));
}

TEST_F(ForeignAccess, ATableInADirectoryHasNoSecret) {
  const Result<std::string> refused = table->DuckDbSecretSql();
  EXPECT_THAT(refused, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(refused, HasMessage(path));
}

TEST_F(TestTable, FilesOfARemoteStoreAreUris) {
  Append(1);
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> files, table->DataFilePaths());
  ASSERT_EQ(files.size(), 1u);
  EXPECT_TRUE(files[0].starts_with("memory://t/data/")) << files[0];
}

}  // namespace
}  // namespace datashard
