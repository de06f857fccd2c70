// Invariants: the live entries of a list, in order, with their snapshots and sequence numbers, are the same before and after
// a merge; the list stays short whatever the sizes; deletes are never touched.
#include "commit/manifest_tiers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/random.h"
#include "iceberg/manifest.h"
#include "support/matchers.h"

namespace datashard::commit {
namespace {

class ManifestTiers : public testing::Test {
 protected:
  ManifestTiers() {
    metadata.table_uuid = "u";
    metadata.location = "memory://t";
    metadata.schemas.push_back({.schema_id = 0, .fields = {{.id = 1, .name = "x", .type = Type(TypeKind::kLong)}}});
    metadata.partition_specs.push_back({});
  }

  /// The line of a new manifest of `files` one-row files.
  ManifestFile Add(int64_t files) {
    ++sequence;
    std::vector<ManifestEntry> entries;
    for (int64_t i = 0; i < files; ++i) {
      const std::string path = "memory://t/data/" + std::to_string(model.size());
      entries.push_back({.status = EntryStatus::kAdded,
                         .snapshot_id = 1000 + sequence,
                         .sequence_number = sequence,
                         .file_sequence_number = sequence,
                         .data_file = {.file_path = path, .record_count = 1, .file_size_in_bytes = 10}});
      model.push_back(entries.back());
      model.back().status = EntryStatus::kExisting;
    }
    ManifestFile line{.manifest_path = "memory://t/m" + std::to_string(sequence), .manifest_length = 100,
                      .sequence_number = sequence, .min_sequence_number = sequence, .added_snapshot_id = 1000 + sequence,
                      .added_files_count = static_cast<int32_t>(files), .added_rows_count = files};
    written[line.manifest_path] = std::move(entries);
    return line;
  }

  Result<std::vector<ManifestEntry>> Read(const ManifestFile& manifest) {
    ++reads;
    const auto found = written.find(manifest.manifest_path);
    if (found == written.end()) return Corruption("{} is missing", manifest.manifest_path);
    return found->second;
  }

  void Merge(std::vector<ManifestFile>& lines) {
    const MergeContext context{.directory = "metadata/m/0", .root_uri = "memory://t",
                               .name = "c" + std::to_string(sequence), .snapshot_id = 2000 + sequence,
                               .sequence_number = sequence + 1};
    ASSERT_OK_AND_ASSIGN(const std::vector<NewFile> files,
                         MergeManifests(metadata, lines, context, [this](const ManifestFile& one) { return Read(one); }));
    ASSERT_LE(files.size(), 1u);
    for (const NewFile& file : files) {
      EXPECT_TRUE(file.bound_to_base);
      EXPECT_EQ(lines.back().manifest_path, "memory://t/" + file.key);
      EXPECT_EQ(lines.back().manifest_length, static_cast<int64_t>(file.body.size()));
      ASSERT_OK_AND_ASSIGN(auto decoded, iceberg::DecodeManifest(file.body, metadata.schemas[0], {}, file.key));
      written[lines.back().manifest_path] = std::move(decoded.entries);
    }
  }

  void ExpectModel(const std::vector<ManifestFile>& lines) {
    std::vector<ManifestEntry> all;
    for (const ManifestFile& line : lines) {
      ASSERT_OK_AND_ASSIGN(std::vector<ManifestEntry> entries, Read(line));
      EXPECT_EQ(line.added_files_count + line.existing_files_count, static_cast<int64_t>(entries.size()));
      int64_t least = line.sequence_number;
      for (ManifestEntry& entry : entries) {
        least = std::min(least, *entry.sequence_number);
        entry.status = EntryStatus::kExisting;
        all.push_back(entry);
      }
      EXPECT_EQ(line.min_sequence_number, least);
    }
    EXPECT_TRUE(all == model);
  }

