// The manifest's bytes: what goes in comes out, what others write is read, and what is damaged is refused.
#include <gmock/gmock.h>
#include <sqlite3.h>

#include <memory>
#include <string>

#include "base/random.h"
#include "generation/generation_test_support.h"
#include "generation/utc_text.h"
#include "sim/seed.h"
#include "support/matchers.h"

namespace datashard::generation {
namespace {

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};

/// `bytes` after SQL was run over them, as another writer could have made them.
std::string Edited(std::string bytes, const std::string& sql) {
  sqlite3* opened = nullptr;
  EXPECT_EQ(sqlite3_open(":memory:", &opened), SQLITE_OK);
  const std::unique_ptr<sqlite3, CloseDatabase> database(opened);
  auto* const owned = static_cast<unsigned char*>(sqlite3_malloc64(bytes.size()));
  std::copy(bytes.begin(), bytes.end(), owned);
  const auto size = static_cast<sqlite3_int64>(bytes.size());
  EXPECT_EQ(sqlite3_deserialize(opened, "main", owned, size, size, SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE), SQLITE_OK);
  char* message = nullptr;
  EXPECT_EQ(sqlite3_exec(opened, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK) << message << " in " << sql;
  sqlite3_int64 size_after = 0;
  unsigned char* const after = sqlite3_serialize(opened, "main", &size_after, 0);
  std::string edited(reinterpret_cast<const char*>(after), static_cast<size_t>(size_after));
  sqlite3_free(after);
  return edited;
}

/// The same without our check sum.
std::string Foreign(const ShardedManifest& manifest, const std::string& sql = "") {
  const Result<std::string> bytes = EncodeManifest(manifest);
  EXPECT_THAT(bytes, IsOk());
  return Edited(bytes.ok() ? *bytes : std::string(), "DROP TABLE datashard_check;" + sql);
}

/// All values of the first column of `sql`, each on a line.
std::string Column(const std::string& bytes, const std::string& sql) {
  sqlite3* opened = nullptr;
  EXPECT_EQ(sqlite3_open(":memory:", &opened), SQLITE_OK);
  const std::unique_ptr<sqlite3, CloseDatabase> database(opened);
  const auto size = static_cast<sqlite3_int64>(bytes.size());
  auto* const borrowed = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  EXPECT_EQ(sqlite3_deserialize(opened, "main", borrowed, size, size, SQLITE_DESERIALIZE_READONLY), SQLITE_OK);
  std::string values;
  const auto add = [](void* out, int, char** columns, char**) {
    *static_cast<std::string*>(out) += std::string(columns[0] == nullptr ? "NULL" : columns[0]) + "\n";
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(opened, sql.c_str(), add, &values, nullptr), SQLITE_OK) << sqlite3_errmsg(opened);
  return values;
}

TEST(Manifest, WhatIsEncodedIsDecoded) {
  const uint64_t seed = sim::SeedFromEnvOrRandom();
  const std::unique_ptr<Random> random = SeededRandom(seed);
  for (int round = 0; round < 300; ++round) {
    const ShardedManifest manifest = AnyManifest(*random);
    ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeManifest(manifest));
    ASSERT_OK_AND_ASSIGN(const ShardedManifest decoded, DecodeManifest(bytes));
    ASSERT_EQ(decoded, manifest) << "seed " << seed << ", round " << round;
    ASSERT_OK_AND_ASSIGN(const std::string again, EncodeManifest(decoded));
    ASSERT_EQ(again, bytes);
  }
}

TEST(Manifest, ItsTextsAreThoseOfTheFormatsPage) {
  ShardedManifest manifest = SmallManifest();
  manifest.shards[1].min_key = Key(KeyView::Text("h\xc3\xa9"));
  manifest.shards[1].max_key = Key(KeyView::Bytes("\xff"));
  manifest.shards[1].objects = {{"shard.db", 8192, 0x0123456789abcdef}};
  manifest.custom = R"({"z":1,"a":"b"})";
  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeManifest(manifest));
  EXPECT_EQ(bytes.substr(0, 16), std::string("SQLite format 3\0", 16));
  EXPECT_EQ(bytes.substr(16, 4), std::string("\x10\0\x01\x01", 4)) << "pages of 4096 bytes, no write-ahead log";
  EXPECT_EQ(Column(bytes, "SELECT sql FROM sqlite_schema WHERE name = 'shards'"),
            "CREATE TABLE shards (db_id INTEGER NOT NULL PRIMARY KEY, db_url TEXT, attempt INTEGER NOT NULL, row_count INTEGER NOT NULL, "
            "db_bytes INTEGER NOT NULL, min_key TEXT, max_key TEXT, checkpoint_id TEXT, writer_info TEXT NOT NULL DEFAULT '{}')\n");
  EXPECT_EQ(Column(bytes, "SELECT created_at FROM build_meta"), "2026-11-25T07:38:13.884350Z\n");
  EXPECT_EQ(Column(bytes, "SELECT sharding FROM build_meta"),
            R"({"cel_columns":null,"cel_expr":null,"hash_algorithm":"xxh3_64","routing_values":null,"strategy":"hash"})" "\n");
  EXPECT_EQ(Column(bytes, "SELECT custom FROM build_meta"),
            R"({"a":"b","datashard":{"key_bounds":{"2":{"max":["bytes","/w=="]}},"objects":{"algorithm":"xxh3_64","shards":)"
            R"({"2":{"shard.db":["0123456789abcdef",8192]}}},"version":1},"z":1})" "\n");
  EXPECT_EQ(Column(bytes, "SELECT min_key FROM shards"), "1\n\"h\\u00e9\"\n");
  EXPECT_EQ(Column(bytes, "SELECT max_key FROM shards"), "4\nNULL\n");
  EXPECT_EQ(Column(bytes, "SELECT writer_info FROM shards LIMIT 1"), R"({"attempt":0,"duration_ms":0,"stage_id":null,"task_attempt_id":null})" "\n");
}

