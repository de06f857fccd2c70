// What we write, read by the real engine.
#include <random>

#include "base/crc32c.h"
#include "sqlite/file_header.h"
#include "sqlite/format.h"
#include "sqlite/page_checksums.h"
#include "sqlite/page_stream.h"
#include "sqlite/test_support.h"
#include "sqlite/tree_writer.h"

namespace datashard::sqlite {
namespace {

using ::testing::ElementsAre;

Bytes RandomBytes(std::mt19937_64& random, size_t size) {
  Bytes bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// The engine finds nothing wrong, and every pair.
void ExpectEngineReads(const Bytes& file, const Pairs& pairs) {
  Engine engine(file);
  EXPECT_THAT(engine.Query("PRAGMA integrity_check"), ElementsAre(ElementsAre("ok")));
  EXPECT_THAT(engine.Query("SELECT count(*) FROM kv"), ElementsAre(ElementsAre(std::to_string(pairs.size()))));
  EXPECT_TRUE(engine.AllPairs() == pairs);
  size_t looked_at = 0;
  for (const auto& [key, value] : pairs) {
    if (pairs.size() > 2'000 && looked_at++ % 97 != 0) continue;
    const auto found = engine.Query("SELECT v FROM kv WHERE k = ?", {key});
    ASSERT_EQ(found.size(), 1u);
    EXPECT_TRUE(found[0][0] == value);
  }
  EXPECT_TRUE(engine.Query("SELECT v FROM kv WHERE k = ?", {"no such key"}).empty());
}

TEST(SqliteWriter, EmptyDatabaseIsOne) {
  const Objects objects = Build({});
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects.at("shard.db").size(), 8192u);
  ExpectEngineReads(objects.at("shard.db"), {});
}

TEST(SqliteWriter, SmallFileIsTheEnginesByteForByte) {
  Engine engine;
  engine.CreateKv();
  const Pairs pairs = {{Bytes(1, '\0'), ""}, {"a", "1"}, {"b", Bytes(200, 'v')}, {"c", Bytes(5'000, 'w')}, {"d", "2"}};
  engine.Query("BEGIN");
  for (const auto& [key, value] : pairs) engine.Query("INSERT INTO kv VALUES (?, ?)", {key, value});
  engine.Query("COMMIT");
  Bytes theirs = engine.Serialized();
  Bytes ours = Build(pairs).at("shard.db");
  ASSERT_EQ(ours.size(), theirs.size());
  for (Bytes* file : {&ours, &theirs}) {
    file->replace(24, 4, "----");  // how often it was changed, here and as of the version
    file->replace(92, 8, "--------");
  }
  EXPECT_TRUE(ours == theirs) << std::mismatch(ours.begin(), ours.end(), theirs.begin()).first - ours.begin();
}

TEST(SqliteWriter, EnginesStoredSqlIsOurs) {
  Engine engine;
  engine.CreateKv();
  EXPECT_THAT(engine.Query("SELECT sql FROM sqlite_schema"), ElementsAre(ElementsAre(std::string(kSchemaSql))));
}

// Every count around the places where a page, and a level, is just full.
TEST(SqliteWriter, EveryCountOfPairsUpToThreeLevels) {
  Pairs pairs;
  for (int count = 0; count < 400; ++count) {
    const Objects objects = Build(pairs, {.page_size = 512});
    Engine engine(objects.at("shard.db"));
    ASSERT_THAT(engine.Query("PRAGMA integrity_check"), ElementsAre(ElementsAre("ok"))) << count;
    ASSERT_TRUE(engine.AllPairs() == pairs) << count;
    pairs.emplace(fmt::format("key {:06}", count), Bytes(40 + count % 50, 'v'));
  }
}

TEST(SqliteWriter, EveryPageSizeWithKeysAndValuesOfAllSizes) {
  for (int32_t page_size = 512; page_size <= 65'536; page_size *= 2) {
    std::mt19937_64 random(static_cast<uint64_t>(page_size));
    Pairs pairs;
    for (int i = 0; i < 600; ++i) {
      const size_t key_bytes = i % 50 == 0 ? 1 + random() % 65'535 : 1 + random() % 40;
      const size_t value_bytes = i % 100 == 0 ? random() % (1 << 20) : i % 10 == 0 ? random() % 10'000 : random() % 200;
      pairs[RandomBytes(random, key_bytes)] = RandomBytes(random, value_bytes);
    }
    // Sizes around the limit of what stays in a page.
    const uint32_t local_max = LocalRule::OfIndex(static_cast<uint32_t>(page_size)).local_max;
    for (uint32_t size = local_max - 20; size < local_max + 20; ++size) pairs[fmt::format("limit {}", size)] = Bytes(size, 'l');
    pairs[Bytes(65'535, 'k')] = Bytes(1 << 20, 'v');
    ExpectEngineReads(Build(pairs, {.page_size = page_size}).at("shard.db"), pairs);
  }
}

TEST(SqliteWriter, AHundredThousandPairsFillTheirPages) {
  Pairs pairs;
  std::mt19937_64 random(6);
  while (pairs.size() < 100'000) pairs[RandomBytes(random, 8)] = Bytes(100, 'v');
  const Bytes file = Build(pairs).at("shard.db");
  ExpectEngineReads(file, pairs);
  EXPECT_LT(static_cast<double>(file.size()), 1.09 * 108 * 100'000);
}

TEST(SqliteWriter, RefusesKeysOutOfOrderAndPagesThatAreNone) {
  const auto writer = NewSqliteWriter({}, InMemory());
  ASSERT_THAT(writer->Add("b", "1"), IsOk());
  EXPECT_THAT(writer->Add("a", "2"), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(writer->Add("b", "2"), HasMessage("ascending order"));
  for (const int32_t page_size : {0, -512, 256, 1000, 131'072}) {
    const auto wrong = NewSqliteWriter({.page_size = page_size}, InMemory());
    EXPECT_THAT(wrong->Add("a", "1"), HasKind(ErrorKind::kInvalidArgument)) << page_size;
    EXPECT_THAT(wrong->Finish(), HasMessage("power of two")) << page_size;
  }
}

TEST(SqliteWriter, RefusesRowsThatTheEngineRefuses) {
  const auto writer = NewSqliteWriter({}, InMemory());
  // Only its size is looked at.
  EXPECT_THAT(writer->Add("a", ByteView("x", 1'000'000'000)), HasMessage("at most 1000000000 bytes"));
  EXPECT_THAT(writer->Add("a", "1"), IsOk());
}

TEST(SqliteWriter, PageOfTheLockByteIsLeftOut) {
  // Moved to where a test reaches it, for the engine too.
  constexpr int kLockByteOfTest = 0x10000;
  sqlite3_test_control(SQLITE_TESTCTRL_PENDING_BYTE, kLockByteOfTest);
  for (const uint32_t page_size : {512u, 4096u}) {
    for (const size_t value_bytes : {size_t{50}, size_t{3'000}, size_t{200'000}}) {
      kv::Output output(int64_t{1} << 40, "");
      PageStream pages(output, {.page_size = page_size, .lock_byte = kLockByteOfTest});
      for (int i = 0; i < 2; ++i) ASSERT_THAT(pages.Append(Bytes(page_size, '\0')), IsOk());
      TreeWriter tree(pages, 2);
      Pairs pairs;
      for (int i = 0; i * (value_bytes + 10) < 400'000; ++i) {
        const auto& [key, value] = *pairs.emplace(fmt::format("{:09}", i), Bytes(value_bytes, static_cast<char>(i))).first;
        char header[16];
        const char* end = WriteVarint(WriteVarint(header + 1, 12 + 2 * key.size()), 12 + 2 * value.size());
        header[0] = static_cast<char>(end - header);
        ASSERT_THAT(tree.Add(ByteView(header, static_cast<size_t>(end - header)), key, value), IsOk());
      }
      ASSERT_THAT(tree.Finish(), IsOk());
      ASSERT_THAT(pages.Rewrite(1, FirstPage(page_size, pages.page_count(), 2)), IsOk());
      const Bytes file = Contents(output);
      ASSERT_GT(file.size(), size_t{3 * kLockByteOfTest});
      EXPECT_EQ(file.substr(kLockByteOfTest, page_size), Bytes(page_size, '\0'));
      ExpectEngineReads(file, pairs);
    }
  }
  sqlite3_test_control(SQLITE_TESTCTRL_PENDING_BYTE, 0x40000000);
}

TEST(SqliteWriter, ChecksumsAreThoseOfAllPages) {
  Pairs pairs;
  for (int i = 0; i < 2'000; ++i) pairs[fmt::format("{:05}", i)] = Bytes(i % 700, 'v');
  const Objects objects = Build(pairs, {.page_size = 1024, .page_checksums = true});
  ASSERT_OK_AND_ASSIGN(const PageChecksums checksums, DecodePageChecksums("x", objects.at("shard.pages.crc32c")));
  EXPECT_EQ(checksums.page_size, 1024u);
  const Bytes& file = objects.at("shard.db");
  ASSERT_EQ(checksums.of_pages.size(), file.size() / 1024);
  for (size_t i = 0; i < checksums.of_pages.size(); ++i) {
    EXPECT_EQ(checksums.of_pages[i], Crc32c(ByteView(file).substr(i * 1024, 1024))) << i;
  }
}

TEST(PageStream, LockPageOfTheRealPlaceIsSkippedForEveryPageSize) {
  kv::Output output(1 << 20, "");
  for (uint32_t page_size = 512; page_size <= 65'536; page_size *= 2) {
    const PageStream pages(output, {.page_size = page_size, .lock_byte = kLockByte});
    const uint32_t lock_page = (1u << 30) / page_size + 1;
    EXPECT_EQ(pages.After(lock_page - 1), lock_page + 1);
    EXPECT_EQ(pages.After(lock_page - 2), lock_page - 1);
    EXPECT_EQ(pages.After(lock_page + 1), lock_page + 2);
  }
}

}  // namespace
}  // namespace datashard::sqlite
