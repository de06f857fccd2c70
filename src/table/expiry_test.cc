// Invariants: what is expired is not found by id, by time or in any list, and the count says so; everything else is found as
// before; the floor never falls; what a branch or tag needs stays.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "iceberg/history_root.h"
#include "table/maintenance_test_support.h"

namespace datashard {
namespace {

class ExpiryTest : public TestTable {
 protected:
  /// What the table has is `left` of the model, by every way to ask.
  void ExpectLeft(const std::vector<Snapshot>& left) {
    ASSERT_OK_AND_ASSIGN(const auto reopened, OpenTableOn(store, outside()));
    EXPECT_EQ(*reopened->snapshots(), left);
    EXPECT_EQ(*reopened->snapshot_count(), static_cast<int64_t>(left.size()));
    for (const int64_t limit : {1, 50, 150, 1000}) {
      const auto count = static_cast<std::ptrdiff_t>(std::min<size_t>(static_cast<size_t>(limit), left.size()));
      EXPECT_EQ(*reopened->snapshots({.limit = limit}), std::vector<Snapshot>(left.end() - count, left.end())) << limit;
    }
    for (size_t i = 0; i < model.size(); ++i) {
      const bool is_left = std::find(left.begin(), left.end(), model[i]) != left.end();
      EXPECT_EQ(*reopened->snapshot_by_id(model[i].snapshot_id), is_left ? std::optional(model[i]) : std::nullopt) << i;
      if (is_left && i % 20 == 0) ExpectRows(*reopened, i);
    }
  }
  std::vector<Snapshot> From(size_t first) const { return {model.begin() + static_cast<std::ptrdiff_t>(first), model.end()}; }
  iceberg::HistoryRoot Root() { return *iceberg::ParseHistory(table->properties()->at("datashard.history"), "root"); }
};

TEST_F(ExpiryTest, ByAgeAcrossSeveralSegments) {
  Append(700);
  ASSERT_GT(Root().entries.size(), 2u);
  for (const size_t first : {100u, 333u, 500u, 690u}) {
    SCOPED_TRACE(first);
    const int64_t before = *table->snapshot_count();
    ASSERT_OK_AND_ASSIGN(const ExpireReport report, table->ExpireSnapshots({.older_than_ms = model[first].timestamp_ms}));
    EXPECT_EQ(report.expired, before - static_cast<int64_t>(700 - first));
    EXPECT_EQ(report.deferred, 0);
    ExpectLeft(From(first));
    EXPECT_EQ(*table->snapshot_as_of(model[first].timestamp_ms), model[first]);
    EXPECT_THAT(table->snapshot_as_of(model[first - 1].timestamp_ms), HasSubject(ErrorSubject::kSnapshot));
    EXPECT_THAT(table->snapshot_as_of(model[first - 1].timestamp_ms), HasMessage("was expired"));
    ASSERT_OK_AND_ASSIGN(const ExpireReport again, table->ExpireSnapshots({.older_than_ms = model[first].timestamp_ms}));
    EXPECT_EQ(again.expired, 0);
    EXPECT_EQ(again.version, report.version) << "nothing to publish";
  }
  EXPECT_TRUE(Root().entries.empty()) << "segments wholly below the floor leave the root";
  Append(300);  // the archive goes on above the floor
  ExpectLeft(From(690));
}

TEST_F(ExpiryTest, NothingIsOldUnderTheDefaultAndTheNewestStay) {
  Append(200);
  EXPECT_EQ(table->ExpireSnapshots({})->expired, 0);
  clock.Sleep(std::chrono::hours(24 * 6));
  EXPECT_EQ(table->ExpireSnapshots({.retain_last = 150})->expired, 50);
  ExpectLeft(From(50));
  EXPECT_EQ(table->ExpireSnapshots({})->expired, 149);
  ExpectLeft(From(199));
  EXPECT_THAT(table->ExpireSnapshots({.retain_last = 0}), HasKind(ErrorKind::kInvalidArgument));
}

TEST_F(ExpiryTest, ByIdInTheWindowAndInTheArchive) {
  Append(300);
  std::vector<Snapshot> left = model;
  std::vector<int64_t> ids;
  for (const size_t i : {250u, 40u, 7u, 0u}) {
    ids.push_back(model[i].snapshot_id);
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(i));
  }
  ASSERT_OK_AND_ASSIGN(const ExpireReport report, table->ExpireSnapshots({.snapshot_ids = {ids[1], ids[2], ids[3]}}));
  EXPECT_EQ(report.expired, 3);
  EXPECT_EQ(report.expired_archived, 3);
  EXPECT_EQ(Root().floor_sequence, 2) << "the first one needs no entry of its own";
  EXPECT_EQ(Root().expired_ids.size(), 2u);
  EXPECT_EQ(*table->snapshot_as_of(model[39].timestamp_ms), model[39]);
  EXPECT_THAT(table->snapshot_as_of(model[40].timestamp_ms), HasMessage("was expired"));
  EXPECT_EQ(*table->snapshot_as_of(model[41].timestamp_ms), model[41]);
  EXPECT_EQ(table->ExpireSnapshots({.snapshot_ids = {ids[0]}})->expired_archived, 0);
  ExpectLeft(left);
  EXPECT_EQ(*table->snapshot_as_of(model[251].timestamp_ms), model[251]);
  EXPECT_THAT(table->snapshot_as_of(model[249].timestamp_ms), HasMessage("was expired")) << "the log was cut";
  Append(600);  // merges keep what was expired hidden
  left.insert(left.end(), model.end() - 600, model.end());
  ExpectLeft(left);

