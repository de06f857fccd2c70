// Our reader over our files and over those of the real engine, mapped and by ranges.
#include <random>
#include <thread>

#include "sqlite/test_support.h"

namespace datashard::sqlite {
namespace {

using ::testing::ElementsAre;

struct Opened {
  std::unique_ptr<FakeDirectory> directory;
  std::unique_ptr<kv::Database> database;
};

Result<Opened> OpenObjects(Objects objects, bool mapped, SqliteReaderOptions options = {}, int64_t cache_bytes = 64 << 20) {
  Opened opened{.directory = std::make_unique<FakeDirectory>(std::move(objects), mapped, cache_bytes)};
  DS_ASSIGN_OR_RETURN(opened.database, OpenSqliteShard(*opened.directory, options));
  return opened;
}

// Finds one by one, all at once and by a scan give exactly `pairs`, in whatever way the file is read.
void ExpectReads(const Objects& objects, const Pairs& pairs) {
  std::vector<ByteView> keys;
  std::vector<Bytes> others;
  for (const auto& [key, value] : pairs) others.push_back(key + '\0');
  others.push_back("");
  for (const auto& [key, value] : pairs) keys.push_back(key);
  for (const Bytes& key : others) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  for (const int64_t cache_bytes : {int64_t{-1}, int64_t{0}, int64_t{64} << 20}) {
    ASSERT_OK_AND_ASSIGN(const Opened opened, OpenObjects(objects, cache_bytes < 0, {}, std::max<int64_t>(cache_bytes, 0)));
    const kv::Database& database = *opened.database;
    std::vector<kv::Lookup> found(keys.size());
    ASSERT_THAT(database.FindMany(keys, found), IsOk());
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto expected = pairs.find(Bytes(keys[i]));
      ASSERT_EQ(found[i].outcome == kv::Lookup::Outcome::kFound, expected != pairs.end());
      ASSERT_TRUE(expected == pairs.end() || found[i].value.bytes == expected->second);
      if (keys.size() > 5'000 && i % 50 != 0) continue;
      ASSERT_OK_AND_ASSIGN(const std::optional<Bytes> one, FindIn(database, keys[i]));
      ASSERT_EQ(one.has_value(), expected != pairs.end());
      ASSERT_TRUE(!one || *one == expected->second);
    }
    ASSERT_OK_AND_ASSIGN(const Pairs all, ScanAll(database));
    EXPECT_TRUE(all == pairs);
  }
}

Pairs RandomPairs(uint64_t seed, int count, size_t value_bytes_max) {
  std::mt19937_64 random(seed);
  Pairs pairs;
  for (int i = 0; i < count; ++i) {
    Bytes key(i % 40 == 0 ? 1 + random() % 5'000 : 1 + random() % 20, '\0');
    for (char& byte : key) byte = static_cast<char>(random() % 3 + (i % 2) * 200);
    pairs[key] = Bytes(random() % value_bytes_max, static_cast<char>(random()));
  }
  return pairs;
}

Bytes ByEngine(const Pairs& pairs, const std::vector<std::string>& before, const std::vector<std::string>& after) {
  Engine engine;
  for (const std::string& sql : before) engine.Query(sql);
  engine.CreateKv();
  std::vector<const Pairs::value_type*> shuffled;
  for (const auto& pair : pairs) shuffled.push_back(&pair);
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937_64(7));
  engine.Query("BEGIN");
  for (const auto* pair : shuffled) engine.Query("INSERT OR REPLACE INTO kv VALUES (?, ?)", {pair->first, pair->second});
  engine.Query("COMMIT");
  for (const std::string& sql : after) engine.Query(sql);
  return engine.Serialized();
}

TEST(SqliteReader, ReadsWhatWeWrite) {
  ExpectReads(Build({}), {});
  ExpectReads(Build({{"a", ""}}), {{"a", ""}});
  for (int32_t page_size = 512; page_size <= 65'536; page_size *= 2) {
    const Pairs pairs = RandomPairs(static_cast<uint64_t>(page_size), 1'000, 3'000);
    ExpectReads(Build(pairs, {.page_size = page_size}), pairs);
  }
  Pairs large = RandomPairs(1, 100, 300);
  large[Bytes(65'535, 'k')] = Bytes(1 << 20, 'v');
  large[Bytes(65'534, 'k')] = "";
  large[Bytes(65'535, 'k') + "l"] = Bytes(9 << 20, 'w');
  ExpectReads(Build(large), large);
}

TEST(SqliteReader, ReadsAHundredThousandPairs) {
  Pairs pairs;
  std::mt19937_64 random(3);
  while (pairs.size() < 100'000) pairs[fmt::format("{:08x}", static_cast<uint32_t>(random()))] = Bytes(100, 'v');
  ExpectReads(Build(pairs), pairs);
}

TEST(SqliteReader, ReadsWhatTheEngineWrote) {
  for (const int page_size : {512, 1024, 4096, 16'384, 65'536}) {
    for (const char* vacuum : {"NONE", "FULL", "INCREMENTAL"}) {
      const Pairs pairs = RandomPairs(static_cast<uint64_t>(page_size), 1'500, 1'200);
      const std::vector<std::string> before = {fmt::format("PRAGMA page_size={}", page_size), fmt::format("PRAGMA auto_vacuum={}", vacuum)};
      ExpectReads({{"shard.db", ByEngine(pairs, before, {})}}, pairs);
    }
  }
}

TEST(SqliteReader, ReadsAfterReplacementDeletionAndVacuum) {
  const Pairs pairs = RandomPairs(5, 3'000, 600);
  Pairs left;
  for (const auto& [key, value] : pairs) {
    if (value.size() % 3 != 0) left[key] = value.size() % 3 == 1 ? value : Bytes("replaced");
  }
  const std::vector<std::string> change = {"INSERT OR REPLACE INTO kv SELECT k, x'7265706c61636564' FROM kv WHERE length(v) % 3 = 2",
                                           "DELETE FROM kv WHERE length(v) % 3 = 0 AND v <> x''", "DELETE FROM kv WHERE v = x''"};
  // 'replaced' has 8 bytes and stays: 8 % 3 = 2.
  const Bytes with_free_pages = ByEngine(pairs, {"PRAGMA page_size=1024"}, change);
  ASSERT_NE(with_free_pages.substr(36, 4), Bytes(4, '\0'));
  ExpectReads({{"shard.db", with_free_pages}}, left);
  std::vector<std::string> vacuumed = change;
  vacuumed.push_back("VACUUM");
  ExpectReads({{"shard.db", ByEngine(pairs, {"PRAGMA page_size=1024"}, vacuumed)}}, left);
}

TEST(SqliteReader, ReadsBesideOtherTablesAndFindsKvInALargeSchema) {
  std::vector<std::string> before = {"PRAGMA page_size=512", "CREATE TABLE other (id INTEGER PRIMARY KEY, t TEXT)"};
  for (int i = 0; i < 60; ++i) before.push_back(fmt::format("CREATE TABLE t{} (a_column_with_a_long_name{} TEXT DEFAULT '{}')", i, i, std::string(i * 20, 'd')));
  const Pairs pairs = RandomPairs(8, 500, 100);
  ExpectReads({{"shard.db", ByEngine(pairs, before, {"INSERT INTO other VALUES (1, 'x')"})}}, pairs);
}

TEST(SqliteReader, TextValuesAreTheirBytesAndOthersAreRefused) {
  Engine engine;
  engine.CreateKv();
  engine.Query("INSERT INTO kv VALUES (x'61', 'text'), (x'62', 17), (x'63', 1.5), (x'64', x'00')");
  for (const bool mapped : {true, false}) {
    ASSERT_OK_AND_ASSIGN(const Opened opened, OpenObjects({{"shard.db", engine.Serialized()}}, mapped));
    EXPECT_THAT(FindIn(*opened.database, "b"), HasKind(ErrorKind::kUnsupported));
    EXPECT_THAT(ScanAll(*opened.database), HasMessage("neither BLOB nor TEXT"));
  }
  engine.Query("DELETE FROM kv WHERE k IN (x'62', x'63')");
  ExpectReads({{"shard.db", engine.Serialized()}}, {{"a", "text"}, {"d", Bytes(1, '\0')}});
  engine.Query("INSERT INTO kv VALUES ('text key', x'00')");
  ASSERT_OK_AND_ASSIGN(const Opened opened, OpenObjects({{"shard.db", engine.Serialized()}}, true));
  EXPECT_THAT(ScanAll(*opened.database), HasMessage("a key is not a BLOB"));
}

TEST(SqliteReader, TablesOfOtherShapesAreUnsupported) {
  for (const char* sql : {"CREATE TABLE other (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID", "CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL)",
                          "CREATE TABLE kv (k TEXT PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID", "CREATE VIEW kv AS SELECT 1",
                          "CREATE TABLE kv (k BLOB, v BLOB NOT NULL, PRIMARY KEY (k DESC)) WITHOUT ROWID",
                          "CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL, w BLOB) WITHOUT ROWID"}) {
    Engine engine;
    engine.Query(sql);
    EXPECT_THAT(OpenObjects({{"shard.db", engine.Serialized()}}, true), HasKind(ErrorKind::kUnsupported)) << sql;
  }
  for (const char* sql : {"create table KV(K blob primary key,\n V blob)without rowid", "CREATE TABLE \"kv\" (\"k\" BLOB PRIMARY KEY, [v] BLOB NOT NULL) WITHOUT ROWID"}) {
    Engine engine;
    engine.Query(sql);
    engine.Query("INSERT INTO kv VALUES (x'61', x'62')");
    ExpectReads({{"shard.db", engine.Serialized()}}, {{"a", "b"}});
  }
}

TEST(SqliteReader, HeadersOfOtherKindsSaySo) {
  const Bytes sound = Build({{"a", "b"}}).at("shard.db");
  const auto with = [&](size_t offset, char byte) {
    Bytes changed = sound;
    changed[offset] = byte;
    return OpenObjects({{"shard.db", changed}}, true);
  };
  EXPECT_THAT(with(0, 'X'), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(with(18, 2), HasMessage("WAL mode"));
  EXPECT_THAT(with(19, 2), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(with(19, 7), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(with(59, 2), HasMessage("text encoding 2"));
  EXPECT_THAT(with(31, 3), HasMessage("cut off"));
  EXPECT_THAT(with(17, 7), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(OpenObjects({}, true), HasKind(ErrorKind::kNotFound));
  EXPECT_THAT(OpenObjects({{"shard.db", ""}}, true), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(OpenObjects({{"shard.db", ""}}, false), HasKind(ErrorKind::kCorruption));
}

TEST(SqliteReader, ScansRanges) {
  Pairs pairs;
  for (int i = 0; i < 5'000; ++i) pairs[fmt::format("{:05}", 2 * i)] = Bytes(i % 300, 'v');
  const Objects objects = Build(pairs, {.page_size = 1024});
  std::mt19937_64 random(2);
  for (const bool mapped : {true, false}) {
    ASSERT_OK_AND_ASSIGN(const Opened opened, OpenObjects(objects, mapped));
    for (int i = 0; i < 300; ++i) {
      const Bytes start = fmt::format("{:05}", random() % 11'000);
      const Bytes end = fmt::format("{:05}", random() % 11'000);
      ASSERT_OK_AND_ASSIGN(const Pairs found, ScanAll(*opened.database, {start, end}));
      ASSERT_TRUE(found == (start < end ? Pairs(pairs.lower_bound(start), pairs.lower_bound(end)) : Pairs())) << start << " " << end;
    }
  }
}

TEST(SqliteReader, ResidentOnlyAsksNothingAndFindsWhatIsCached) {
  Pairs pairs;
  for (int i = 0; i < 3'000; ++i) pairs[fmt::format("{:05}", i)] = Bytes(100, 'v');
  pairs["long"] = Bytes(50'000, 'w');
  pairs[Bytes(9'000, 'x')] = "y";
  ASSERT_OK_AND_ASSIGN(const Opened opened, OpenObjects(Build(pairs), false));
  for (const Bytes& key : {Bytes("00017"), Bytes("long"), Bytes(9'000, 'x')}) {
    opened.directory->count() = {};
    ASSERT_OK_AND_ASSIGN(const kv::Lookup before, opened.database->Find(key, kv::Residency::kResidentOnly));
    EXPECT_EQ(before.outcome, kv::Lookup::Outcome::kNotResident);
    EXPECT_EQ(opened.directory->count().calls, 0);
    ASSERT_OK_AND_ASSIGN(const std::optional<Bytes> value, FindIn(*opened.database, key));
    opened.directory->count() = {};
    ASSERT_OK_AND_ASSIGN(const kv::Lookup after, opened.database->Find(key, kv::Residency::kResidentOnly));
    EXPECT_EQ(after.outcome, kv::Lookup::Outcome::kFound);
    EXPECT_TRUE(after.value.bytes == pairs.at(key) && *value == pairs.at(key));
    EXPECT_EQ(opened.directory->count().calls, 0);
  }
}

TEST(SqliteReader, OpensWithOneRequestAndFindsManyWithOneForEachLevel) {
  Pairs pairs;
  for (int i = 0; i < 100'000; ++i) pairs[fmt::format("{:08}", i)] = Bytes(100, 'v');
  pairs["long"] = Bytes(1 << 20, 'w');
  pairs["long2"] = Bytes(1 << 20, 'x');
  ASSERT_OK_AND_ASSIGN(const Opened opened, OpenObjects(Build(pairs), false));
  EXPECT_EQ(opened.directory->count().calls, 1);
  EXPECT_EQ(opened.directory->count().bytes, 8192);
  std::vector<Bytes> wanted;
  for (int i = 0; i < 1'000; ++i) wanted.push_back(fmt::format("{:08}", i * 97));
  const std::vector<ByteView> keys(wanted.begin(), wanted.end());
  std::vector<kv::Lookup> found(keys.size());
  opened.directory->count() = {};
  ASSERT_THAT(opened.database->FindMany(keys, found), IsOk());
  EXPECT_EQ(opened.directory->count().calls, 3);  // of four levels; the root came with the opening
  opened.directory->count() = {};
  const std::vector<ByteView> long_keys = {"long", "long2"};
  found.resize(2);
  ASSERT_THAT(opened.database->FindMany(long_keys, found), IsOk());
  EXPECT_LE(opened.directory->count().calls, 4);  // three levels, then both chains at once
  EXPECT_TRUE(found[1].value.bytes == pairs["long2"]);
}

TEST(SqliteReader, BatchesFetchTheirPagesWithFewRequestsWhateverTheCacheHolds) {
  Pairs pairs;
  std::vector<Bytes> wanted;
  for (int i = 0; i < 50'000; ++i) {
    pairs[fmt::format("{:08}", i)] = Bytes(100, 'v');
    if (i % 50 == 0) wanted.push_back(fmt::format("{:08}", i));
  }
  const Objects objects = Build(pairs);
  for (const int64_t cache_bytes : {int64_t{0}, int64_t{1} << 20, int64_t{64} << 20}) {
    ASSERT_OK_AND_ASSIGN(const Opened opened, OpenObjects(objects, false, {}, cache_bytes));
    const std::vector<ByteView> keys(wanted.begin(), wanted.end());
    std::vector<kv::Lookup> found(keys.size());
    opened.directory->count() = {};
    ASSERT_THAT(opened.database->FindMany(keys, found), IsOk());
    for (const kv::Lookup& one : found) ASSERT_EQ(one.value.bytes, Bytes(100, 'v'));
    EXPECT_LE(opened.directory->count().calls, 4) << cache_bytes;  // one for each level
    EXPECT_LE(opened.directory->count().ranges, 50) << cache_bytes;  // of 1,000 leaves, and what is above them
    EXPECT_LE(opened.directory->cache().size_bytes(), cache_bytes);
  }
}

TEST(SqliteReader, MappedShardThatIsAskedMuchGetsAnIndexAndStaysRight) {
  const std::vector<std::string> forms = {"{:08}", "a long prefix that all keys have {:06}", "{}", "{:x}tail"};
  for (const std::string& form : forms) {
    Pairs pairs;
    for (int i = 0; i < 6'000; ++i) pairs[fmt::format(fmt::runtime(form), i * 3)] = Bytes(i % 90, static_cast<char>(i));
    pairs["0"] = "short";
    ASSERT_OK_AND_ASSIGN(const Opened opened, OpenObjects(Build(pairs, {.page_size = 1024}), true));
    const int64_t bytes_before = opened.database->memory_bytes();
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < 18'010; ++i) {
        const Bytes key = fmt::format(fmt::runtime(form), i);
        ASSERT_OK_AND_ASSIGN(const std::optional<Bytes> value, FindIn(*opened.database, key));
        const auto expected = pairs.find(key);
        ASSERT_EQ(value, expected == pairs.end() ? std::nullopt : std::optional(expected->second)) << key;
      }
      for (const Bytes& key : {Bytes(), Bytes("0"), Bytes("a"), Bytes("a long"), Bytes(1, '\0'), Bytes(9, '\xff')}) {
        ASSERT_OK_AND_ASSIGN(const std::optional<Bytes> value, FindIn(*opened.database, key));
        ASSERT_EQ(value.has_value(), pairs.contains(key)) << key;
      }
    }
    EXPECT_GT(opened.database->memory_bytes(), bytes_before + 12 * 300) << form;
  }
}

TEST(SqliteReader, ThreadsAskOneMappedShard) {
  Pairs pairs;
  for (int i = 0; i < 20'000; ++i) pairs[fmt::format("{:06}", i)] = fmt::format("value {}", i);
  ASSERT_OK_AND_ASSIGN(const Opened opened, OpenObjects(Build(pairs), true));
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = thread; i < 20'000; i += 7) {
        const Result<std::optional<Bytes>> value = FindIn(*opened.database, fmt::format("{:06}", i));
        if (value.ok() && *value == fmt::format("value {}", i)) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 2858 + 2857 + 2857 + 2857);
}

TEST(SqliteReader, ScanReadsAheadButNotBehindTheEnd) {
  Pairs pairs;
  for (int i = 0; i < 20'000; ++i) pairs[fmt::format("{:08}", i)] = Bytes(100, 'v');
  const Objects objects = Build(pairs);
  ASSERT_OK_AND_ASSIGN(const Opened whole, OpenObjects(objects, false));
  ASSERT_OK_AND_ASSIGN(const Pairs all, ScanAll(*whole.database));
  EXPECT_EQ(all.size(), pairs.size());
  EXPECT_LT(whole.directory->count().calls, 30);  // of 572 leaves
  // Twice only leaves that lie between pages of the level above.
  EXPECT_LE(whole.directory->count().bytes, static_cast<int64_t>(objects.at("shard.db").size() * 17 / 16));
  ASSERT_OK_AND_ASSIGN(const Opened part, OpenObjects(objects, false));
  ASSERT_OK_AND_ASSIGN(const Pairs few, ScanAll(*part.database, {"00005000", "00005010"}));
  EXPECT_EQ(few.size(), 10u);
  EXPECT_LE(part.directory->count().bytes, 8192 + 4 * 4096);
}

}  // namespace
}  // namespace datashard::sqlite