  iceberg::TableMetadata metadata;
  int64_t sequence = 0;
  int64_t reads = 0;
  std::map<std::string, std::vector<ManifestEntry>> written;
  std::vector<ManifestEntry> model;  // as existing entries
};

TEST_F(ManifestTiers, OneFileCommitsCarryLikeTheDigitsOfANumber) {
  std::vector<ManifestFile> lines;
  for (int i = 0; i < 4200; ++i) {
    Merge(lines);
    lines.push_back(Add(1));
    ASSERT_LE(lines.size(), 30u);
    for (size_t at = 1; at < lines.size(); ++at) {
      ASSERT_LE(lines[at].added_files_count + lines[at].existing_files_count,
                lines[at - 1].added_files_count + lines[at - 1].existing_files_count);
    }
  }
  ExpectModel(lines);
  EXPECT_EQ(lines[0].existing_files_count, 4096);
  EXPECT_EQ(lines[0].existing_rows_count, 4096);
  EXPECT_EQ(lines[0].added_files_count, 0);
  EXPECT_EQ(lines[0].min_sequence_number, 1);
}

TEST_F(ManifestTiers, AFileIsWrittenOncePerTier) {
  std::vector<ManifestFile> lines;
  int64_t rewritten = 0;
  for (int i = 0; i < 4096; ++i) {
    lines.push_back(Add(1));
    const std::string last = lines.back().manifest_path;
    Merge(lines);
    if (lines.back().manifest_path != last) rewritten += lines.back().existing_files_count;
  }
  EXPECT_EQ(lines.size(), 1u);
  EXPECT_LE(rewritten, 4096 * 4);
}

TEST_F(ManifestTiers, CommitsOfAllSizesLeaveAShortList) {
  const auto random = SeededRandom(3);
  std::vector<ManifestFile> lines;
  for (int i = 0; i < 2000; ++i) {
    Merge(lines);
    lines.push_back(Add(i % 2 == 0 ? 1 : 1 + static_cast<int64_t>(random->Next() % 20)));
    ASSERT_LE(lines.size(), 60u) << i;
  }
  ExpectModel(lines);
}

TEST_F(ManifestTiers, AMergeNamesAtMost8192Files) {
  std::vector<ManifestFile> lines;
  for (int i = 0; i < 30; ++i) {
    Merge(lines);
    lines.push_back(Add(1500));
  }
  for (const ManifestFile& line : lines) EXPECT_LE(line.existing_files_count, kMergedFilesMax);
  ExpectModel(lines);
  EXPECT_EQ(lines.size(), 30u) << "such manifests are long enough";
}

TEST_F(ManifestTiers, DeletesOtherSpecsAndEncryptedManifestsStayAndEndTheRun) {
  for (int kind = 0; kind < 3; ++kind) {
    std::vector<ManifestFile> lines;
    for (int i = 0; i < 12; ++i) {
      lines.push_back(Add(1));
      if (i != 4) continue;
      if (kind == 0) lines.back().content = ManifestContent::kDeletes;
      if (kind == 1) lines.back().partition_spec_id = 7;
      if (kind == 2) lines.back().key_metadata = "k";
    }
    std::vector<ManifestFile> before = lines;
    Merge(lines);
    EXPECT_TRUE(lines == before) << "seven behind it are too few";
    lines.push_back(Add(1));
    before = lines;
    Merge(lines);
    ASSERT_EQ(lines.size(), 6u);
    EXPECT_TRUE(std::equal(lines.begin(), lines.end() - 1, before.begin()));
    EXPECT_EQ(lines.back().existing_files_count, 8);
  }
}

TEST_F(ManifestTiers, ManifestsWithoutLiveFilesDisappear) {
  std::vector<ManifestFile> lines;
  for (int i = 0; i < 8; ++i) {
    lines.push_back(Add(0));
    lines.back().deleted_files_count = 3;
  }
  Merge(lines);
  EXPECT_TRUE(lines.empty());
}

TEST_F(ManifestTiers, AManifestThatCannotBeReadIsAnError) {
  std::vector<ManifestFile> lines;
  for (int i = 0; i < 8; ++i) lines.push_back(Add(1));
  written.erase(lines[2].manifest_path);
  const auto merged = MergeManifests(metadata, lines, {}, [this](const ManifestFile& one) { return Read(one); });
  EXPECT_THAT(merged, HasKind(ErrorKind::kCorruption));
  EXPECT_EQ(lines.size(), 8u);
}

TEST_F(ManifestTiers, NothingIsReadWhereNothingIsDue) {
  std::vector<ManifestFile> lines;
  for (int i = 0; i < 7; ++i) lines.push_back(Add(1));
  Merge(lines);
  EXPECT_EQ(reads, 0);
  EXPECT_EQ(lines.size(), 7u);
}

}  // namespace
}  // namespace datashard::commit
