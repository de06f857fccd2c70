#include "datashard/table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "support/arrow_rows.h"
#include "support/matchers.h"
#include "table/table_impl.h"

namespace datashard {
namespace {

namespace fs = std::filesystem;

class TableTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string form = (fs::temp_directory_path() / "datashard-table-XXXXXX").string();
    ASSERT_NE(mkdtemp(form.data()), nullptr);
    root = form;
    path = (root / "t").string();
  }
  void TearDown() override { fs::remove_all(root); }

  std::unique_ptr<Table> New() {
    auto table = Table::Create(path, {.schema = IdAndText()});
    EXPECT_THAT(table, IsOk());
    return std::move(table).value();
  }
  static void Append(Table& table, const std::vector<int64_t>& ids) {
    ASSERT_THAT(table.Append(RowsWithIds(ids)), IsOk());
  }
  static std::vector<int64_t> Scan(const Table& table, ScanOptions options = {}) {
    auto stream = table.Scan(std::move(options));
    EXPECT_THAT(stream, IsOk());
    auto ids = IdsOf(std::move(stream).value());
    EXPECT_THAT(ids, IsOk());
    return ids.ok() ? *ids : std::vector<int64_t>();
  }
  std::vector<fs::path> Files(const std::string& below) const {
    std::vector<fs::path> files;
    if (!fs::exists(root / "t" / below)) return files;
    for (const auto& entry : fs::recursive_directory_iterator(root / "t" / below))
      if (entry.is_regular_file()) files.push_back(entry.path());
    return files;
  }

  fs::path root;
  std::string path;
};

TEST_F(TableTest, AppendedRowsComeBackInCommitOrder) {
  const auto table = New();
  EXPECT_TRUE(table->created());
  Append(*table, {3, 1});
  Append(*table, {2});
  EXPECT_EQ(Scan(*table), (std::vector<int64_t>{3, 1, 2}));
  EXPECT_EQ(*table->row_count(), 3);
  EXPECT_EQ(*table->version(), 3);
}

TEST_F(TableTest, AnEmptyTableHasNoSnapshotAndNoRows) {
  const auto table = New();
  EXPECT_EQ(*table->current_snapshot(), std::nullopt);
  EXPECT_EQ(*table->row_count(), 0);
  EXPECT_TRUE(Scan(*table).empty());
}

TEST_F(TableTest, AppendingNoRowsPublishesNothing) {
  const auto table = New();
  ASSERT_OK_AND_ASSIGN(const std::optional<CommittedSnapshot> snapshot, table->Append(RowsWithIds({})));
  EXPECT_EQ(snapshot, std::nullopt);
  EXPECT_EQ(*table->version(), 1);
  EXPECT_TRUE(Files("data").empty());
}

TEST_F(TableTest, TwoHandlesSeeEachOther) {
  const auto one = New();
  ASSERT_OK_AND_ASSIGN(const auto two, Table::Open(path));
  Append(*one, {1});
  Append(*two, {2});
  Append(*one, {3});
  EXPECT_EQ(Scan(*two), (std::vector<int64_t>{1, 2, 3}));
}

TEST_F(TableTest, EverySnapshotStaysReadable) {
  const auto table = New();
  std::vector<CommittedSnapshot> taken;
  for (int64_t id = 1; id <= 5; ++id) {
    ASSERT_OK_AND_ASSIGN(const auto snapshot, table->Append(RowsWithIds({id})));
    taken.push_back(*snapshot);
  }
  for (size_t i = 0; i < taken.size(); ++i) {
    EXPECT_EQ(Scan(*table, {.snapshot_id = taken[i].snapshot_id}).size(), i + 1);
    EXPECT_EQ(*table->row_count(taken[i].snapshot_id), static_cast<int64_t>(i) + 1);
  }
  EXPECT_THAT(table->Scan({.snapshot_id = 12345}), HasSubject(ErrorSubject::kSnapshot));
  EXPECT_EQ(*table->snapshot_by_id(12345), std::nullopt);
  ASSERT_OK_AND_ASSIGN(const auto listed, table->snapshots());
  ASSERT_EQ(listed.size(), taken.size());
  for (size_t i = 0; i < taken.size(); ++i) {
    EXPECT_EQ(taken[i], (CommittedSnapshot{.version = static_cast<int64_t>(i) + 2,
                                           .snapshot_id = listed[i].snapshot_id,
                                           .sequence_number = listed[i].sequence_number,
                                           .timestamp_ms = listed[i].timestamp_ms}));
  }
}

