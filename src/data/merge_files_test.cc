// Several files as one: rows in order, the schema of today, or nothing at all.
#include "data/merge_files.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "sim/sim_clock.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"

namespace datashard::data {
namespace {

Status GoOn() { return {}; }

class MergeDataFilesTest : public testing::Test {
 protected:
  ScanFile Write(const std::vector<int64_t>& ids) {
    const std::string key = "data/" + std::to_string(files++) + ".parquet";
    auto file = WriteDataFile(std::move(ConformRows(RowsWithIds(ids), IdAndText())).value(), IdAndText(), *group, key, "memory://t/" + key);
    EXPECT_THAT(file, IsOk());
    return {.key = key, .file = **file};
  }
  Result<DataFile> Merge(std::vector<ScanFile> inputs, const Schema& schema, std::function<Status()> go_on = GoOn) {
    return MergeDataFiles(store, {.files = std::move(inputs), .schema = schema, .key = "data/m.parquet", .uri = "memory://t/data/m.parquet"},
                          *group, std::move(go_on));
  }
  /// All columns of the merged file, as text.
  std::string Read(const DataFile& file, const Schema& schema) {
    ReadPlan plan{.schema = schema, .files = {{.key = "data/m.parquet", .file = file}}};
    for (const Field& field : schema.fields) plan.column_ids.push_back(field.id);
    auto stream = ReadDataFiles(store, std::move(plan));
    EXPECT_THAT(stream, IsOk());
    auto table = (*arrow::ImportRecordBatchReader(stream->get()))->ToTable();
    EXPECT_TRUE(table.ok()) << table.status().ToString();
    return (*(*table)->CombineChunks())->ToString();
  }

  sim::SimClock clock;
  std::shared_ptr<ObjectStore> store = OpenMemoryStore("t", clock);
  std::unique_ptr<WriteGroup> group = store->NewWriteGroup();
  int files = 0;
};

TEST_F(MergeDataFilesTest, RowsFollowOneAnotherAndTheMetricsAreThoseOfAll) {
  ASSERT_OK_AND_ASSIGN(const DataFile merged, Merge({Write({5, 3}), Write({9}), Write({1, 2, 4})}, IdAndText()));
  EXPECT_EQ(merged.record_count, 6);
  EXPECT_EQ(merged.file_path, "memory://t/data/m.parquet");
  EXPECT_EQ(merged.value_counts.at(1), 6);
  EXPECT_EQ(merged.lower_bounds.at(1)[0], 1);
  EXPECT_EQ(merged.upper_bounds.at(1)[0], 9);
  EXPECT_EQ(merged.file_size_in_bytes, store->Head("data/m.parquet")->size_bytes);
  ReadPlan plan{.schema = IdAndText(), .column_ids = {1}, .files = {{.key = "data/m.parquet", .file = merged}}};
  ASSERT_OK_AND_ASSIGN(ArrowStream stream, ReadDataFiles(store, std::move(plan)));
  EXPECT_EQ(*IdsOf(std::move(stream)), (std::vector<int64_t>{5, 3, 9, 1, 2, 4}));
}

TEST_F(MergeDataFilesTest, FilesOfAnEarlierSchemaAreBroughtToTheNewOneByFieldId) {
  Schema now = IdAndText();
  now.fields[1].name = "renamed";
  now.fields.push_back({.id = 3, .name = "added", .type = Type(TypeKind::kDouble)});
  ASSERT_OK_AND_ASSIGN(const DataFile merged, Merge({Write({1}), Write({2})}, now));
  const std::string read = Read(merged, now);
  EXPECT_THAT(read, testing::HasSubstr("row 2"));
  EXPECT_EQ(merged.null_value_counts.at(3), 2);

  now.fields.erase(now.fields.begin() + 1);
  group = store->NewWriteGroup();
  ASSERT_THAT(store->Delete("data/m.parquet"), IsOk());
  ASSERT_OK_AND_ASSIGN(const DataFile without, Merge({Write({3}), Write({4})}, now));
  EXPECT_FALSE(without.value_counts.contains(2));
}

TEST_F(MergeDataFilesTest, WhatCannotBeReadInFullMakesNoFile) {
  Schema required = IdAndText();
  required.fields.push_back({.id = 3, .name = "added", .type = Type(TypeKind::kDouble), .required = true});
  EXPECT_THAT(Merge({Write({1}), Write({2})}, required), HasKind(ErrorKind::kCorruption));

  ScanFile promises_more = Write({1, 2});
  promises_more.file.record_count = 3;
  EXPECT_THAT(Merge({Write({1}), promises_more}, IdAndText()), HasKind(ErrorKind::kCorruption));

  ScanFile missing = Write({1});
  ASSERT_THAT(store->Delete(missing.key), IsOk());
  EXPECT_THAT(Merge({Write({1}), missing}, IdAndText()), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(store->Head("data/m.parquet"), HasKind(ErrorKind::kNotFound));
}

TEST_F(MergeDataFilesTest, ItEndsBetweenTwoFilesWhenItIsTold) {
  int asked = 0;
  const auto stopped = Merge({Write({1}), Write({2}), Write({3})}, IdAndText(), [&]() -> Status {
    return ++asked < 3 ? Status() : Status(Conflict("enough"));
  });
  EXPECT_THAT(stopped, HasMessage("enough"));
  EXPECT_EQ(asked, 3);
  EXPECT_THAT(store->Head("data/m.parquet"), HasKind(ErrorKind::kNotFound));
}

}  // namespace
}  // namespace datashard::data
