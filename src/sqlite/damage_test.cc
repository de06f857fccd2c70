// Damaged files: nothing crashes or runs for ever, and what is checked by checksums is never wrong.
#include <random>

#include "sqlite/test_support.h"

namespace datashard::sqlite {
namespace {

Pairs SmallPairs() {
  Pairs pairs;
  for (int i = 0; i < 60; ++i) pairs[fmt::format("key {:03}", i)] = Bytes(static_cast<size_t>(i) % 30, 'v');
  pairs["long value"] = Bytes(1'700, 'w');
  pairs[Bytes(900, 'k')] = "value of a long key";
  pairs[Bytes(900, 'k') + "l"] = Bytes(600, 'x');
  return pairs;
}

// Reads everything there is in every way. The first error, if any; otherwise whether all was as in `pairs`.
Result<bool> ReadAll(const Objects& objects, bool mapped, SqliteReaderOptions options, const Pairs& pairs) {
  const FakeDirectory directory(objects, mapped, 1 << 20);
  DS_ASSIGN_OR_RETURN(const auto database, OpenSqliteShard(directory, options));
  std::vector<ByteView> keys;
  for (const auto& [key, value] : pairs) keys.push_back(key);
  std::vector<kv::Lookup> found(keys.size());
  std::optional<Error> first;
  const auto note = [&](const auto& result) {
    if (!result.ok() && !first) first = result.error();
    return result.ok();
  };
  bool right = true;
  if (note(database->FindMany(keys, found))) {
    for (size_t i = 0; i < keys.size(); ++i) right = right && found[i].value.bytes == pairs.at(Bytes(keys[i]));
  }
  for (const ByteView key : keys) {
    const Result<std::optional<Bytes>> value = FindIn(*database, key);
    if (note(value)) right = right && *value == pairs.at(Bytes(key));
  }
  const Result<Pairs> all = ScanAll(*database);
  if (note(all)) right = right && *all == pairs;
  if (first) return *first;
  return right;
}

void ExpectDamageKind(const Result<bool>& result, size_t at) {
  if (result.ok()) return;
  EXPECT_TRUE(result.kind() == ErrorKind::kCorruption || result.kind() == ErrorKind::kUnsupported) << at << ": " << result.error().ToString();
}

TEST(SqliteDamage, EveryFlippedByteOfAMappedFileIsAnErrorOrStaysWithinItsRow) {
  const Pairs pairs = SmallPairs();
  Objects objects = Build(pairs, {.page_size = 512});
  Bytes& file = objects["shard.db"];
  int noticed = 0;
  int wrong = 0;
  for (size_t i = 0; i < file.size(); ++i) {
    for (const unsigned char mask : {0x01, 0x80, 0xff}) {
      file[i] = static_cast<char>(file[i] ^ mask);
      const Result<bool> read = ReadAll(objects, true, {}, pairs);
      ExpectDamageKind(read, i);
      noticed += read.ok() ? 0 : 1;
      wrong += read.ok() && !*read ? 1 : 0;
      file[i] = static_cast<char>(file[i] ^ mask);
    }
  }
  EXPECT_GT(noticed, 1'000);
  EXPECT_GT(wrong, 0);  // bytes of keys and values, which only checksums protect
}

TEST(SqliteDamage, EveryFlippedByteIsAnErrorWherePagesAreChecked) {
  const Pairs pairs = SmallPairs();
  Objects objects = Build(pairs, {.page_size = 512, .page_checksums = true});
  ASSERT_OK_AND_ASSIGN(const bool sound, ReadAll(objects, false, {.use_page_checksums = true}, pairs));
  ASSERT_TRUE(sound);
  for (auto& [name, bytes] : objects) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << i % 8));
      const Result<bool> read = ReadAll(objects, false, {.use_page_checksums = true}, pairs);
      EXPECT_FALSE(read.ok()) << name << " " << i;
      ExpectDamageKind(read, i);
      bytes[i] = static_cast<char>(bytes[i] ^ (1 << i % 8));
    }
  }
}

