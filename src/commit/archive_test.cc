// Invariants: window and archive together hold every snapshot once; what a ref names, the current snapshot and the newest
// 100 never leave the window; no commit rewrites more than 2,048 snapshots; the root stays short.
#include "commit/archive.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "catalog/history.h"
#include "commit/append_files.h"
#include "support/matchers.h"

namespace datashard::commit {
namespace {

class ArchiveTest : public testing::Test {
 protected:
  class KeepLog final : public Log {
   public:
    void Write(LogLevel level, std::string_view message) override { text += std::string(message) + "\n"; }
    std::string text;
  };

  ArchiveTest() {
    metadata = FirstVersion("7c3f4d7e-0000-4000-8000-000000000001", "memory://t",
                            Schema{.schema_id = 0, .fields = {{.id = 1, .name = "x", .type = Type(TypeKind::kLong)}}},
                            {{"datashard.history.window-bytes", "0"}}, now);
  }

  void AddSnapshot(bool on_main = true) {
    now += std::chrono::milliseconds(10);
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->snapshot_id = RandomId63(*random);
    snapshot->parent_snapshot_id = metadata.current_snapshot_id;
    snapshot->sequence_number = ++metadata.last_sequence_number;
    snapshot->timestamp_ms = ToMillis(now);
    snapshot->manifest_list = "memory://t/metadata/m/0/snap.avro";
    snapshot->summary = {{"operation", "append"}};
    model.push_back(*snapshot);
    metadata.snapshots.push_back(snapshot);
    if (on_main) MakeCurrent(snapshot->snapshot_id);
  }
  void MakeCurrent(int64_t snapshot_id) {
    metadata.current_snapshot_id = snapshot_id;
    metadata.refs["main"] = {.snapshot_id = snapshot_id, .type = "branch"};
    metadata.snapshot_log.push_back({.timestamp_ms = ToMillis(now), .snapshot_id = snapshot_id});
    log.emplace_back(ToMillis(now), snapshot_id);
  }
  /// Archives what is due and writes the files. Returns how many there were.
  Result<size_t> Archive() {
    DS_ASSIGN_OR_RETURN(const std::vector<NewFile> files,
                        ArchiveOverflow(*store, metadata, {.now = now, .random = *random, .log = warnings}));
    for (const NewFile& file : files) {
      EXPECT_TRUE(file.bound_to_base);
      bytes_max = std::max(bytes_max, file.body.size());
      DS_RETURN_IF_ERROR(store->PutIfAbsent(file.key, file.body));
    }
    return files.size();
  }
  std::vector<iceberg::HistoryEntry> Root() { return iceberg::HistoryOf(metadata)->entries; }
  Result<std::vector<Snapshot>> All() {
    std::vector<Snapshot> all;
    DS_RETURN_IF_ERROR(catalog::ForEachSnapshot(*store, metadata, [&](const Snapshot& snapshot) {
      all.push_back(snapshot);
      return Result<bool>(true);
    }));
    return all;
  }
  /// By the whole log, as if nothing had been cut.
  std::optional<int64_t> AsOf(int64_t timestamp_ms) const {
    std::optional<int64_t> found;
    for (const auto& [time, id] : log)
      if (time <= timestamp_ms) found = id;
    return found;
  }
  std::optional<int64_t> FoundAsOf(int64_t timestamp_ms) {
    const auto found = catalog::FindSnapshotAsOf(*store, metadata, timestamp_ms);
    EXPECT_THAT(found, IsOk());
    return found.ok() && *found ? std::optional((*found)->snapshot_id) : std::nullopt;
  }
  bool InWindow(int64_t snapshot_id) const { return metadata.FindSnapshot(snapshot_id) != nullptr; }