TEST(Manifest, TheExampleOfTheFormatsPageHasItsCheckSum) {
  ShardedManifest manifest;
  manifest.build = {.run_id = "0f3c", .created_at = ReadUtcText("2026-11-21T07:38:13.884350Z").value(), .num_dbs = 2, .s3_prefix = "s3://b/p",
                    .key_encoding = KeyEncoding::kRaw};
  manifest.shards = {{.db_id = 1, .db_url = "s3://b/p/shards/run_id=0f3c/db=00001/attempt=00", .row_count = 2, .db_bytes = 8192,
                      .min_key = Key(KeyView::Bytes("abc")), .max_key = Key(KeyView::Bytes(std::string_view("\xff\0", 2))),
                      .checkpoint_id = "9f86d081884c7d659a2feaa0c55ad015", .objects = {{"shard.db", 8192, 0x0123456789abcdef}}}};
  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeManifest(manifest));
  EXPECT_EQ(Column(bytes, "SELECT crc32 FROM datashard_check"), "d4c94cf5\n");
  EXPECT_EQ(bytes.size(), 16'384u);
}

TEST(Manifest, FurtherColumnsTablesAndOtherSpellingsOfAnotherWriterAreRead) {
  const ShardedManifest manifest = SmallManifest();
  const std::string bytes = Foreign(manifest,
      "ALTER TABLE shards ADD COLUMN more TEXT; CREATE TABLE extra (a); INSERT INTO extra VALUES (x'00');"
      "UPDATE build_meta SET created_at = '2026-11-25T09:38:13.884350+02:00', custom = ' { } ';"
      "UPDATE shards SET writer_info = '{\"attempt\": 0}', min_key = ' 1 ';");
  EXPECT_THAT(DecodeManifest(bytes), IsOk());
  EXPECT_EQ(DecodeManifest(bytes).value(), manifest);
}

TEST(Manifest, AVectorManifestIsDecoded) {
  ShardedManifest manifest = SmallManifest();
  manifest.custom = R"({"vector":{"dim":4}})";
  ASSERT_OK_AND_ASSIGN(const ShardedManifest decoded, DecodeManifest(Foreign(manifest)));
  EXPECT_EQ(decoded.custom, manifest.custom);
}

