// Invariants: decode(encode(x)) == x; a part is decoded without looking at the rest; bad bytes give kCorruption or a value,
// never a crash; no text of the root leads outside metadata/history.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "iceberg/history_root.h"
#include "iceberg/history_segment.h"
#include "support/matchers.h"

namespace datashard::iceberg {
namespace {

constexpr std::string_view kName = "history.avro";
constexpr std::string_view kUuid = "7c3f4d7e-0000-4000-8000-000000000001";

std::vector<ArchivedSnapshot> Snapshots(uint64_t seed, int64_t count) {
  const auto random = SeededRandom(seed);
  std::vector<ArchivedSnapshot> snapshots;
  for (int64_t i = 0; i < count; ++i) {
    ArchivedSnapshot& one = snapshots.emplace_back();
    one.snapshot.snapshot_id = RandomId63(*random);
    if (random->Next() % 8 != 0) one.snapshot.parent_snapshot_id = RandomId63(*random);
    one.snapshot.sequence_number = i + 1;
    one.snapshot.timestamp_ms = 1'700'000'000'000 + i * 10;
    one.snapshot.manifest_list = "memory://t/metadata/m/0/" + RandomHex(*random, 16);
    if (random->Next() % 8 != 0) one.snapshot.schema_id = static_cast<int32_t>(random->Next() % 3);
    one.snapshot.summary = {{"operation", "append"}, {"total-records", std::to_string(i)}};
    if (random->Next() % 8 == 0) one.snapshot.extra = {{"key-id", "\"k1\""}, {"first-row-id", "7"}};
    for (uint64_t lines = random->Next() % 3; lines > 0; --lines)
      one.log.push_back({one.snapshot.timestamp_ms + static_cast<int64_t>(lines), one.snapshot.snapshot_id});
  }
  return snapshots;
}

HistoryEntry Entry(int32_t level, const std::vector<ArchivedSnapshot>& snapshots) {
  return {.level = level, .range = RangeOf(snapshots), .uuid = std::string(kUuid)};
}

HistoryLine Line(const std::vector<ArchivedSnapshot>& snapshots) {
  HistoryLine line{.segment = Entry(2, snapshots)};
  for (const ArchivedSnapshot& one : snapshots) line.id_prints.push_back(IdPrint(one.snapshot.snapshot_id));
  return line;
}

TEST(HistoryRoot, TextComesBack) {
  HistoryRoot root;
  EXPECT_EQ(*ParseHistory(PrintHistory(root), kName), root);
  for (int32_t level : {4, 2, 0}) root.entries.push_back(Entry(level, Snapshots(static_cast<uint64_t>(level), 5)));
  const std::string text = PrintHistory(root);
  EXPECT_EQ(text.substr(0, 106), "1;4,7c3f4d7e-0000-4000-8000-000000000001,5,1,5,1700000000000,1700000000042;2,7c3f4d7e-0000-4000-8000-00000");
  ASSERT_OK_AND_ASSIGN(const auto parsed, ParseHistory(text, kName));
  EXPECT_EQ(parsed, root);
  EXPECT_EQ(parsed.entries[0].key(), "metadata/history/1-5-7c3f4d7e-0000-4000-8000-000000000001.avro");
  EXPECT_EQ(parsed.count(), 15);
}

TEST(HistoryRoot, ExpiryComesBackAndHides) {
  HistoryRoot root{.entries = {Entry(0, Snapshots(1, 5))}, .floor_sequence = 3, .floor_timestamp_ms = 17, .hidden_count = 2};
  EXPECT_EQ(PrintHistory(root), "2;3,17,2;;0,7c3f4d7e-0000-4000-8000-000000000001,5,1,5,1700000000000,1700000000040");
  EXPECT_EQ(*ParseHistory(PrintHistory(root), kName), root);
  root.expired_ids = {7, 99};
  EXPECT_TRUE(PrintHistory(root).starts_with("2;3,17,2;7,99;0,"));
  EXPECT_EQ(*ParseHistory(PrintHistory(root), kName), root);
  EXPECT_EQ(root.count(), 1);
  EXPECT_TRUE(root.IsExpired(2, 1));
  EXPECT_FALSE(root.IsExpired(3, 1));
  EXPECT_TRUE(root.IsExpired(3, 99));
  EXPECT_FALSE(root.is_below_floor(root.entries[0]));
  root.entries.clear();
  root.expired_ids.clear();
  root.hidden_count = 0;
  EXPECT_EQ(*ParseHistory(PrintHistory(root), kName), root) << "a floor outlives its files";
}

TEST(HistoryRoot, GarbageIsCorruption) {
  const std::string good = "1;0,7c3f4d7e-0000-4000-8000-000000000001,5,1,5,10,20";
  ASSERT_THAT(ParseHistory(good, kName), IsOk());
  for (const std::string& bad : {
           std::string(), std::string("3"), std::string("2"), std::string("2;0,0,0;"), std::string("2;3,17;"),
           std::string("2;3,17,0,;"), std::string("2;-3,17,0;"), std::string("2;3,17,0;9,7"), std::string("2;3,17,0;7,7"),
           std::string("2;3,17,0;x"), std::string("2;3,17,1;"), "2;3,17,6;" + good.substr(1), std::string("{}"), good + ",", good + ";;", good + ";0", good + "x",
           std::string("1;0,../../../../../../../etc/passwd/00000000,5,1,5,10,20"),
           std::string("1;0,7C3F4D7E-0000-4000-8000-000000000001,5,1,5,10,20"),
           std::string("1;-1,7c3f4d7e-0000-4000-8000-000000000001,5,1,5,10,20"),
           std::string("1;21,7c3f4d7e-0000-4000-8000-000000000001,5,1,5,10,20"),
           std::string("1;0,7c3f4d7e-0000-4000-8000-000000000001,0,1,5,10,20"),
           std::string("1;0,7c3f4d7e-0000-4000-8000-000000000001,5,6,5,10,20"),
           std::string("1;0,7c3f4d7e-0000-4000-8000-000000000001,5,1,5,30,20"),
           std::string("1;0,7c3f4d7e-0000-4000-8000-000000000001,+5,1,5,10,20"),
           std::string("1;0,7c3f4d7e-0000-4000-8000-000000000001,99999999999999999999,1,5,10,20")}) {
    EXPECT_THAT(ParseHistory(bad, kName), HasKind(ErrorKind::kCorruption)) << bad;
    EXPECT_THAT(ParseHistory(bad, kName), HasMessage(std::string(kName))) << bad;
  }
  std::string many = "1";
  for (size_t i = 0; i <= kHistoryEntriesMax; ++i) many += good.substr(1);
  EXPECT_THAT(ParseHistory(many, kName), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(ParseHistory(std::string(kHistoryTextBytesMax + 1, '1'), kName), HasKind(ErrorKind::kCorruption));
}

TEST(HistorySegment, RandomSnapshotsComeBack) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const auto snapshots = Snapshots(seed, seed % 20 == 0 ? 2048 : 1 + static_cast<int64_t>(seed * 7 % 200));
    ASSERT_OK_AND_ASSIGN(const Bytes file, EncodeHistorySegment(snapshots));
    ASSERT_OK_AND_ASSIGN(const auto decoded, DecodeHistorySegment(file, kName));
    EXPECT_TRUE(decoded == snapshots) << "seed " << seed;
    EXPECT_EQ(*EncodeHistorySegment(snapshots), file);
  }
}

TEST(HistorySegment, BlocksHoldAtMost64SnapshotsAndAMegabyte) {
  auto snapshots = Snapshots(1, 130);
  ASSERT_OK_AND_ASSIGN(const auto blocks, ReadHistoryBlocks(*EncodeHistorySegment(snapshots), kName));
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[0].range.count, 64);
  EXPECT_EQ(blocks[1].range.first_sequence, 65);
  EXPECT_EQ(blocks[2].range.last_sequence, 130);
  EXPECT_EQ(blocks[2].id_prints, (std::vector{IdPrint(snapshots[128].snapshot.snapshot_id),
                                              IdPrint(snapshots[129].snapshot.snapshot_id)}));
  const auto random = SeededRandom(5);
  for (ArchivedSnapshot& one : snapshots) one.snapshot.summary.emplace_back("long", RandomHex(*random, 300'000));
  ASSERT_OK_AND_ASSIGN(const Bytes file, EncodeHistorySegment(snapshots));
  EXPECT_EQ(ReadHistoryBlocks(file, kName)->size(), 33u);
  EXPECT_TRUE(*DecodeHistorySegment(file, kName) == snapshots);
}

TEST(HistorySegment, OnlyTheWantedBlockIsUnpacked) {
  const auto snapshots = Snapshots(2, 300);
  ASSERT_OK_AND_ASSIGN(Bytes file, EncodeHistorySegment(snapshots));
  // What the first block is packed in becomes nonsense; its frame stays.
  const size_t first_block = file.find("avro.schema");
  const Bytes sync = file.substr(file.size() - 16);
  const size_t packed = file.find(sync, first_block) + 16 + 8;
  for (size_t i = 0; i < 40; ++i) file[packed + i] = '\xff';
  EXPECT_THAT(DecodeHistorySegment(file, kName), HasKind(ErrorKind::kCorruption));
  const auto by_sequence = [](const HistoryBlock& block) {
    return block.range.first_sequence <= 200 && 200 <= block.range.last_sequence;
  };
  ASSERT_OK_AND_ASSIGN(const auto part, DecodeHistorySegment(file, kName, by_sequence));
  ASSERT_EQ(part.size(), 64u);
  EXPECT_TRUE(std::find(part.begin(), part.end(), snapshots[199]) != part.end());
  EXPECT_TRUE(DecodeHistorySegment(file, kName, [](const HistoryBlock&) { return false; })->empty());
}

TEST(HistoryIndex, LinesComeBack) {
  std::vector<HistoryLine> lines;
  for (uint64_t seed = 0; seed < 20; ++seed) lines.push_back(Line(Snapshots(seed, 2048)));
  ASSERT_OK_AND_ASSIGN(const Bytes file, EncodeHistoryIndex(lines));
  ASSERT_OK_AND_ASSIGN(const auto decoded, DecodeHistoryIndex(file, kName));
  EXPECT_TRUE(decoded == lines);
}

TEST(HistoryIndex, ItsHeadNamesTheSegmentsAndItsIdsSayWhich) {
  std::vector<HistoryLine> lines;
  std::vector<HistoryEntry> segments;
  for (uint64_t seed = 0; seed < 512; ++seed) {
    lines.push_back(Line(Snapshots(seed, 300)));
    segments.push_back(lines.back().segment);
  }
  ASSERT_OK_AND_ASSIGN(const Bytes file, EncodeHistoryIndex(lines));
  ASSERT_GT(static_cast<int64_t>(file.size()), kHistoryIndexHeadBytes);
  EXPECT_EQ(*ReadHistoryIndex(ByteView(file).substr(0, kHistoryIndexHeadBytes), kName), segments);
  EXPECT_THAT(ReadHistoryIndex(ByteView(file).substr(0, 1000), kName), HasKind(ErrorKind::kCorruption));
  const int64_t id = Snapshots(77, 300)[299].snapshot.snapshot_id;
  EXPECT_EQ(*FindInHistoryIndex(file, kName, id), std::vector{segments[77]});
  EXPECT_EQ(*FindInHistoryIndex(file, kName, id ^ 1), std::vector<HistoryEntry>());
  EXPECT_THAT(FindInHistoryIndex(ByteView(file).substr(0, kHistoryIndexHeadBytes), kName, id), HasKind(ErrorKind::kCorruption));
}

TEST(HistoryFiles, OneKindIsNotReadAsTheOther) {
  ASSERT_OK_AND_ASSIGN(const Bytes segment, EncodeHistorySegment(Snapshots(1, 3)));
  ASSERT_OK_AND_ASSIGN(const Bytes index, EncodeHistoryIndex(std::vector{Line(Snapshots(1, 3))}));
  EXPECT_THAT(DecodeHistoryIndex(segment, kName), HasMessage("expected index, found segment"));
  EXPECT_THAT(DecodeHistorySegment(index, kName), HasMessage("expected segment, found index"));
}

TEST(HistoryFiles, TruncatedAnywhereIsCorruption) {
  ASSERT_OK_AND_ASSIGN(const Bytes segment, EncodeHistorySegment(Snapshots(3, 130)));
  ASSERT_OK_AND_ASSIGN(const Bytes index, EncodeHistoryIndex(std::vector{Line(Snapshots(1, 3)), Line(Snapshots(2, 70))}));
  for (size_t size = 0; size < segment.size(); ++size)
    EXPECT_THAT(DecodeHistorySegment(segment.substr(0, size), kName), HasKind(ErrorKind::kCorruption)) << size;
  for (size_t size = 0; size < index.size(); ++size)
    EXPECT_THAT(DecodeHistoryIndex(index.substr(0, size), kName), HasKind(ErrorKind::kCorruption)) << size;
}

TEST(HistoryFiles, ChangedBytesAreCorruptionOrValues) {
  ASSERT_OK_AND_ASSIGN(const Bytes segment, EncodeHistorySegment(Snapshots(4, 70)));
  ASSERT_OK_AND_ASSIGN(const Bytes index, EncodeHistoryIndex(std::vector{Line(Snapshots(1, 3)), Line(Snapshots(2, 70))}));
  const auto random = SeededRandom(6);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    for (Bytes file : {segment, index}) {
      for (uint64_t changes = 1 + random->Next() % 3; changes > 0; --changes)
        file[random->Next() % file.size()] = static_cast<char>(random->Next());
      for (const Status& status : {[&]() -> Status {
                                     DS_RETURN_IF_ERROR(DecodeHistorySegment(file, kName));
                                     return {};
                                   }(),
                                   [&]() -> Status {
                                     DS_RETURN_IF_ERROR(DecodeHistoryIndex(file, kName));
                                     return {};
                                   }()}) {
        if (status.ok()) continue;
        ++refused;
        EXPECT_TRUE(status.kind() == ErrorKind::kCorruption || status.kind() == ErrorKind::kUnsupported) << status.error().ToString();
      }
    }
  }
  EXPECT_GT(refused, 3000);
}

}  // namespace
}  // namespace datashard::iceberg