TEST(SqliteDamage, ChecksumsOfAnotherFileOrNoneAreAnError) {
  Objects objects = Build({{"a", "b"}}, {.page_checksums = true});
  objects["shard.pages.crc32c"] = Build({{"a", "c"}}, {.page_checksums = true}).at("shard.pages.crc32c");
  EXPECT_THAT(ReadAll(objects, false, {.use_page_checksums = true}, {{"a", "b"}}), HasMessage("its checksum is"));
  objects["shard.pages.crc32c"] = Build({{"a", Bytes(9'000, 'c')}}, {.page_checksums = true}).at("shard.pages.crc32c");
  EXPECT_THAT(ReadAll(objects, false, {.use_page_checksums = true}, {{"a", "b"}}), HasMessage("not of this snapshot"));
  objects.erase("shard.pages.crc32c");
  EXPECT_THAT(ReadAll(objects, false, {.use_page_checksums = true}, {{"a", "b"}}), HasKind(ErrorKind::kNotFound));
}

TEST(SqliteDamage, EveryTruncationIsAnError) {
  const Pairs pairs = SmallPairs();
  const Bytes file = Build(pairs, {.page_size = 512}).at("shard.db");
  for (size_t size = 0; size < file.size(); ++size) {
    for (const bool mapped : {true, false}) {
      EXPECT_THAT(ReadAll({{"shard.db", file.substr(0, size)}}, mapped, {}, pairs), HasKind(ErrorKind::kCorruption)) << size;
    }
  }
}

TEST(SqliteDamage, ManyRandomChangesOfOtherFilesNeverCrash) {
  const Pairs pairs = SmallPairs();
  Engine engine;
  engine.Query("PRAGMA page_size=512");
  for (int i = 0; i < 20; ++i) engine.Query(fmt::format("CREATE TABLE t{} (a TEXT)", i));
  engine.CreateKv();
  for (auto pair = pairs.rbegin(); pair != pairs.rend(); ++pair) engine.Query("INSERT INTO kv VALUES (?, ?)", {pair->first, pair->second});
  const Bytes sound = engine.Serialized();
  std::mt19937_64 random(11);
  for (int round = 0; round < 3'000; ++round) {
    Bytes file = sound;
    for (uint64_t change = random() % 8 + 1; change > 0; --change) {
      const size_t page = random() % (file.size() / 512) * 512;
      // Mostly where pages say what they are, how many cells they have, and what they point to.
      const size_t at = random() % 3 == 0 ? page + random() % 512 : page + random() % 40;
      file[at] = static_cast<char>(random() % 4 == 0 ? random() % 16 : random());
    }
    for (const bool mapped : {true, false}) ExpectDamageKind(ReadAll({{"shard.db", file}}, mapped, {}, pairs), static_cast<size_t>(round));
  }
}

// Writes big-endian `number` at `at`.
void Put32(Bytes& file, size_t at, uint32_t number) {
  for (int i = 0; i < 4; ++i) file[at + static_cast<size_t>(i)] = static_cast<char>(number >> (24 - 8 * i));
}

TEST(SqliteDamage, TreesAndChainsThatBiteTheirTailsEnd) {
  Pairs pairs;
  for (int i = 0; i < 100; ++i) pairs[fmt::format("{:04}", i)] = Bytes(60, 'v');
  Bytes looped = Build(pairs, {.page_size = 512}).at("shard.db");
  ASSERT_EQ(looped[512], 2);        // the root is an interior page
  Put32(looped, 512 + 8, 2);        // and its right child now the root itself
  for (const bool mapped : {true, false}) {
    const FakeDirectory directory({{"shard.db", looped}}, mapped);
    ASSERT_OK_AND_ASSIGN(const auto database, OpenSqliteShard(directory));
    EXPECT_THAT(FindIn(*database, "9999"), HasMessage("leads back into itself"));
    EXPECT_THAT(ScanAll(*database), HasKind(ErrorKind::kCorruption));
    const std::vector<ByteView> keys = {"9998", "9999"};
    std::vector<kv::Lookup> found(2);
    EXPECT_THAT(database->FindMany(keys, found), HasMessage("leads back into itself"));
  }
  Bytes chained = Build({{"a", Bytes(5'000, 'v')}}, {.page_size = 512}).at("shard.db");
  Put32(chained, 3 * 512, 3);  // page 4, the chain's second, leads back to its first
  for (const bool mapped : {true, false}) {
    EXPECT_THAT(ReadAll({{"shard.db", chained}}, mapped, {}, {{"a", ""}}), HasMessage("a chain goes on behind the end of its row"));
  }
  Put32(chained, 3 * 512, 0);
  for (const bool mapped : {true, false}) {
    EXPECT_THAT(ReadAll({{"shard.db", chained}}, mapped, {}, {{"a", ""}}), HasMessage("a chain ends before its row"));
  }
}

}  // namespace
}  // namespace datashard::sqlite