TEST(Manifest, EachBrokenRuleIsNamed) {
  const std::pair<const char*, const char*> broken[] = {
      {"UPDATE build_meta SET num_dbs = 0", "more than the 0 shards"},
      {"UPDATE build_meta SET num_dbs = 2", "shard 2 is not among the 2"},
      {"UPDATE build_meta SET num_dbs = 1", "more than the 1 shards"},
      {"UPDATE build_meta SET num_dbs = 9000000000", "num_dbs is 9000000000"},
      {"UPDATE build_meta SET run_id = ''", "no run id"},
      {"UPDATE build_meta SET run_id = 'a/b'", "no run id"},
      {"UPDATE build_meta SET run_id = x'61'", "column run_id of build_meta is not text"},
      {"UPDATE build_meta SET run_id = CAST(x'ff' AS TEXT)", "no UTF-8"},
      {"UPDATE build_meta SET created_at = 'yesterday'", "created_at is 'yesterday'"},
      {"UPDATE build_meta SET created_at = '2026-13-01T00:00:00Z'", "created_at"},
      {"UPDATE build_meta SET key_encoding = 'u16'", "key_encoding"},
      {"UPDATE build_meta SET sharding = '{'", "sharding is no JSON"},
      {"UPDATE build_meta SET sharding = '{\"strategy\":\"range\",\"hash_algorithm\":\"xxh3_64\"}'", "the strategy is 'range'"},
      {"UPDATE build_meta SET sharding = '{\"strategy\":\"hash\",\"hash_algorithm\":\"md5\"}'", "the hash algorithm is 'md5'"},
      {"UPDATE build_meta SET sharding = '{\"strategy\":\"hash\",\"hash_algorithm\":\"xxh3_64\",\"boundaries\":[1]}'", "'boundaries' is no member"},
      {"UPDATE build_meta SET sharding = '{\"strategy\":\"hash\",\"hash_algorithm\":\"xxh3_64\",\"cel_expr\":\"1\"}'", "by hash has an expression"},
      {"UPDATE build_meta SET sharding = '{\"strategy\":\"cel\",\"hash_algorithm\":\"xxh3_64\",\"cel_expr\":\"1\"}'", "lacks its expression or its columns"},
      {"UPDATE build_meta SET sharding = '{\"strategy\":\"cel\",\"hash_algorithm\":\"xxh3_64\",\"cel_expr\":\"1\",\"cel_columns\":{\"a\":\"map\"}}'", "type of column 'a'"},
      {"UPDATE build_meta SET sharding = '{\"strategy\":\"cel\",\"hash_algorithm\":\"xxh3_64\",\"cel_expr\":\"a\",\"cel_columns\":{\"a\":\"int\"},\"routing_values\":[1,2]}'", "with 2 routing values"},
      {"UPDATE build_meta SET sharding = '{\"strategy\":\"cel\",\"hash_algorithm\":\"xxh3_64\",\"cel_expr\":\"a\",\"cel_columns\":{\"a\":\"int\"},\"routing_values\":[1,2,1]}'", "routing value 1 is there twice"},
      {"UPDATE build_meta SET sharding = '{\"strategy\":\"cel\",\"hash_algorithm\":\"xxh3_64\",\"cel_expr\":\"a\",\"cel_columns\":{\"a\":\"int\"},\"routing_values\":[1,2,\"1\"]}'", "several types"},
      {"UPDATE build_meta SET sharding = '{\"strategy\":\"cel\",\"hash_algorithm\":\"xxh3_64\",\"cel_expr\":\"a\",\"cel_columns\":{\"a\":\"int\"},\"routing_values\":[1,2,true]}'", "a routing value is neither"},
      {"UPDATE build_meta SET custom = '[]'", "custom is no JSON object"},
      {"UPDATE build_meta SET custom = '{\"datashard\":{}}'", "no version"},
      {"UPDATE build_meta SET custom = '{\"datashard\":{\"version\":1,\"objects\":{}}}'", "'objects' lacks"},
      {"UPDATE build_meta SET custom = '{\"datashard\":{\"version\":1,\"objects\":{\"algorithm\":\"xxh3_64\",\"shards\":{\"1\":{}}}}}'", "no shard '1'"},
      {"UPDATE build_meta SET custom = '{\"datashard\":{\"version\":1,\"objects\":{\"algorithm\":\"xxh3_64\",\"shards\":{\"0\":{\"a\":[\"0123456789ABCDEF\",1]}}}}}'", "16 lower-case"},
      {"UPDATE build_meta SET custom = '{\"datashard\":{\"version\":1,\"objects\":{\"algorithm\":\"xxh3_64\",\"shards\":{\"0\":{\"../a\":[\"0123456789abcdef\",1]}}}}}'", "../a"},
      {"UPDATE build_meta SET custom = '{\"datashard\":{\"version\":1,\"key_bounds\":{\"0\":{\"min\":[\"int\",\"\"]}}}}'", "a key bound is not"},
      {"UPDATE build_meta SET custom = '{\"datashard\":{\"version\":1,\"range_boundaries\":{\"kind\":\"int\",\"values\":[1,2]}}}'", "do not go with the columns"},
      {"UPDATE build_meta SET sharding = '{\"strategy\":\"cel\",\"hash_algorithm\":\"xxh3_64\",\"cel_expr\":\"0\",\"cel_columns\":{\"key\":\"int\"}}', custom = "
       "'{\"datashard\":{\"version\":1,\"range_boundaries\":{\"kind\":\"int\",\"values\":[2,2]}}}'", "not above the one before"},
      {"UPDATE build_meta SET sharding = '{\"strategy\":\"cel\",\"hash_algorithm\":\"xxh3_64\",\"cel_expr\":\"0\",\"cel_columns\":{\"key\":\"int\"}}', custom = "
       "'{\"datashard\":{\"version\":1,\"range_boundaries\":{\"kind\":\"int\",\"values\":[2]}}}'", "do not make 3 shards"},
      {"DELETE FROM build_meta", "build_meta has no row"},
      {"DROP TABLE shards", "there is no table shards"},
      {"ALTER TABLE shards RENAME TO s; CREATE VIEW shards AS SELECT * FROM s", "there is no table shards"},
      {"ALTER TABLE shards DROP COLUMN db_url", "no such column: db_url"},
      {"UPDATE shards SET row_count = -1", "negative"},
      {"UPDATE shards SET row_count = 1.5", "column row_count of shards is not an integer"},
      {"UPDATE shards SET db_id = -1 WHERE db_id = 0", "db_id is -1"},
      {"UPDATE shards SET min_key = 'abc'", "min_key is no JSON"},
      {"UPDATE shards SET min_key = '1.5'", "min_key is neither"},
      {"UPDATE shards SET writer_info = '{\"attempt\":-1}'", "writer_info: attempt"},
      {"CREATE TABLE datashard_check (crc32 TEXT)", "datashard_check has no row"},
      {"CREATE TABLE datashard_check (crc32 TEXT); INSERT INTO datashard_check VALUES ('00000000')", "its check sum is 00000000"},
      {"ALTER TABLE shards RENAME TO s; CREATE TABLE shards (db_id, db_url, attempt, row_count, db_bytes, min_key, max_key, checkpoint_id, writer_info);"
       "INSERT INTO shards SELECT * FROM s WHERE db_id = 0; INSERT INTO shards SELECT * FROM s WHERE db_id = 0", "do not ascend"},
  };
  for (const auto& [sql, message] : broken) {
    const Result<ShardedManifest> read = DecodeManifest(Foreign(SmallManifest(), sql));
    EXPECT_THAT(read, HasKind(ErrorKind::kCorruption)) << sql;
    EXPECT_THAT(read, HasMessage(message)) << sql;
  }
}

