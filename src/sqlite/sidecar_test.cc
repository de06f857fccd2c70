#include "sqlite/sidecar.h"

#include <set>

#include "sqlite/format.h"
#include "sqlite/test_support.h"

namespace datashard::sqlite {
namespace {

using ::testing::ElementsAre;

constexpr std::string_view kTag = "\"9b2cf535f27731c974343645a3985328\"";

Pairs SomePairs() {
  Pairs pairs;
  for (int i = 0; i < 3'000; ++i) pairs[fmt::format("{:06}", i)] = Bytes(i % 500 == 0 ? 9'000 : 60, static_cast<char>(i));
  return pairs;
}

// By the types of pages.
std::set<uint32_t> InteriorPages(const Bytes& file, uint32_t page_size, const std::set<uint32_t>& in_chains) {
  std::set<uint32_t> interior;
  for (uint32_t number = 2; number <= file.size() / page_size; ++number) {
    if (file[(number - 1) * page_size] == kIndexInterior && !in_chains.contains(number)) interior.insert(number);
  }
  return interior;
}

TEST(SqliteSidecar, HasEveryInteriorPageTheSchemaAndEveryChain) {
  const Pairs pairs = SomePairs();
  for (const int32_t page_size : {512, 4096, 65'536}) {
    const Bytes file = Build(pairs, {.page_size = page_size}).at("shard.db");
    ASSERT_OK_AND_ASSIGN(const SidecarFrame frame, BuildSidecarFrame(file));
    EXPECT_EQ(frame.page_size, static_cast<uint32_t>(page_size));
    ASSERT_OK_AND_ASSIGN(const Sidecar sidecar, ParseSidecar(FrameToSidecar(frame, kTag)));
    EXPECT_EQ(sidecar.tag, kTag);
    std::set<uint32_t> in_chains;
    for (const auto& chain : sidecar.chains) {
      for (size_t i = 0; i < chain.size(); ++i) {
        EXPECT_TRUE(in_chains.insert(chain[i]).second);
        EXPECT_EQ(LoadU32(&file[(chain[i] - 1) * static_cast<size_t>(page_size)]), i + 1 < chain.size() ? chain[i + 1] : 0);
      }
    }
    EXPECT_EQ(sidecar.chains.size(), page_size == 65'536 ? 0u : 6u);
    std::set<uint32_t> expected = InteriorPages(file, sidecar.page_size, in_chains);
    expected.insert(1);
    std::set<uint32_t> found;
    for (const Sidecar::Page& page : sidecar.pages) {
      found.insert(page.number);
      EXPECT_TRUE(page.bytes == file.substr((page.number - 1) * static_cast<size_t>(page_size), static_cast<size_t>(page_size))) << page.number;
    }
    EXPECT_EQ(found, expected);
    EXPECT_GT(found.size(), 1u);
  }
}

TEST(SqliteSidecar, IsTheSameFromMemoryAndFromASpillFile) {
  const Bytes file = Build(SomePairs()).at("shard.db");
  kv::Output in_memory(int64_t{1} << 40, "");
  ASSERT_THAT(in_memory.Append(file), IsOk());
  kv::Output spilled(0, ::testing::TempDir());
  ASSERT_THAT(spilled.Append(file), IsOk());
  ASSERT_FALSE(spilled.in_memory().has_value());
  ASSERT_OK_AND_ASSIGN(const Bytes first, BuildSidecar(in_memory, kTag));
  ASSERT_OK_AND_ASSIGN(const Bytes second, BuildSidecar(spilled, kTag));
  EXPECT_TRUE(first == second);
}

TEST(SqliteSidecar, OfAnEmptyShardIsTheSchema) {
  ASSERT_OK_AND_ASSIGN(const SidecarFrame frame, BuildSidecarFrame(Build({}).at("shard.db")));
  ASSERT_OK_AND_ASSIGN(const Sidecar sidecar, ParseSidecar(FrameToSidecar(frame, Bytes(256, 't'))));
  EXPECT_EQ(sidecar.tag, "");
  ASSERT_EQ(sidecar.pages.size(), 1u);
  EXPECT_EQ(sidecar.pages[0].number, 1u);
  EXPECT_TRUE(sidecar.chains.empty());
}

TEST(SqliteSidecar, OfWhatIsNoShardIsRefused) {
  EXPECT_THAT(BuildSidecarFrame(ByteView("no database")), HasKind(ErrorKind::kCorruption));
  EXPECT_THAT(BuildSidecarFrame(ByteView()), HasKind(ErrorKind::kCorruption));
  Engine engine;
  engine.Query("CREATE TABLE other (k)");
  EXPECT_THAT(BuildSidecarFrame(engine.Serialized()), HasKind(ErrorKind::kUnsupported));
}

TEST(SqliteSidecar, DamagedBytesAreAnErrorAndNeverACrash) {
  Pairs pairs;
  for (int i = 0; i < 200; ++i) pairs[fmt::format("{:04}", i)] = Bytes(i == 7 ? 2'000 : 30, 'v');
  const Bytes file = Build(pairs, {.page_size = 512}).at("shard.db");
  ASSERT_OK_AND_ASSIGN(const SidecarFrame frame, BuildSidecarFrame(file));
  const Bytes sound = FrameToSidecar(frame, kTag);
  ASSERT_OK_AND_ASSIGN(const Sidecar expected, ParseSidecar(sound));
  size_t refused = 0;
  for (size_t i = 0; i < sound.size(); ++i) {
    Bytes flipped = sound;
    flipped[i] ^= 0x10;
    const Result<Sidecar> parsed = ParseSidecar(flipped);
    // A tag may be anything, and of a frame some bits mean nothing.
    const bool in_tag = i >= 18 && i < 18 + kTag.size();
    EXPECT_TRUE(in_tag || !parsed.ok() || *parsed == expected) << i;
    refused += parsed.ok() ? 0 : 1;
    EXPECT_FALSE(ParseSidecar(ByteView(sound).substr(0, i)).ok()) << i;
  }
  EXPECT_GT(refused, sound.size() * 9 / 10 - kTag.size());
  for (size_t i = 0; i < file.size(); ++i) {
    Bytes flipped = file;
    flipped[i] ^= 0x10;
    const Result<SidecarFrame> built = BuildSidecarFrame(flipped);
    EXPECT_TRUE(built.ok() || built.kind() == ErrorKind::kCorruption || built.kind() == ErrorKind::kUnsupported) << i;
  }
}

}  // namespace
}  // namespace datashard::sqlite
