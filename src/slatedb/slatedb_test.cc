// Blocks, filters, codecs, the bytes of a small database, and the requests that reading costs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <atomic>
#include <thread>

#include "base/crc32.h"
#include "kv/kv_test_support.h"
#include "sim/sim_clock.h"
#include "slatedb/slatedb_shard.h"
#include "slatedb/slatedb_test_support.h"

namespace datashard::slatedb {
namespace {

using testing::HasSubstr;

Bytes FromHex(ByteView text) {
  Bytes bytes;
  std::string digits;
  for (const char letter : text) {
    if (letter == ' ') continue;
    digits.push_back(letter);
    if (digits.size() == 2) {
      bytes.push_back(static_cast<char>(std::stoi(digits, nullptr, 16)));
      digits.clear();
    }
  }
  return bytes;
}

kv::OutputFactory MemoryOutputs() {
  return [] { return std::make_unique<kv::Output>(1 << 24, "/nonexistent"); };
}

class FixedRandom final : public Random {
 public:
  uint64_t Next() override { return 0x0123456789abcdef; }
};

kv::Objects Built(SlateDbWriterOptions options, const kv::Pairs& pairs) {
  return kv::BuildDatabase({.new_writer = [&](kv::OutputFactory outputs) {
                             static sim::SimClock clock;
                             static FixedRandom random;
                             return NewSlateDbWriter(options, std::move(outputs), clock, random);
                           }},
                           pairs);
}

TEST(SlateDbFilter, TheHashIsSipHash13UnderKeyZero) {  // vectors from CPython's own, with PYTHONHASHSEED=0
  EXPECT_EQ(FilterHash("a"), 0x407448d2b89b1813u);
  EXPECT_EQ(FilterHash("abcdefgh"), 0x3f7b849c0b8e35eau);
  EXPECT_EQ(FilterHash("key00000042"), 0xc0562833f7b67266u);
}

TEST(SlateDbFilter, NoKeyIsMissedAndFewOthersPass) {
  for (const int bits_per_key : {1, 3, 10, 20}) {
    std::vector<uint64_t> hashes;
    for (int i = 0; i < 5000; ++i) hashes.push_back(FilterHash(fmt::format("in {}", i)));
    const Bytes data = BuildFilter(hashes, bits_per_key);
    const std::optional<FilterView> filter = FilterView::Parse(data);
    ASSERT_TRUE(filter);
    for (const uint64_t hash : hashes) ASSERT_TRUE(filter->MayContain(hash));
    int passed = 0;
    for (int i = 0; i < 5000; ++i) passed += filter->MayContain(FilterHash(fmt::format("out {}", i)));
    if (bits_per_key == 10) {
      EXPECT_LT(passed, 150);
    }
  }
}

TEST(SlateDbFilter, HostileCompositesAreRefused) {
  const Bytes good = CompositeOf(BuildFilter({1, 2, 3}, 10));
  ASSERT_TRUE(ParseComposite(good).valid);
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(ParseComposite(ByteView(good).substr(0, size)).valid) << size;
  EXPECT_FALSE(ParseComposite(good + "x").valid);
  Bytes huge = good;
  huge[7] = '\xff';  // in the length of the data
  EXPECT_FALSE(ParseComposite(huge).valid);
}

TEST(SlateDbBlock, RowsComeBackInBothVersions) {
  for (const uint64_t seed : sim::SeedsFromEnvOrRandom(5)) {
    const std::unique_ptr<Random> random = SeededRandom(seed);
    std::vector<TestRow> rows;
    uint64_t sequence = 0;
    for (const auto& [key, value] : kv::RandomPairs(*random, 60, 5, 40)) rows.push_back(random->Next() % 5 ? Put(key, value, ++sequence) : Tombstone(key, ++sequence));
    for (const int version : {1, 2}) {
      const Bytes bytes = MakeBlock(rows, version);
      const std::optional<BlockView> block = BlockView::Parse(bytes, version);
      ASSERT_TRUE(block);
      BlockRows walk(*block);
      for (const TestRow& row : rows) {
        ASSERT_EQ(walk.Next(), Sought::kFound);
        EXPECT_EQ(walk.key(), row.key);
        EXPECT_EQ(walk.row().value, row.value);
        EXPECT_EQ(walk.row().sequence, row.sequence);
        Row found;
        ASSERT_EQ(block->Find(row.key, found), Sought::kFound) << "seed " << seed;
        EXPECT_EQ(found.sequence, row.sequence);
        EXPECT_EQ(block->Find(row.key + "\x01", found), Sought::kAbsent);
      }
      EXPECT_EQ(walk.Next(), Sought::kAbsent);
    }
  }
}

TEST(SlateDbBlock, DamagedBlocksEndInsteadOfOverrunning) {
  for (const int version : {1, 2}) {
    const Bytes good = MakeBlock({Put("apple", "1", 1), Put("apply", "22", 2), Tombstone("banana", 3), Put("bandana", Bytes(200, 'x'), 4)}, version);
    for (size_t at = 0; at < good.size(); ++at) {
      for (const int mask : {0x01, 0x40, 0x80, 0xff}) {
        Bytes bytes = good;
        bytes[at] = static_cast<char>(bytes[at] ^ mask);
        const std::optional<BlockView> block = BlockView::Parse(bytes, version);
        if (!block) continue;
        BlockRows walk(*block);
        for (int rows = 0; walk.Next() == Sought::kFound; ++rows) ASSERT_LT(rows, 100);
        Row row;
        for (const ByteView key : {"apple", "banana", "bandana", "zebra", ""}) block->Find(key, row);
      }
    }
    for (size_t size = 0; size < good.size(); ++size) {
      const std::optional<BlockView> block = BlockView::Parse(ByteView(good).substr(0, size), version);
      Row row;
      if (block) block->Find("bandana", row);
    }
  }
}

TEST(SlateDbCodec, ChecksumsAreThoseOfZlib) {
  const std::unique_ptr<Random> random = SeededRandom(6);
  Bytes bytes(70'000, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random->Next());
  for (int i = 0; i < 2'000; ++i) {
    const size_t start = random->Next() % 100;
    const ByteView part = ByteView(bytes).substr(start, i < 300 ? static_cast<size_t>(i) : random->Next() % 69'000);
    const uint32_t before = i % 2 == 0 ? 0 : static_cast<uint32_t>(random->Next());
    const auto zlib = static_cast<uint32_t>(crc32_z(before, reinterpret_cast<const Bytef*>(part.data()), part.size()));
    ASSERT_EQ(Crc32(part, before), zlib) << part.size();
    ASSERT_EQ(Crc32ByTables(part, before), zlib) << part.size();
  }
}

TEST(SlateDbCodec, EveryCodecComesBack) {
  const std::unique_ptr<Random> random = SeededRandom(5);
  for (int codec = 0; codec <= 4; ++codec) {
    for (const size_t size : {0, 1, 100, 5000, 300000}) {
      Bytes bytes(size, 'a');
      for (size_t i = 0; i < size; i += 1 + random->Next() % 50) bytes[i] = static_cast<char>(random->Next());
      ASSERT_OK_AND_ASSIGN(const Bytes sealed, Seal(bytes, static_cast<Compression>(codec)));
      const std::optional<ByteView> checked = CheckCrc(sealed);
      ASSERT_TRUE(checked);
      const std::optional<Bytes> plain = Decompress(*checked, static_cast<Compression>(codec));
      ASSERT_TRUE(plain) << codec << ' ' << size;
      EXPECT_EQ(*plain, bytes);
    }
  }
}

TEST(SlateDbCodec, DamagedAndHostileLengthsAreRefused) {
  for (int codec = 1; codec <= 4; ++codec) {
    const Bytes sealed = *Seal(Bytes(5000, 'a') + "end", static_cast<Compression>(codec));
    const ByteView good = ByteView(sealed).substr(0, sealed.size() - kCrcBytes);
    for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(Decompress(good.substr(0, size), static_cast<Compression>(codec))) << codec << ' ' << size;
    EXPECT_FALSE(Decompress(Bytes(100, '\xff'), static_cast<Compression>(codec)));
  }
  EXPECT_FALSE(Decompress(FromHex("ffffff7f 00 00"), Compression::kLz4));       // 2 GiB in 6 bytes
  EXPECT_FALSE(Decompress(FromHex("ffffffff0f 00 00"), Compression::kSnappy));  // 4 GiB in 7 bytes
}

TEST(SlateDbManifest, DamagedManifestsAreRefusedOrRead) {
  for (const int version : {1, 2}) {
    TestDatabase made;
    made.extras = {.version = version, .has_segments = version == 2};
    made.L0({Put("a", "1", 1)}, {}, KeyBounds{.start = "a", .end = "c"}).SortedRun({{Put("b", "1", 1)}, {Put("c", "1", 1)}});
    const Bytes good = made.ManifestBytes();
    for (size_t at = 0; at < good.size(); ++at) {
      for (const int mask : {0x01, 0x80, 0xff}) {
        Bytes bytes = good;
        bytes[at] = static_cast<char>(bytes[at] ^ mask);
        const Result<Manifest> decoded = DecodeManifest(bytes, "m");
        if (!decoded.ok()) {
          EXPECT_THAT(decoded.error().kind(), testing::AnyOf(ErrorKind::kCorruption, ErrorKind::kUnsupported));
        }
      }
    }
    for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(DecodeManifest(ByteView(good).substr(0, size), "m").ok()) << size;
  }
}

TEST(SlateDbManifest, TheNewestIsReadAndOtherNamesAreNot) {
  kv::Objects objects = Built({}, {{"a", "1"}});
  objects.emplace_back("manifest/00000000000000000009.manifest", Built({}, {}).back().second);
  objects.emplace_back("manifest/zzz.manifest", "no manifest");
  objects.emplace_back("manifest/00000000000000000010.manifest.tmp", "no manifest");
  const kv::PlacedObjects placed(objects, kv::Place::kStored);
  ASSERT_OK_AND_ASSIGN(const auto database, OpenSlateDbShard(placed.directory()));
  ASSERT_OK_AND_ASSIGN(const kv::Lookup found, database->Find("a", kv::Residency::kAnywhere));
  EXPECT_EQ(found.outcome, kv::Lookup::Outcome::kAbsent);
}

// docs/formats/slatedb_shard.md shows these bytes; change both together.
TEST(SlateDbWriter, ASmallDatabaseHasTheBytesOfItsDocument) {
  const kv::Objects objects = Built({.min_filter_keys = 2}, {{"apple", "red"}, {"apply", ""}});
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_EQ(objects[0].first, "compacted/01Q3DCBD00SQQG28T5CY4TQKFF.sst");
  EXPECT_EQ(objects[0].second, FromHex("00050361 70706c65 72656400 00000000 00000100 04010079 00000000 00000002 00000000 010efd6c f7000100 035f6266 00000000 00000005"
                                       "00063815 690fbc9a 4d0c0000 00000006 00080004 00060000 00040000 00010000 000c0000 00080008 00000004 00080000 00040000 00000000"
                                       "00709137 9d180000 00000000 00100020 00080000 00000010 00180004 00100000 001c0000 00020000 00000000 000a0000 00000000 00030000"
                                       "00000000 00010000 000c0000 00000006 00080006 00060000 00000002 00fbecf7 a2200000 0000001a 00400008 00100018 00200028 00000000"
                                       "000c0030 00380007 001a0000 00000000 01440000 00340000 00410000 00000000 00340000 00000000 00290000 00000000 00180000 00000000"
                                       "00750000 00000000 00540000 00000000 00050000 00617070 6c790000 00050000 00617070 6c650000 00e4da73 05000000 00000000 c90002"));
  EXPECT_EQ(objects[1].first, "manifest/00000000000000000001.manifest");
  EXPECT_EQ(objects[1].second, FromHex("00012400 00000000 1e003400 2c000000 2b001c00 00000000 00000000 18001400 00001000 04001e00 00000200 00000000 00000000 00002400"
                                       "00002400 00002800 00000100 00000000 00000000 00000000 00010100 00000000 00000000 00000100 00001000 00000000 00000800 08000000"
                                       "04000800 00000400 00000100 00001000 00000c00 12000800 0c000000 06000c00 00000000 02008800 00002000 00000000 1a004400 08001000"
                                       "18002000 28000000 00000c00 30003800 07001a00 00000000 00014800 00003800 00004100 00000000 00003400 00000000 00002900 00000000"
                                       "00001800 00000000 00007500 00000000 00005400 00000000 00000000 00000500 00006170 706c7900 00000500 00006170 706c6500 00000800"
                                       "14000400 0c000800 0000efcd 00b4c5da b801efcd ab896745 23016473 6d31aab6 fbd0"));
}

TEST(SlateDbWriter, WhatTheFormatCannotHoldIsRefused) {
  const auto writer = [](SlateDbWriterOptions options) { return NewSlateDbWriter(options, MemoryOutputs(), SystemClock(), SystemRandom()); };
  EXPECT_THAT(writer({})->Add("", "v"), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(writer({})->Add(Bytes(65536, 'k'), "v"), HasMessage("65536 bytes"));
  EXPECT_THAT(writer({.block_size_bytes = 65536})->Add("k", "v"), HasMessage("block_size_bytes is 65536"));
  EXPECT_THAT(writer({.block_size_bytes = 64})->Finish(), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(writer({.filter_bits_per_key = 0})->Add("k", "v"), HasMessage("filter_bits_per_key is 0"));
}

TEST(SlateDbWriter, StoresLittleMoreThanKeysAndValues) {
  kv::Pairs pairs;
  for (int i = 0; i < 20000; ++i) {
    Bytes key;
    AppendBigEndian(key, static_cast<uint64_t>(i * 7919));
    pairs[key] = Bytes(100, 'v');
  }
  size_t stored = 0;
  for (const auto& [name, bytes] : Built({}, pairs)) stored += bytes.size();
  EXPECT_LT(static_cast<double>(stored), 1.12 * 108 * 20000);
}

class SlateDbRequests : public testing::Test {
 protected:
  SlateDbRequests() {
    for (int i = 0; i < 4000; ++i) pairs_[fmt::format("key{:05}", i)] = Bytes(100, 'v');
    placed_ = std::make_unique<kv::PlacedObjects>(Built({}, pairs_), kv::Place::kStored);
    counting_ = std::make_unique<kv::CountingDirectory>(placed_->directory());
    Result<std::unique_ptr<kv::Database>> opened = OpenSlateDbShard(*counting_);
    EXPECT_THAT(opened, IsOk());
    database_ = std::move(opened).value();
  }
  kv::Pairs pairs_;
  std::unique_ptr<kv::PlacedObjects> placed_;
  std::unique_ptr<kv::CountingDirectory> counting_;
  std::unique_ptr<kv::Database> database_;
};

TEST_F(SlateDbRequests, OpeningReadsNoSstAndAFirstLookupTwoRanges) {
  EXPECT_EQ(counting_->reads, 0);
  EXPECT_THAT(database_->Find("key00017x", kv::Residency::kAnywhere), IsOk());
  EXPECT_LE(counting_->reads, 2);  // what lies behind the blocks; a block, where the filter is wrong
  const int before = counting_->reads;
  EXPECT_THAT(database_->Find("key00018", kv::Residency::kAnywhere), IsOk());
  EXPECT_THAT(database_->Find("key00018", kv::Residency::kAnywhere), IsOk());
  EXPECT_LE(counting_->reads - before, 2);
}

TEST_F(SlateDbRequests, TheFilterSparesTheRequestsOfAbsentKeys) {
  EXPECT_THAT(database_->Find("key00017", kv::Residency::kAnywhere), IsOk());
  const int before = counting_->reads;
  for (int i = 0; i < 1000; ++i) EXPECT_THAT(database_->Find(fmt::format("key{:05}x", i), kv::Residency::kAnywhere), IsOk());
  EXPECT_LT(counting_->reads - before, 50);
}

TEST_F(SlateDbRequests, ManyKeysAreFetchedSideBySide) {
  std::vector<Bytes> keys;
  for (int i = 0; i < 4000; i += 13) keys.push_back(fmt::format("key{:05}", i));
  const std::vector<ByteView> views(keys.begin(), keys.end());
  std::vector<kv::Lookup> found(keys.size());
  ASSERT_THAT(database_->FindMany(views, found), IsOk());
  for (const kv::Lookup& one : found) EXPECT_EQ(one.outcome, kv::Lookup::Outcome::kFound);
  EXPECT_EQ(counting_->reads, 2);     // behind the blocks, and the blocks
  EXPECT_EQ(counting_->requests, 2);  // which lie within 2 MiB
  const int before = counting_->reads;
  ASSERT_THAT(database_->FindMany(views, found), IsOk());
  EXPECT_EQ(counting_->reads, before);
}

TEST_F(SlateDbRequests, AScanReadsAheadAndAShortOneNotFar) {
  ASSERT_OK_AND_ASSIGN(const auto few, kv::PairsOf(*database_, {"key00100", "key00110"}));
  EXPECT_EQ(few.size(), 10u);
  EXPECT_LE(counting_->requests, 3);
  const int before = counting_->reads;
  ASSERT_OK_AND_ASSIGN(const auto all, kv::PairsOf(*database_, {}));
  EXPECT_EQ(all.size(), 4000u);
  EXPECT_LT(counting_->reads - before, 12);
}

// Half of the keys, of 6 MiB, in batches of a thousand.
TEST(SlateDbBatches, EachFetchesWithFewRequestsWhateverTheCacheHolds) {
  kv::Pairs pairs;
  std::vector<Bytes> keys;
  for (int i = 0; i < 60'000; ++i) {
    const auto pair = pairs.emplace(fmt::format("key{:05}", i), Bytes(100, static_cast<char>(i))).first;
    if (i % 2 == 0) keys.push_back(pair->first);
  }
  const kv::Objects objects = Built({}, pairs);
  for (const int64_t cache_bytes : {int64_t{0}, int64_t{1} << 20, int64_t{64} << 20}) {
    const kv::PlacedObjects placed(objects, kv::Place::kStored, cache_bytes);
    const kv::CountingDirectory counting(placed.directory());
    ASSERT_OK_AND_ASSIGN(const auto database, OpenSlateDbShard(counting));
    for (size_t first = 0; first < keys.size(); first += 1'000) {
      const std::vector<ByteView> batch(keys.begin() + static_cast<ptrdiff_t>(first), keys.begin() + static_cast<ptrdiff_t>(first + 1'000));
      std::vector<kv::Lookup> found(batch.size());
      ASSERT_THAT(database->FindMany(batch, found), IsOk());
      for (size_t i = 0; i < batch.size(); ++i) ASSERT_EQ(found[i].value.bytes, pairs[Bytes(batch[i])]);
    }
    EXPECT_LE(counting.requests, 1 + 30) << cache_bytes;  // what lies behind the blocks; neighbours of each batch
    EXPECT_LE(counting.bytes, static_cast<int64_t>(objects[0].second.size()) + 60 * 5'000) << cache_bytes;
    EXPECT_LE(placed.directory().cache().size_bytes(), cache_bytes);
  }
}

TEST(SlateDbBatches, KeysThatLieFarApartBringOnlyTheirBlocks) {
  kv::Pairs pairs;
  for (int i = 0; i < 60'000; ++i) pairs.emplace(fmt::format("key{:05}", i), Bytes(100, 'v'));
  const kv::PlacedObjects placed(Built({}, pairs), kv::Place::kStored);
  const kv::CountingDirectory counting(placed.directory());
  ASSERT_OK_AND_ASSIGN(const auto database, OpenSlateDbShard(counting));
  const std::vector<ByteView> keys = {"key00100", "key20000", "key40000"};
  std::vector<kv::Lookup> found(3);
  ASSERT_THAT(database->FindMany(std::span(keys).first(1), std::span(found).first(1)), IsOk());
  const auto [requests, bytes] = std::pair(counting.requests.load(), counting.bytes.load());
  ASSERT_THAT(database->FindMany(keys, found), IsOk());
  for (const kv::Lookup& one : found) EXPECT_EQ(one.outcome, kv::Lookup::Outcome::kFound);
  EXPECT_EQ(counting.requests - requests, 2);  // the first is cached
  EXPECT_LE(counting.bytes - bytes, 4 * 4'200);
}

TEST(SlateDbBatches, ALongScanTakesLargeStepsAndLeavesTheCacheToOthers) {
  kv::Pairs pairs;
  for (int i = 0; i < 100'000; ++i) pairs.emplace(fmt::format("key{:06}", i), Bytes(100, 'v'));
  const kv::Objects objects = Built({}, pairs);
  const kv::PlacedObjects placed(objects, kv::Place::kStored, /*cache_bytes=*/8 << 20);
  const kv::CountingDirectory counting(placed.directory());
  ASSERT_OK_AND_ASSIGN(const auto database, OpenSlateDbShard(counting));
  ASSERT_OK_AND_ASSIGN(const auto all, kv::PairsOf(*database, {}));
  EXPECT_EQ(all.size(), pairs.size());
  EXPECT_LE(counting.reads, 1 + 7);      // 16 KiB, 64, 256, 1 MiB, then 4 at a time
  EXPECT_LE(counting.requests, 1 + 12);  // of 2 MiB at most
  EXPECT_LE(counting.bytes, static_cast<int64_t>(objects[0].second.size()));
  EXPECT_LE(placed.directory().cache().size_bytes(), 2 << 20);
}

TEST_F(SlateDbRequests, FailuresOfTheStoreAreNotRemembered) {
  const std::string name = placed_->directory().List("compacted/").value().front();
  const Bytes body = placed_->store().Get("shard/" + name).value();
  ASSERT_THAT(placed_->store().Delete("shard/" + name), IsOk());
  EXPECT_THAT(database_->Find("key00001", kv::Residency::kAnywhere), HasKind(ErrorKind::kNotFound));
  ASSERT_THAT(placed_->store().PutIfAbsent("shard/" + name, body), IsOk());
  EXPECT_THAT(database_->Find("key00001", kv::Residency::kAnywhere), IsOk());
}

TEST(SlateDbReader, ManyThreadsOpenAndReadOneDatabase) {
  kv::Pairs pairs;
  for (int i = 0; i < 3000; ++i) pairs[fmt::format("key{:05}", i)] = fmt::format("value {}", i);
  for (const kv::Place place : {kv::Place::kMapped, kv::Place::kStored}) {
    const kv::PlacedObjects placed(Built({}, pairs), place, /*cache_bytes=*/20000);
    ASSERT_OK_AND_ASSIGN(const auto database, OpenSlateDbShard(placed.directory()));
    std::atomic<int> right{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < 1000; ++i) {
          const int number = (i * 7 + thread * 311) % 3000;
          const Result<kv::Lookup> found = database->Find(fmt::format("key{:05}", number), kv::Residency::kAnywhere);
          right += found.ok() && found->value.bytes == fmt::format("value {}", number);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(right, 4000);
  }
}

TEST(SlateDbReader, AFlippedByteOfALargeDatabaseSaysWhichObjectAndWhere) {
  kv::Pairs pairs;
  for (int i = 0; i < 4000; ++i) pairs[fmt::format("key{:05}", i)] = Bytes(100, 'v');
  kv::Objects objects = Built({}, pairs);
  objects[0].second[50000] ^= 1;
  for (const kv::Place place : {kv::Place::kMapped, kv::Place::kStored}) {
    const kv::PlacedObjects placed(objects, place);
    ASSERT_OK_AND_ASSIGN(const auto database, OpenSlateDbShard(placed.directory()));
    int damaged = 0;
    for (const auto& [key, value] : pairs) {
      const Result<kv::Lookup> found = database->Find(key, kv::Residency::kAnywhere);
      if (found.ok()) continue;
      ++damaged;
      EXPECT_THAT(found, HasKind(ErrorKind::kCorruption));
      EXPECT_THAT(found.error().message(), testing::AllOf(HasSubstr(objects[0].first), HasSubstr("wrong checksum")));
    }
    EXPECT_GT(damaged, 10);
    EXPECT_LT(damaged, 60);
  }
}

}  // namespace
}  // namespace datashard::slatedb