TEST(Manifest, AnotherVersionIsUnsupported) {
  EXPECT_THAT(DecodeManifest(Foreign(SmallManifest(), "UPDATE build_meta SET format_version = 5")), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(DecodeManifest(Foreign(SmallManifest(), "UPDATE build_meta SET custom = '{\"datashard\":{\"version\":2}}'")), HasKind(ErrorKind::kUnsupported));
}

TEST(Manifest, WhatWasChangedBehindTheCheckSumIsRefused) {
  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeManifest(SmallManifest()));
  const std::string edited = Edited(bytes, "UPDATE shards SET db_bytes = 8193 WHERE db_id = 2");
  EXPECT_THAT(DecodeManifest(edited), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(DecodeManifest(edited), HasMessage("check sum"));
}

TEST(Manifest, WhatIsNoManifestIsRefused) {
  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeManifest(SmallManifest()));
  for (const size_t size : {size_t{0}, size_t{15}, size_t{99}, size_t{100}, bytes.size() / 2, bytes.size() - 4096})
    EXPECT_THAT(DecodeManifest(bytes.substr(0, size)), HasKind(ErrorKind::kCorruption)) << size;
  EXPECT_THAT(DecodeManifest(std::string(8192, 'x')), HasMessage("no SQLite file"));
  std::string write_ahead = bytes;
  write_ahead[18] = write_ahead[19] = 2;
  EXPECT_THAT(DecodeManifest(write_ahead), HasMessage("write-ahead"));
}