TEST_F(TableTest, AMomentFindsTheSnapshotThatWasCurrent) {
  const auto table = New();
  Append(*table, {1});
  ASSERT_OK_AND_ASSIGN(const auto first, table->current_snapshot());
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  Append(*table, {2});
  ASSERT_OK_AND_ASSIGN(const auto second, table->current_snapshot());
  EXPECT_EQ(*table->snapshot_as_of(first->timestamp_ms - 1), std::nullopt);
  EXPECT_EQ((*table->snapshot_as_of(first->timestamp_ms))->snapshot_id, first->snapshot_id);
  EXPECT_EQ((*table->snapshot_as_of(second->timestamp_ms - 1))->snapshot_id, first->snapshot_id);
  EXPECT_EQ((*table->snapshot_as_of(second->timestamp_ms + 1'000'000))->snapshot_id, second->snapshot_id);
}

TEST_F(TableTest, ColumnsAndFiltersAreChecked) {
  const auto table = New();
  Append(*table, {1, 2, 3});
  EXPECT_THAT(table->Scan({.columns = {{"nope"}}}), HasSubject(ErrorSubject::kColumn));
  EXPECT_THAT(table->Scan({.columns = {{"id", "id"}}}), HasSubject(ErrorSubject::kColumn));
  EXPECT_THAT(table->Scan({.filter = {{{.column = "nope", .values = {int64_t{1}}}}}}), HasSubject(ErrorSubject::kColumn));
  EXPECT_THAT(table->Scan({.filter = {{{.column = "id", .values = {std::string("x")}}}}}), HasSubject(ErrorSubject::kOperand));
  EXPECT_EQ(Scan(*table, {.filter = {{{.column = "id", .op = FilterOp::kGe, .values = {int64_t{2}}}}}}),
            (std::vector<int64_t>{2, 3}));
}