  EXPECT_THAT(table->ExpireSnapshots({.snapshot_ids = {ids[1]}}), HasSubject(ErrorSubject::kSnapshot));
  EXPECT_THAT(table->ExpireSnapshots({.snapshot_ids = {model.back().snapshot_id}}), HasMessage("'main' names"));
  EXPECT_THAT(table->ExpireSnapshots({.retain_last = 1, .snapshot_ids = {ids[1]}}), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(table->ExpireSnapshots({.snapshot_ids = {ids[1]}}), HasMessage(std::to_string(ids[1])));
}

TEST_F(ExpiryTest, TagsAndBranchesKeepWhatTheyNeed) {
  Append(10);
  Edit([&](iceberg::TableMetadata& next) {
    next.refs["kept"] = {.snapshot_id = model[2].snapshot_id, .type = "tag"};
    next.refs["gone"] = {.snapshot_id = model[3].snapshot_id, .type = "tag", .extra = {{"max-ref-age-ms", "1000"}}};
    next.refs["dev"] = {.snapshot_id = model[7].snapshot_id, .type = "branch", .extra = {{"min-snapshots-to-keep", "2"}}};
    next.statistics = fmt::format(R"([{{"snapshot-id":{},"statistics-path":"memory://t/metadata/a.stats"}},)"
                                  R"({{"snapshot-id":{},"statistics-path":"memory://t/metadata/b.stats"}}])",
                                  model[0].snapshot_id, model[9].snapshot_id);
  });
  clock.Sleep(std::chrono::hours(1));
  ASSERT_OK_AND_ASSIGN(const ExpireReport report, table->ExpireSnapshots({.older_than_ms = ToMillis(clock.Now())}));
  EXPECT_EQ(report.removed_refs, std::vector<std::string>{"gone"});
  ExpectLeft({model[2], model[6], model[7], model[9]});
  EXPECT_THAT(*table->metadata_json(), testing::AllOf(testing::HasSubstr("b.stats"), testing::Not(testing::HasSubstr("a.stats"))));

  // Held by its tag below the floor, and not lost when the tag goes and the window is archived.
  Append(400);
  ASSERT_THAT(table->ExpireSnapshots({.older_than_ms = model[300].timestamp_ms}), IsOk());
  Edit([&](iceberg::TableMetadata& next) { std::erase_if(next.refs, [](const auto& ref) { return ref.first != "main"; }); });
  Append(300);
  EXPECT_EQ(*table->snapshot_by_id(model[2].snapshot_id), model[2]);
  ASSERT_THAT(table->ExpireSnapshots({.older_than_ms = model[300].timestamp_ms}), IsOk());
  ExpectLeft(From(300));
}

TEST_F(ExpiryTest, WhatABranchHoldsInTheArchiveDefersTheRest) {
  Append(3);
  Edit([&](iceberg::TableMetadata& next) {
    next.refs["dev"] = {.snapshot_id = model[2].snapshot_id, .type = "branch", .extra = {{"max-snapshot-age-ms", "99999999999"}}};
  });
  Append(700);
  ASSERT_OK_AND_ASSIGN(const ExpireReport report, table->ExpireSnapshots({.older_than_ms = model[650].timestamp_ms}));
  EXPECT_GT(report.deferred, 0);
  EXPECT_EQ(Root().expired_ids.size(), iceberg::kExpiredIdsMax);
  EXPECT_EQ(*table->snapshot_by_id(model[0].snapshot_id), model[0]);
  EXPECT_EQ(*table->snapshot_count(), 703 - report.expired);
  EXPECT_EQ(table->snapshots()->size(), static_cast<size_t>(703 - report.expired));
  Edit([&](iceberg::TableMetadata& next) { next.refs.erase("dev"); });
  ASSERT_THAT(table->ExpireSnapshots({.older_than_ms = model[650].timestamp_ms}), IsOk());
  ExpectLeft(From(650));
}

}  // namespace
}  // namespace datashard
