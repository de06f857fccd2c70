// Reading what our writer does not write: level 0, runs of several SSTs, tombstones, old formats, views, the WAL, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "kv/kv_test_support.h"
#include "sim/sim_clock.h"
#include "slatedb/slatedb_shard.h"
#include "slatedb/slatedb_test_support.h"

namespace datashard::slatedb {
namespace {

using kv::Lookup;
using kv::Pairs;
using kv::Place;
using kv::PlacedObjects;

// Opened in one place.
struct Opened {
  Opened(const TestDatabase& made, Place place, Clock& clock = SystemClock()) : placed(made.Objects(), place), database(OpenSlateDbShard(placed.directory(), clock)) {}
  PlacedObjects placed;
  Result<std::unique_ptr<kv::Database>> database;
};

void ExpectPairs(const TestDatabase& made, const Pairs& pairs) {
  for (const Place place : {Place::kMapped, Place::kStored}) {
    const Opened opened(made, place);
    ASSERT_THAT(opened.database, IsOk());
    kv::ExpectHolds(**opened.database, pairs);
    for (const kv::KeyRange& range : {kv::KeyRange{"b", "d"}, kv::KeyRange{"c", std::nullopt}, kv::KeyRange{"a1", "a2"}}) {
      ASSERT_OK_AND_ASSIGN(const auto scanned, kv::PairsOf(**opened.database, range));
      EXPECT_EQ(scanned, kv::ExpectedPairs(pairs, range));
    }
  }
}

TEST(SlateDbReader, TheNewestOfLevelZeroRunsAndWalCounts) {
  for (const int version : {1, 2}) {
    TestDatabase made;
    made.extras = {.version = version, .replay_after_wal_id = 4, .last_l0_sequence = 30};
    made.SortedRun({{Put("a", "a1", 1), Put("b", "b1", 2), Put("c", "c1", 3)}, {Put("d", "d1", 4), Put("e", "e1", 5), Put("f", "f1", 6)}})
        .L0({Put("a", "a30", 30), Tombstone("e", 29)})
        .L0({Put("a", "a20", 20), Put("b", "b20", 21), Tombstone("c", 22)})
        .Wal(5, {Put("d", "late", 28), Put("f", "f40", 40), Tombstone("b", 41)})
        .Wal(6, {})
        .Wal(7, {Put("b", "b50", 50), Put("g", "g51", 51), Put("f", "f52", 52)});
    ExpectPairs(made, {{"a", "a30"}, {"b", "b50"}, {"d", "d1"}, {"f", "f52"}, {"g", "g51"}});
  }
}

TEST(SlateDbReader, OfSeveralVersionsOfAKeyTheFirstCountsAcrossBlocksAndSsts) {
  for (const int version : {1, 2}) {
    const SstShape shape{.version = version, .rows_per_block = 2};
    TestDatabase made;
    std::vector<TestRow> many = {Put("a", "1", 1)};
    for (uint64_t sequence = 20; sequence > 10; --sequence) many.push_back(Put("b", fmt::format("b{}", sequence), sequence));
    std::vector<TestRow> rest = {Put("b", "b9", 9), Put("b", "b8", 8), Put("c", "c", 2)};
    made.SortedRun({many, rest}, shape);
    ExpectPairs(made, {{"a", "1"}, {"b", "b20"}, {"c", "c"}});
  }
}

TEST(SlateDbReader, ManyRandomLayersAnswerAsOneMap) {
  for (const uint64_t seed : sim::SeedsFromEnvOrRandom(6)) {
    const std::unique_ptr<Random> random = SeededRandom(seed);
    const SstShape shape{.version = static_cast<int>(1 + random->Next() % 2),
                         .compression = static_cast<Compression>(random->Next() % 5),
                         .rows_per_block = 1 + random->Next() % 9,
                         .filter = static_cast<SstShape::Filter>(random->Next() % 4)};
    TestDatabase made;
    made.extras = {.version = static_cast<int>(1 + random->Next() % 2)};
    std::vector<std::map<Bytes, TestRow>> layers(5);  // the oldest first
    Pairs pairs;
    uint64_t sequence = 0;
    for (auto& layer : layers) {
      for (const auto& [key, value] : kv::RandomPairs(*random, 120, 3, 20)) {
        layer[key] = random->Next() % 4 == 0 ? Tombstone(key, ++sequence) : Put(key, value, ++sequence);
        if (layer[key].flags) pairs.erase(key);
        else pairs[key] = value;
      }
    }
    const auto rows = [&](size_t layer) {
      std::vector<TestRow> all;
      for (const auto& [key, row] : layers[layer]) all.push_back(row);
      return all;
    };
    made.L0(rows(4), shape).L0(rows(3), shape);
    for (const size_t layer : {size_t{2}, size_t{1}, size_t{0}}) {
      const std::vector<TestRow> all = rows(layer);
      const auto middle = all.begin() + static_cast<ptrdiff_t>(all.size() / 2);
      made.SortedRun({{all.begin(), middle}, {middle, all.end()}}, shape);
    }
    ASSERT_NO_FATAL_FAILURE(ExpectPairs(made, pairs)) << "seed " << seed;
  }
}

TEST(SlateDbReader, AViewShowsOnlyItsKeys) {
  const std::vector<TestRow> rows = {Put("a", "1", 1), Put("b", "2", 2), Put("c", "3", 3), Put("d", "4", 4)};
  for (const int version : {1, 2}) {
    TestDatabase made;
    made.extras = {.version = version};
    made.L0(rows, {}, KeyBounds{.start = "b", .end = "d"});
    ExpectPairs(made, {{"b", "2"}, {"c", "3"}});
    TestDatabase other;
    other.extras = {.version = version};
    other.L0(rows, {}, KeyBounds{.start = "a", .start_excluded = true, .end = "c", .end_included = true});
    ExpectPairs(other, {{"b", "2"}, {"c", "3"}});
    TestDatabase open;
    open.L0(rows, {}, KeyBounds{.start = "c"});
    ExpectPairs(open, {{"c", "3"}, {"d", "4"}});
  }
}

TEST(SlateDbReader, APairIsAbsentFromItsExpiryOn) {
  sim::SimClock clock;
  TestRow row = Put("k", "v", 2);
  row.flags = Row::kHasExpiry | Row::kHasCreation;
  row.expires_ms = ToMillis(clock.Now()) + 5000;
  TestDatabase timed;
  timed.L0({row}).SortedRun({{Put("k", "older", 1)}});
  const Opened opened(timed, Place::kMapped, clock);
  ASSERT_OK_AND_ASSIGN(const Lookup before, (*opened.database)->Find("k", kv::Residency::kAnywhere));
  EXPECT_EQ(before.value.bytes, "v");
  clock.Sleep(std::chrono::milliseconds(5000));
  ASSERT_OK_AND_ASSIGN(const Lookup after, (*opened.database)->Find("k", kv::Residency::kAnywhere));
  EXPECT_EQ(after.outcome, Lookup::Outcome::kAbsent);
  ASSERT_OK_AND_ASSIGN(const auto scanned, kv::PairsOf(**opened.database, {}));
  EXPECT_TRUE(scanned.empty());
}

TEST(SlateDbReader, MergeOperandsAreRefusedAtTheirKeyOnly) {
  TestDatabase made;
  TestRow merged = Put("m", "+1", 5);
  merged.flags = Row::kMergeOperand;
  made.L0({Put("a", "1", 1), merged});
  const Opened opened(made, Place::kMapped);
  EXPECT_THAT((*opened.database)->Find("m", kv::Residency::kAnywhere), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT((*opened.database)->Find("m", kv::Residency::kAnywhere), HasMessage("merge operator"));
  EXPECT_THAT((*opened.database)->Find("a", kv::Residency::kAnywhere), IsOk());
  EXPECT_THAT(kv::PairsOf(**opened.database, {}), HasKind(ErrorKind::kUnsupported));
  TestDatabase in_wal;
  in_wal.Wal(1, {merged});
  const Opened other(in_wal, Place::kStored);
  EXPECT_THAT((*other.database)->Find("m", kv::Residency::kAnywhere), HasMessage("shard/wal: a key was changed by a merge operator"));
}

TEST(SlateDbReader, UnknownFlagsAreRefused) {
  TestDatabase made;
  TestRow row = Put("a", "1", 1);
  row.flags = 0x20;
  made.L0({row});
  const Opened opened(made, Place::kStored);
  EXPECT_THAT((*opened.database)->Find("a", kv::Residency::kAnywhere), HasKind(ErrorKind::kUnsupported));
}

Status OpenStatus(const TestDatabase& made) {
  const Opened opened(made, Place::kStored);
  return opened.database.ok() ? Status() : Status(opened.database.error());
}

TEST(SlateDbReader, WhatIsNotReadIsNamed) {
  TestDatabase made;
  made.extras = {.has_external = true};
  EXPECT_THAT(OpenStatus(made), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(OpenStatus(made), HasMessage("1 other databases"));
  made.extras = {.version = 2, .has_segments = true};
  EXPECT_THAT(OpenStatus(made), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(OpenStatus(made), HasMessage("1 segments"));
  made.extras = {.wal_store = "s3://elsewhere"};
  EXPECT_THAT(OpenStatus(made), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(OpenStatus(made), HasMessage("s3://elsewhere"));
  made.extras = {.initialized = false};
  EXPECT_THAT(OpenStatus(made), HasKind(ErrorKind::kUnsupported));
}

TEST(SlateDbReader, UnknownVersionsNameWhatWasFoundAndWhatIsRead) {
  Bytes manifest = TestDatabase().ManifestBytes();
  manifest[1] = 3;
  const Result<Manifest> decoded = DecodeManifest(manifest, "m");
  EXPECT_THAT(decoded, HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(decoded, HasMessage("manifest version 3; 1 and 2 are read"));
  TestDatabase made;
  made.L0({Put("a", "1", 1)}, {.version = 3});
  EXPECT_THAT(OpenStatus(made), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(OpenStatus(made), HasMessage("format version 3; 1 and 2 are read"));
}

TEST(SlateDbReader, AnSstOfAnotherVersionThanItsManifestSaysIsCorrupt) {
  TestDatabase made;
  made.L0({Put("a", "1", 1)}, {.version = 2});
  auto objects = made.Objects();
  objects[0].second.back() = 1;
  const PlacedObjects placed(objects, Place::kStored);
  ASSERT_OK_AND_ASSIGN(const auto database, OpenSlateDbShard(placed.directory()));
  EXPECT_THAT(database->Find("a", kv::Residency::kAnywhere), HasKind(ErrorKind::kCorruption));
}

TEST(SlateDbReader, AMissingWalObjectIsALoss) {
  TestDatabase made;
  made.extras.replay_after_wal_id = 1;
  made.Wal(1, {Put("old", "x", 1)}).Wal(2, {Put("a", "1", 2)}).Wal(4, {Put("b", "1", 3)});
  EXPECT_THAT(OpenStatus(made), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(OpenStatus(made), HasMessage("number 3 is missing"));
}

TEST(SlateDbReader, EveryFlippedByteOfAnSstOrTheWalIsSeen) {
  for (const Compression compression : {Compression::kNone, Compression::kZstd}) {
    for (const int version : {1, 2}) {
      TestDatabase made;
      const SstShape shape{.version = version, .compression = compression, .filter = SstShape::Filter::kComposite};
      made.L0({Put("a", "1", 1), Put("b", "2", 2), Put("c", "3", 3), Put("d", "4", 4)}, shape).Wal(1, {Put("e", "5", 5), Put("f", "6", 6)}, shape);
      const Pairs pairs = {{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}, {"e", "5"}, {"f", "6"}};
      const kv::Format format{.open = [](const kv::ShardDirectory& directory) { return OpenSlateDbShard(directory); }};
      for (size_t object = 0; object < 2; ++object) {
        const auto whole = made.Objects();
        for (size_t at = 0; at < whole[object].second.size(); ++at) {
          auto objects = whole;
          // A WAL file says its version itself: a flip from 2 to 1 there is the one that its checksums do not cover.
          objects[object].second[at] = static_cast<char>(objects[object].second[at] ^ 0x11);
          EXPECT_TRUE(kv::RightOrRefused(format, objects, pairs, Place::kStored)) << objects[object].first << " at " << at;
        }
      }
    }
  }
}

}  // namespace
}  // namespace datashard::slatedb