TEST_F(TableTest, ATransactionIsOneSnapshotOrNothing) {
  const auto table = New();
  const auto transaction = table->NewTransaction();
  EXPECT_THAT(transaction->Append(RowsWithIds({1})), HasKind(ErrorKind::kInvalidArgument));
  transaction->Begin();
  ASSERT_THAT(transaction->Append(RowsWithIds({1, 2})), IsOk());
  ASSERT_THAT(transaction->Append(RowsWithIds({3})), IsOk());
  EXPECT_TRUE(Scan(*table).empty());
  ASSERT_THAT(transaction->Commit(), IsOk());
  EXPECT_FALSE(transaction->is_active());
  EXPECT_EQ(Scan(*table), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(table->snapshots()->size(), 1u);

  transaction->Begin();
  ASSERT_THAT(transaction->Append(RowsWithIds({4})), IsOk());
  EXPECT_EQ(Files("data").size(), 3u);
  EXPECT_TRUE(transaction->Rollback());
  EXPECT_FALSE(transaction->Rollback());
  EXPECT_EQ(Files("data").size(), 2u);
  EXPECT_EQ(table->snapshots()->size(), 1u);
}

TEST_F(TableTest, ATransactionDroppedByAccidentLeavesNothing) {
  const auto table = New();
  {
    const auto transaction = table->NewTransaction();
    transaction->Begin();
    ASSERT_THAT(transaction->Append(RowsWithIds({1})), IsOk());
  }
  EXPECT_TRUE(Files("data").empty());
  EXPECT_TRUE(Scan(*table).empty());
}

TEST_F(TableTest, CreateOpensTheSameTableAndRefusesAnother) {
  New();
  ASSERT_OK_AND_ASSIGN(const auto again, Table::Create(path, {.schema = IdAndText()}));
  EXPECT_FALSE(again->created());
  EXPECT_THAT(Table::Create(path, {}), IsOk());
  Schema other = IdAndText();
  other.fields[1].type = Type(TypeKind::kLong);
  EXPECT_THAT(Table::Create(path, {.schema = other}), HasSubject(ErrorSubject::kSchema));
  EXPECT_THAT(Table::Create(path, {.schema = other}), HasKind(ErrorKind::kAlreadyExists));
  EXPECT_THAT(Table::Create(path, {.open_existing = false}), HasSubject(ErrorSubject::kTable));
}

TEST_F(TableTest, OpeningNothingCreatesNothing) {
  EXPECT_THAT(Table::Open(path), HasKind(ErrorKind::kNotFound));
  EXPECT_FALSE(fs::exists(path));
  fs::create_directory(path);
  EXPECT_THAT(Table::Open(path), HasSubject(ErrorSubject::kTable));
  EXPECT_TRUE(fs::is_empty(path));
}

TEST_F(TableTest, ABadSchemaIsRefusedBeforeADirectoryIsMade) {
  Schema schema = IdAndText();
  schema.fields[1].name = "id";
  EXPECT_THAT(Table::Create(path, {.schema = schema}), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(TableTest, ASchemalessTableTakesItsFirstRowsColumns) {
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Create(path));
  EXPECT_EQ(*table->schema(), std::nullopt);
  Append(*table, {1});
  ASSERT_OK_AND_ASSIGN(const std::optional<Schema> schema, table->schema());
  ASSERT_TRUE(schema.has_value());
  EXPECT_EQ(schema->fields[0].name, "id");
  EXPECT_EQ(Scan(*table), (std::vector<int64_t>{1}));
}

TEST_F(TableTest, RacingFirstSchemasHaveOneWinner) {
  ASSERT_OK_AND_ASSIGN(const auto one, Table::Create(path));
  ASSERT_OK_AND_ASSIGN(const auto two, Table::Open(path));
  const auto transaction = one->NewTransaction();
  transaction->Begin();
  ASSERT_THAT(transaction->Append(RowsWithIds({1})), IsOk());
  Schema other{.schema_id = 1, .fields = {{.id = 1, .name = "id", .type = Type(TypeKind::kLong)}}};
  auto only_id = arrow::RecordBatch::Make(arrow::schema({arrow::field("id", arrow::int64())}), 1,
                                          {*arrow::MakeArrayFromScalar(arrow::Int64Scalar(7), 1)});
  ArrowStream rows;
  ASSERT_TRUE(arrow::ExportRecordBatchReader(*arrow::RecordBatchReader::Make({only_id}), rows.get()).ok());
  ASSERT_THAT(two->Append(std::move(rows), other), IsOk());
  const auto lost = transaction->Commit();
  EXPECT_THAT(lost, HasSubject(ErrorSubject::kSchema));
  EXPECT_THAT(lost, HasMessage("Nothing was committed"));
  EXPECT_EQ(Scan(*two), (std::vector<int64_t>{7}));
  EXPECT_EQ(Files("data").size(), 1u);
}

TEST_F(TableTest, AppendChecksTheSchemaItIsGiven) {
  const auto table = New();
  Schema turned = IdAndText();
  std::swap(turned.fields[0], turned.fields[1]);
  ASSERT_THAT(table->Append(RowsWithIds({1}), turned), IsOk());
  Schema other = IdAndText();
  other.fields[1].name = "words";
  EXPECT_THAT(table->Append(RowsWithIds({2}), other), HasSubject(ErrorSubject::kSchema));
  EXPECT_EQ(*table->row_count(), 1);
}

TEST_F(TableTest, AMovedTableIsReadAndWrittenWhereItIs) {
  Append(*New(), {1});
  const std::string moved = (root / "moved").string();
  fs::rename(path, moved);
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Open(moved));
  EXPECT_EQ(Scan(*table), (std::vector<int64_t>{1}));
  Append(*table, {2});
  EXPECT_EQ(Scan(*table), (std::vector<int64_t>{1, 2}));
}

TEST_F(TableTest, ASymlinkedRootIsTheSameTable) {
  Append(*New(), {1});
  fs::create_directory_symlink(path, root / "link");
  ASSERT_OK_AND_ASSIGN(const auto table, Table::Open((root / "link").string()));
  Append(*table, {2});
  EXPECT_EQ(table->location(), "file://" + fs::canonical(path).string());
  ASSERT_OK_AND_ASSIGN(const auto snapshot, table->current_snapshot());
  ASSERT_OK_AND_ASSIGN(const std::string relative, table->RelativePath(snapshot->manifest_list));
  ASSERT_OK_AND_ASSIGN(const auto lines, table->ReadManifestList((root / "link" / relative).string()));
  EXPECT_EQ(lines.size(), 2u);
  ASSERT_OK_AND_ASSIGN(const auto entries, table->ReadManifest(lines[0].manifest_path));
  EXPECT_EQ(entries.size(), 1u);
}

TEST_F(TableTest, PathsOutsideTheRootAreRefused) {
  const auto table = New();
  std::ofstream(root / "secret") << "x";
  for (const std::string& outside : {std::string("../secret"), (root / "secret").string(), std::string("s3://b/x"),
                                     path + "/../secret"}) {
    EXPECT_THAT(table->ReadManifestList(outside), HasKind(ErrorKind::kInvalidArgument)) << outside;
    EXPECT_THAT(table->FileExists(outside), HasKind(ErrorKind::kInvalidArgument)) << outside;
  }
}

TEST_F(TableTest, DamageIsAnErrorNeverFewerRows) {
  const auto table = New();
  for (int64_t id = 1; id <= 3; ++id) Append(*table, {id});
  const auto fresh_scan = [&]() -> Result<std::vector<int64_t>> {
    DS_ASSIGN_OR_RETURN(const auto reopened, Table::Open(path));
    DS_ASSIGN_OR_RETURN(ArrowStream stream, reopened->Scan());
    return IdsOf(std::move(stream));
  };
  ASSERT_EQ(fresh_scan()->size(), 3u);
  std::vector<fs::path> damaged = Files("data");
  for (const fs::path& file : Files("metadata/m")) damaged.push_back(file);
  ASSERT_OK_AND_ASSIGN(const auto snapshot, table->current_snapshot());
  int tried = 0;
  for (const fs::path& file : damaged) {
    const bool list = file.filename().string().starts_with("snap-");
    if (list && !snapshot->manifest_list.ends_with(file.filename().string())) continue;  // of an earlier snapshot
    ++tried;
    const fs::path aside = root / "aside";
    fs::rename(file, aside);
    EXPECT_FALSE(fresh_scan().ok()) << "missing " << file;
    const auto size = fs::file_size(aside);
    fs::copy_file(aside, file);
    fs::resize_file(file, size - 1);
    EXPECT_FALSE(fresh_scan().ok()) << "cut " << file;
    fs::rename(aside, file);
  }
  EXPECT_EQ(tried, 7);
  EXPECT_EQ(fresh_scan()->size(), 3u);
}

TEST_F(TableTest, ACommitOnADamagedTableIsRefused) {
  const auto table = New();
  Append(*table, {1});
  ASSERT_OK_AND_ASSIGN(const auto snapshot, table->current_snapshot());
  ASSERT_OK_AND_ASSIGN(const std::string list, table->RelativePath(snapshot->manifest_list));
  fs::remove(fs::path(path) / list);
  ASSERT_OK_AND_ASSIGN(const auto reopened, Table::Open(path));
  const auto refused = reopened->Append(RowsWithIds({2}));
  EXPECT_THAT(refused, HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(refused, HasMessage("inconsistent"));
  EXPECT_EQ(*table->version(), 2);
  EXPECT_EQ(Files("data").size(), 1u);
}

TEST_F(TableTest, ThreadsAppendThroughOneHandle) {
  const auto table = New();
  {
    std::vector<std::jthread> threads;
    for (int64_t writer = 0; writer < 4; ++writer) {
      threads.emplace_back([&, writer] {
        for (int64_t i = 0; i < 10; ++i) ASSERT_THAT(table->Append(RowsWithIds({writer * 100 + i})), IsOk());
      });
    }
  }
  std::vector<int64_t> ids = Scan(*table);
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::unique(ids.begin(), ids.end()), ids.end());
  EXPECT_EQ(ids.size(), 40u);
}

TEST_F(TableTest, AnInterruptEndsTheWaitWithNothingPublished) {
  const auto table = New();
  ASSERT_OK_AND_ASSIGN(const auto rival, Table::Open(path));
  const auto transaction = table->NewTransaction();
  transaction->Begin();
  ASSERT_THAT(transaction->Append(RowsWithIds({1})), IsOk());
  // The rival publishes whenever we are about to try again, so that we lose for as long as we are willing to go on.
  int lost = 0;
  std::jthread racer([&](std::stop_token stop) {
    for (int64_t id = 100; !stop.stop_requested(); ++id) static_cast<void>(rival->Append(RowsWithIds({id})).ok());
  });
  const auto outcome = transaction->Commit([&]() -> Status {
    ++lost;
    return Unavailable("interrupted by the user");
  });
  racer.request_stop();
  racer.join();
  if (lost == 0) {
    EXPECT_THAT(outcome, IsOk());  // it never lost a race
  } else {
    EXPECT_THAT(outcome, HasMessage("interrupted by the user"));
    const std::vector<int64_t> ids = Scan(*table);
    EXPECT_EQ(std::count(ids.begin(), ids.end(), 1), 0);
  }
}

}  // namespace
}  // namespace datashard