TEST(Manifest, NoFlippedByteIsTakenForAnotherManifest) {
  ShardedManifest manifest = SmallManifest();
  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeManifest(manifest));
  int refused = 0;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
    const Result<ShardedManifest> read = DecodeManifest(damaged);
    if (read.ok()) ASSERT_EQ(*read, manifest) << "at " << at;
    refused += read.ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 300);
}

TEST(Manifest, PagesInCirclesAndSharedTextsEnd) {
  ShardedManifest manifest = SmallManifest();
  manifest.build.num_dbs = 1 << 20;
  for (int32_t db_id = 3; db_id < 2000; ++db_id) manifest.shards.push_back({.db_id = db_id, .db_url = std::string(300, 'x')});
  std::string bytes = Foreign(manifest);
  // Every child of the root of `shards` (page 3 of 4096 bytes, an interior page) becomes its own first.
  const size_t root = 2 * 4096;
  ASSERT_EQ(bytes[root], 5) << "an interior page of a table";
  const int cells = static_cast<unsigned char>(bytes[root + 3]) * 256 + static_cast<unsigned char>(bytes[root + 4]);
  for (int i = 0; i < cells; ++i) {
    const size_t at = root + static_cast<unsigned char>(bytes[root + 12 + 2 * i]) * 256 + static_cast<unsigned char>(bytes[root + 13 + 2 * i]);
    bytes.replace(at, 4, std::string("\0\0\0\3", 4));
  }
  EXPECT_THAT(DecodeManifest(bytes), HasKind(ErrorKind::kCorruption));
}

TEST(Manifest, AnUnusableManifestIsNotWritten) {
  ShardedManifest manifest = SmallManifest();
  manifest.shards[0].db_id = 2;
  EXPECT_THAT(EncodeManifest(manifest), HasKind(ErrorKind::kInvalidArgument));
  manifest = SmallManifest("a/b");
  EXPECT_THAT(EncodeManifest(manifest), HasMessage("no run id"));
  manifest = SmallManifest();
  manifest.custom = "[1]";
  EXPECT_THAT(EncodeManifest(manifest), HasKind(ErrorKind::kInvalidArgument));
  manifest.custom = std::string(100, '[');
  EXPECT_THAT(EncodeManifest(manifest), HasMessage("nests deeper"));
}

TEST(UtcText, InstantsAreReadInEverySpelling) {
  const UtcTime time{std::chrono::microseconds(1'795'592'293'884'350)};
  EXPECT_EQ(UtcText(time), "2026-11-25T07:38:13.884350Z");
  for (const char* const text : {"2026-11-25T07:38:13.884350Z", "2026-11-25T07:38:13.88435+00:00", "2026-11-25 08:38:13.8843509+0100", "2026-11-25T03:08:13.88435-04:30"})
    EXPECT_EQ(ReadUtcText(text), time) << text;
  for (const char* const text : {"", "2026-11-25", "2026-11-25T07:38:13", "2026-11-31T07:38:13Z", "2026-11-25T24:18:13Z", "2026-11-25T07:38:13.Z", "2026-11-25T07:38:13Zx"})
    EXPECT_EQ(ReadUtcText(text), std::nullopt) << text;
}

}  // namespace
}  // namespace datashard::generation
