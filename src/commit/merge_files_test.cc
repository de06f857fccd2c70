// Invariants of a merge's change: live entries but for the inputs stay as they are, in order; the merged file stands where its
// inputs stood; what is gone is said once; where anything is in doubt the draft is left alone.
#include "commit/merge_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "catalog/version_names.h"
#include "commit/append_files.h"
#include "iceberg/manifest.h"
#include "support/matchers.h"

namespace datashard::commit {
namespace {

constexpr MergeLimits kLimits{.trigger_files = 4, .files_min = 3, .files_max = 6, .manifests_read_max = 20};
const Instant kNow = Instant(std::chrono::seconds(1'700'000'000));

class MergeFilesTest : public testing::Test {
 protected:
  MergeFilesTest() {
    metadata = FirstVersion("u", "memory://t",
                            Schema{.schema_id = 0, .fields = {{.id = 1, .name = "x", .type = Type(TypeKind::kLong)}}}, {}, kNow);
  }

  static DataFile File(std::string name, int64_t bytes = 100) {
    return {.file_path = "memory://t/data/" + std::move(name), .record_count = 2, .file_size_in_bytes = bytes};
  }
  Draft NewDraft() {
    ++version;
    return {.version = version,
            .attempt = version,
            .root_uri = "memory://t",
            .now = now,
            .metadata = metadata,
            .manifests = manifests,
            .read_manifest = [this](const ManifestFile& line) { return Read(line, /*live_only=*/true); }};
  }
  Result<std::vector<ManifestEntry>> Read(const ManifestFile& line, bool live_only) {
    ++reads;
    DS_ASSIGN_OR_RETURN(auto decoded, iceberg::DecodeManifest(written.at(line.manifest_path), metadata.current_schema(), {}, "m"));
    DS_RETURN_IF_ERROR(iceberg::Inherit(line, decoded.entries));
    if (live_only) std::erase_if(decoded.entries, [](const auto& entry) { return entry.status == EntryStatus::kDeleted; });
    return std::move(decoded.entries);
  }
  void Publish(Draft draft) {
    for (NewFile& file : draft.files) written["memory://t/" + file.key] = std::move(file.body);
    metadata = std::move(draft.metadata);
    manifests = std::move(draft.manifests);
  }
  void Append(std::vector<DataFile> files) {
    Draft draft = NewDraft();
    AppendFiles change({std::move(files)}, metadata.current_schema(),
                       {.snapshot_id = 1000 + version, .commit_uuid = "a" + std::to_string(version)});
    ASSERT_THAT(change.Apply(draft), IsOk());
    Publish(std::move(draft));
  }
  /// Files a0, a1 …, one commit each.
  void AppendOneByOne(int count) {
    for (int i = 0; i < count; ++i) Append({File("a" + std::to_string(appended++))});
  }
  SmallFiles Find(const MergeLimits& limits = kLimits) {
    auto found = FindSmallFiles(metadata, manifests, limits, seen, [this](const ManifestFile& line) { return Read(line, true); },
                                [](const DataFile&) { return false; });
    EXPECT_THAT(found, IsOk());
    return std::move(found).value();
  }
  MergeFiles Merge(std::vector<ManifestEntry> run) {
    DataFile merged = File("merged_" + std::to_string(version));
    merged.record_count = 2 * static_cast<int64_t>(run.size());
    return MergeFiles(std::move(run), std::move(merged), metadata, *random, kLimits, seen);
  }
  /// Names of the live files, in order.
  std::vector<std::string> Live() {
    std::vector<std::string> names;
    for (const ManifestFile& line : manifests) {
      const auto entries = Read(line, /*live_only=*/true);
      EXPECT_THAT(entries, IsOk());
      int64_t least = line.sequence_number;
      for (const ManifestEntry& entry : *entries) {
        names.push_back(entry.data_file.file_path.substr(16));
        least = std::min(least, *entry.sequence_number);
      }
      EXPECT_EQ(line.min_sequence_number, least);
      EXPECT_EQ(LiveFiles(line), static_cast<int64_t>(entries->size()));
    }
    return names;
  }
  void ExpectWithdrawn(std::vector<ManifestEntry> run, const std::string& why) {
    MergeFiles merge = Merge(std::move(run));
    Draft draft = NewDraft();
    ASSERT_THAT(merge.Apply(draft), IsOk());
    EXPECT_FALSE(draft.changed);
    EXPECT_TRUE(draft.files.empty());
    EXPECT_EQ(merge.withdrawn(), why);
  }

  std::unique_ptr<Random> random = SeededRandom(3);
  iceberg::TableMetadata metadata;
  std::vector<ManifestFile> manifests;
  std::map<std::string, Bytes> written;
  SeenManifests seen{kLimits};
  Instant now = kNow;
  int64_t version = 0;
  int64_t reads = 0;
  int appended = 0;
};

TEST_F(MergeFilesTest, TheMergedFileStandsWhereItsInputsStood) {
  Append({File("big", 1 << 20), File("a0"), File("a1")});
  appended = 2;
  AppendOneByOne(3);
  Append({File("a5"), File("a6"), File("big2", 1 << 20)});
  const SmallFiles found = Find();
  ASSERT_EQ(found.run.size(), 6u);
  MergeFiles merge = Merge(found.run);
  Draft draft = NewDraft();
  ASSERT_THAT(merge.Apply(draft), IsOk());
  EXPECT_EQ(merge.withdrawn(), "");
  const int64_t sequence_number = metadata.last_sequence_number + 1;
  const auto snapshots = draft.metadata.snapshots;
  const Snapshot& replace = *snapshots[snapshots.size() - 2];
  const int64_t snapshot_id = replace.snapshot_id;
  EXPECT_EQ(snapshots.back()->operation(), "replace");
  EXPECT_EQ(snapshots.back()->parent_snapshot_id, snapshot_id);
  const std::string merged = "merged_" + std::to_string(version - 1);
  Publish(std::move(draft));
  const std::vector<std::string> expected = {"big", merged, "a6", "big2"};
  EXPECT_EQ(Live(), expected);
  for (const ManifestFile& line : manifests) EXPECT_EQ(line.deleted_files_count, 0) << "in the current snapshot";

  ASSERT_OK_AND_ASSIGN(manifests, iceberg::DecodeManifestList(written.at(replace.manifest_list), "list"));
  EXPECT_EQ(Live(), expected);
  std::vector<std::string> gone;
  for (const ManifestFile& line : manifests) {
    ASSERT_OK_AND_ASSIGN(const auto entries, Read(line, /*live_only=*/false));
    for (const ManifestEntry& entry : entries) {
      if (entry.status == EntryStatus::kDeleted) {
        gone.push_back(entry.data_file.file_path.substr(16));
        EXPECT_EQ(entry.snapshot_id, snapshot_id);
        EXPECT_LT(*entry.sequence_number, sequence_number) << "its own, as it was";
        EXPECT_EQ(entry.file_sequence_number, entry.sequence_number);
        EXPECT_EQ(line.added_snapshot_id, snapshot_id);
      } else if (entry.status == EntryStatus::kAdded && entry.snapshot_id == snapshot_id) {
        EXPECT_EQ(entry.data_file.record_count, 12);
        EXPECT_EQ(entry.sequence_number, found.run.back().sequence_number) << "deletes of equal rows must go on to apply";
        EXPECT_EQ(entry.file_sequence_number, sequence_number);
      }
    }
  }
  EXPECT_EQ(gone, (std::vector<std::string>{"a0", "a1", "a2", "a3", "a4", "a5"}));
  EXPECT_EQ(manifests.back().deleted_files_count, 6);
  EXPECT_EQ(manifests.back().deleted_rows_count, 12);
}

TEST_F(MergeFilesTest, AppendsAndMergesOfManifestsMeanwhileDoNotMatter) {
  AppendOneByOne(6);
  const SmallFiles found = Find();
  MergeFiles merge = Merge(found.run);
  AppendOneByOne(20);  // the inputs' manifests become parts of merged ones
  Draft draft = NewDraft();
  ASSERT_THAT(merge.Apply(draft), IsOk());
  EXPECT_EQ(merge.withdrawn(), "");
  Publish(std::move(draft));
  std::vector<std::string> live = Live();
  ASSERT_EQ(live.size(), 21u);
  EXPECT_TRUE(live[0].starts_with("merged_"));
  for (int i = 6; i < 26; ++i) EXPECT_EQ(live[static_cast<size_t>(i - 5)], "a" + std::to_string(i));
}

TEST_F(MergeFilesTest, TheSecondMergeOfTheSameFilesWithdraws) {
  AppendOneByOne(8);
  const SmallFiles found = Find();
  MergeFiles first = Merge(found.run);
  Draft draft = NewDraft();
  ASSERT_THAT(first.Apply(draft), IsOk());
  Publish(std::move(draft));
  ExpectWithdrawn(found.run, "its files are no longer live neighbours");
  std::vector<ManifestEntry> overlapping(found.run.begin() + 2, found.run.end());
  ExpectWithdrawn(overlapping, "its files are no longer live neighbours");
}

TEST_F(MergeFilesTest, ItGivesWayToOtherEnginesDeletesSchemasAndTheProperty) {
  AppendOneByOne(6);
  const std::vector<ManifestEntry> run = Find().run;
  const auto metadata_before = metadata;
  const auto manifests_before = manifests;

  auto foreign = std::make_shared<Snapshot>(*metadata.snapshots[2]);
  foreign->manifest_list = "memory://t/metadata/snap-1-1-x.avro";
  metadata.snapshots[2] = foreign;
  now = kNow + std::chrono::seconds(59);
  ExpectWithdrawn(run, "another engine has written");
  now = kNow + std::chrono::seconds(61);
  {
    MergeFiles merge = Merge(run);
    Draft draft = NewDraft();
    ASSERT_THAT(merge.Apply(draft), IsOk());
    EXPECT_EQ(merge.withdrawn(), "") << "a minute later";
  }
  metadata = metadata_before;

  manifests.push_back({.manifest_path = "memory://t/d", .content = ManifestContent::kDeletes, .added_files_count = 1});
  ExpectWithdrawn(run, "rows of the table were deleted");
  manifests = manifests_before;

  const std::vector<ManifestEntry> other_schema = run;
  MergeFiles merge = Merge(run);
  metadata.schemas.push_back({.schema_id = 7, .fields = metadata.current_schema().fields});
  metadata.current_schema_id = 7;
  Draft draft = NewDraft();
  ASSERT_THAT(merge.Apply(draft), IsOk());
  EXPECT_EQ(merge.withdrawn(), "the schema is another one now");
  metadata = metadata_before;

  metadata.properties["datashard.auto-merge"] = "off";
  ExpectWithdrawn(run, "merges were switched off");
  metadata.properties["datashard.auto-merge"] = "of";
  Draft refused = NewDraft();
  EXPECT_THAT(merge.Apply(refused), HasMessage("'of'; expected 'on' or 'off'"));
}

TEST_F(MergeFilesTest, ARunIsOfNeighboursThatAreSmallAndInOrder) {
  Append({File("a0"), File("a1"), File("big", 1 << 20), File("a2"), File("a3"), File("a4"), File("merged_x"), File("a5")});
  SmallFiles found = Find();
  EXPECT_EQ(found.count, 5) << "that is enough to know";
  EXPECT_FALSE(found.complete);
  ASSERT_EQ(found.run.size(), 3u);
  EXPECT_TRUE(found.run[0].data_file.file_path.ends_with("a2"));

  found = Find({.trigger_files = 6, .files_min = 3});
  EXPECT_TRUE(found.run.empty()) << "6 are not more than 6";
  EXPECT_TRUE(found.complete);

  Append({File("a6"), File("a7")});
  std::swap(manifests[0], manifests[1]);  // as engines do that put new manifests first
  found = Find();
  EXPECT_EQ(found.run.size(), 3u) << "a6, a7 and a0 are not in the order of their commits";
}

TEST_F(MergeFilesTest, ARunIsBoundedInBytesAndRows) {
  Append({File("a0", 40), File("a1", 40), File("a2", 40), File("a3", 40), File("a4", 40), File("a5", 40)});
  EXPECT_EQ(Find({.trigger_files = 4, .small_file_bytes = 50, .files_min = 2, .bytes_max = 130}).run.size(), 3u);
  EXPECT_EQ(Find({.trigger_files = 4, .small_file_bytes = 50, .files_min = 2, .rows_max = 5}).run.size(), 2u);
  EXPECT_TRUE(Find({.trigger_files = 4, .small_file_bytes = 40, .files_min = 2}).run.empty()) << "none is small";
}

TEST_F(MergeFilesTest, OneLookReadsABoundedNumberOfManifestsAndTheNextGoesOn) {
  for (int i = 0; i < 50; ++i) Append({File("big" + std::to_string(i), 1 << 20)});
  // Large files one by one: as many manifests as merging in tiers leaves, and the small ones behind them.
  AppendOneByOne(6);
  const MergeLimits two_reads{.trigger_files = 4, .files_min = 3, .files_max = 6, .manifests_read_max = 2};
  ASSERT_GT(manifests.size(), 4u);
  reads = 0;
  int looks = 0;
  SmallFiles found;
  while (found.run.empty() && looks < 50) {
    const int64_t before = reads;
    found = Find(two_reads);
    EXPECT_LE(reads - before, 2);
    ++looks;
  }
  EXPECT_EQ(found.run.size(), 6u);
  EXPECT_GT(looks, 2);
}

TEST_F(MergeFilesTest, OursAreKnownByTheirManifestLists) {
  const auto is_ours = [](std::string list) { return IsOurs(Snapshot{.manifest_list = std::move(list)}); };
  EXPECT_TRUE(is_ours("file:///t/metadata/m/0/snap-1-1-u.avro"));
  EXPECT_TRUE(is_ours("file:///t/metadata/m/123/snap-1-1-u.avro"));
  EXPECT_FALSE(is_ours("file:///t/metadata/snap-1-1-u.avro"));
  EXPECT_FALSE(is_ours("file:///metadata/m/t/metadata/snap-1-1-u.avro"));
  EXPECT_FALSE(is_ours(""));
}

}  // namespace
}  // namespace datashard::commit