  Instant now = Instant(std::chrono::seconds(1'700'000'000));
  std::unique_ptr<Random> random = SeededRandom(7);
  std::shared_ptr<ObjectStore> store = OpenMemoryStore("t", SystemClock());
  KeepLog warnings;
  iceberg::TableMetadata metadata;
  std::vector<Snapshot> model;
  std::vector<std::pair<int64_t, int64_t>> log;
  size_t bytes_max = 0;
};

TEST_F(ArchiveTest, FortyThousandSnapshotsLeaveAShortRootAndAreAllFound) {
  for (int i = 0; i < 40'000; ++i) {
    AddSnapshot();
    ASSERT_OK_AND_ASSIGN(const size_t files, Archive());
    ASSERT_LE(files, 2u) << "a segment, and the index above it";
    ASSERT_LT(metadata.snapshots.size(), kWindowSnapshotsMin + kArchivedAtOnce);
    ASSERT_EQ(metadata.snapshot_log.size(), metadata.snapshots.size());
  }
  EXPECT_LE(Root().size(), 28u);
  EXPECT_LT(metadata.properties.at("datashard.history").size(), 3000u);
  EXPECT_LT(bytes_max, 400'000u);
  const std::vector<iceberg::HistoryEntry> root = Root();
  EXPECT_TRUE(std::any_of(root.begin(), root.end(), [](const auto& entry) { return entry.is_index(); }));
  ASSERT_OK_AND_ASSIGN(const std::vector<Snapshot> all, All());
  EXPECT_TRUE(all == model);
  for (size_t i = 0; i < model.size(); i += 501) {
    ASSERT_OK_AND_ASSIGN(const auto found, catalog::FindSnapshotById(*store, metadata, model[i].snapshot_id));
    EXPECT_EQ(found, model[i]);
    EXPECT_EQ(FoundAsOf(model[i].timestamp_ms), model[i].snapshot_id);
    EXPECT_EQ(FoundAsOf(model[i].timestamp_ms + 9), model[i].snapshot_id);
    const int64_t limit = static_cast<int64_t>(i);
    ASSERT_OK_AND_ASSIGN(const auto newest, catalog::NewestSnapshots(*store, metadata, limit));
    ASSERT_EQ(newest.size(), i);
    if (i > 0) {
      EXPECT_EQ(newest.front(), model[model.size() - i]);
    }
  }
  EXPECT_EQ(FoundAsOf(model[0].timestamp_ms - 1), std::nullopt);
  EXPECT_EQ(warnings.text, "");
}

TEST_F(ArchiveTest, IndexesOfTheTopLevelAreNeverMerged) {
  iceberg::HistoryRoot root;
  for (int64_t i = 0; i < 9; ++i) {
    const iceberg::HistoryRange range{.count = 1'000, .first_sequence = i * 1'000 + 1, .last_sequence = (i + 1) * 1'000};
    root.entries.push_back({.level = iceberg::kHistoryTopLevel, .range = range, .uuid = RandomUuid(*random)});
  }
  metadata.properties["datashard.history"] = iceberg::PrintHistory(root);
  for (int i = 0; i < 400; ++i) {
    AddSnapshot();
    ASSERT_THAT(Archive(), IsOk());
  }
  ASSERT_GT(Root().size(), 9u);
  EXPECT_TRUE(std::equal(root.entries.begin(), root.entries.end(), Root().begin()));
  EXPECT_EQ(warnings.text, "");
}

TEST_F(ArchiveTest, WhatRefsNameStaysAndLeavesWhenTheyGo) {
  std::set<int64_t> tagged;
  for (int i = 0; i < 400; ++i) {
    AddSnapshot();
    if (i % 50 == 3) {
      metadata.refs["tag" + std::to_string(i)] = {.snapshot_id = model.back().snapshot_id, .type = "tag"};
      tagged.insert(model.back().snapshot_id);
    }
    ASSERT_THAT(Archive(), IsOk());
    for (const int64_t id : tagged) ASSERT_TRUE(InWindow(id));
  }
  ASSERT_OK_AND_ASSIGN(const std::vector<Snapshot> all, All());
  EXPECT_TRUE(all == model);
  for (int i = 0; i < 400; i += 3) EXPECT_EQ(FoundAsOf(model[static_cast<size_t>(i)].timestamp_ms), model[static_cast<size_t>(i)].snapshot_id) << i;
  std::erase_if(metadata.refs, [](const auto& ref) { return ref.first != "main"; });
  for (int i = 0; i < 2000; ++i) {
    AddSnapshot();
    ASSERT_THAT(Archive(), IsOk());
  }
  for (const int64_t id : tagged) EXPECT_FALSE(InWindow(id));
  ASSERT_OK_AND_ASSIGN(const std::vector<Snapshot> later, All());
  EXPECT_TRUE(later == model) << "those archived late stand at their place";
  EXPECT_EQ(catalog::NewestSnapshots(*store, metadata, 2398)->front(), model[2]);
  for (size_t i = 0; i < model.size(); i += 37) EXPECT_EQ(FoundAsOf(model[i].timestamp_ms), model[i].snapshot_id) << i;
}

TEST_F(ArchiveTest, TheCurrentSnapshotStaysHoweverOldItIs) {
  AddSnapshot();
  const int64_t current = model[0].snapshot_id;
  for (int i = 0; i < 300; ++i) {
    AddSnapshot(/*on_main=*/false);
    ASSERT_THAT(Archive(), IsOk());
    ASSERT_TRUE(InWindow(current));
  }
  EXPECT_LT(metadata.snapshots.size(), 140u);
  EXPECT_EQ(metadata.current_snapshot_id, current);
  EXPECT_THAT(iceberg::EncodeTableMetadata(metadata), IsOk());
}

TEST_F(ArchiveTest, RollbacksAndBranchesAreSeenByTimeInTheArchive) {
  std::vector<int64_t> moments;
  for (int i = 0; i < 1500; ++i) {
    AddSnapshot(/*on_main=*/i % 5 != 2);
    moments.push_back(ToMillis(now));
    if (i % 40 == 30) {
      now += std::chrono::milliseconds(10);
      MakeCurrent(model[model.size() - 4].snapshot_id);
      moments.push_back(ToMillis(now));
    }
    ASSERT_THAT(Archive(), IsOk());
  }
  for (const int64_t moment : moments) ASSERT_EQ(FoundAsOf(moment + 3), AsOf(moment + 3)) << moment;
}

TEST_F(ArchiveTest, AWriterWithoutALogIsFoundByCommitTimes) {
  for (int i = 0; i < 600; ++i) {
    AddSnapshot();
    metadata.snapshot_log.clear();
    ASSERT_THAT(Archive(), IsOk());
  }
  for (size_t i = 0; i < model.size(); i += 11) EXPECT_EQ(FoundAsOf(model[i].timestamp_ms + 5), model[i].snapshot_id) << i;
}

TEST_F(ArchiveTest, YoungSnapshotsStayUntilTheWindowIsFull) {
  metadata.properties["datashard.history.window-bytes"] = "100000";
  while (Root().empty()) {
    AddSnapshot();
    ASSERT_THAT(Archive(), IsOk());
    ASSERT_LT(model.size(), 2000u);
  }
  // Within a tenth of what the window really takes, and never below.
  const size_t window = iceberg::EncodeTableMetadata(metadata)->size() * model.size() / metadata.snapshots.size();
  EXPECT_GT(model.size(), 200u);
  EXPECT_GT(window, 70'000u);
  EXPECT_LT(window, 130'000u);
  // Old ones leave whatever the size.
  metadata.properties["datashard.history.window-bytes"] = "10000000";
  now += std::chrono::minutes(20);
  for (int i = 0; i < 20; ++i) {
    AddSnapshot();
    ASSERT_THAT(Archive(), IsOk());
  }
  EXPECT_LT(metadata.snapshots.size(), 140u);
  EXPECT_EQ(All()->size(), model.size());
}

TEST_F(ArchiveTest, ALongImportedHistoryIsArchivedOverSeveralCommits) {
  for (int i = 0; i < 1000; ++i) AddSnapshot();
  for (int i = 0; i < 5; ++i) {
    AddSnapshot();
    ASSERT_THAT(Archive(), IsOk());
  }
  EXPECT_LT(metadata.snapshots.size(), 140u);
  EXPECT_TRUE(*All() == model);
}

TEST_F(ArchiveTest, NothingIsDoneWhereNothingIsDue) {
  for (size_t i = 0; i < kWindowSnapshotsMin + kArchivedAtOnce - 1; ++i) AddSnapshot();
  const iceberg::TableMetadata before = metadata;
  EXPECT_EQ(*Archive(), 0u);
  EXPECT_EQ(metadata.properties, before.properties);
  EXPECT_EQ(metadata.snapshots.size(), before.snapshots.size());
}

TEST_F(ArchiveTest, ARepeatedAttemptUsesOtherNames) {
  for (size_t i = 0; i < kWindowSnapshotsMin + kArchivedAtOnce; ++i) AddSnapshot();
  iceberg::TableMetadata again = metadata;
  ASSERT_EQ(*Archive(), 1u);
  ASSERT_OK_AND_ASSIGN(const auto files, ArchiveOverflow(*store, again, {.now = now, .random = *random, .log = warnings}));
  ASSERT_EQ(files.size(), 1u);
  EXPECT_THAT(store->Head(files[0].key), HasKind(ErrorKind::kNotFound));
}

TEST_F(ArchiveTest, AnUnreadableRootOrSettingRefusesTheCommit) {
  for (size_t i = 0; i < kWindowSnapshotsMin + kArchivedAtOnce; ++i) AddSnapshot();
  metadata.properties["datashard.history.window-bytes"] = "64 KiB";
  const auto bad_setting = Archive();
  EXPECT_THAT(bad_setting, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(bad_setting, HasMessage("64 KiB"));
  metadata.properties["datashard.history.window-bytes"] = "0";
  metadata.properties["datashard.history"] = "garbage";
  const auto bad_root = Archive();
  EXPECT_THAT(bad_root, HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(bad_root, HasMessage("datashard.history"));
}

TEST_F(ArchiveTest, ADamagedSegmentIsLeftUnmergedWithAWarning) {
  while (Root().size() < 7) {
    AddSnapshot();
    ASSERT_THAT(Archive(), IsOk());
  }
  const std::string lost = Root()[2].key();
  ASSERT_THAT(store->Delete(lost), IsOk());
  for (int i = 0; i < 64; ++i) {
    AddSnapshot();
    ASSERT_THAT(Archive(), IsOk());
  }
  EXPECT_EQ(Root().size(), 9u);
  EXPECT_NE(warnings.text.find(lost), std::string::npos);
  EXPECT_THAT(All(), HasMessage(lost));
}

}  // namespace
}  // namespace datashard::commit
