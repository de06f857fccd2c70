// The worked examples of docs/formats/sqlite_shard.md, byte for byte.
#include "sqlite/sidecar.h"
#include "sqlite/test_support.h"

namespace datashard::sqlite {
namespace {

std::string Hex(ByteView bytes) {
  std::string hex;
  for (const char byte : bytes) hex += fmt::format("{}{:02x}", hex.empty() ? "" : " ", static_cast<unsigned char>(byte));
  return hex;
}

Objects Example() { return Build({{"a", "1"}, {"b", "22"}}, {.page_size = 512, .page_checksums = true}); }

TEST(SqliteGolden, DatabaseIsThatOfTheDocument) {
  const Bytes file = Example().at("shard.db");
  ASSERT_EQ(file.size(), 1024u);
  EXPECT_EQ(Hex(file.substr(0, 32)), "53 51 4c 69 74 65 20 66 6f 72 6d 61 74 20 33 00 02 00 01 01 00 40 20 20 00 00 00 02 00 00 00 02");
  EXPECT_EQ(Hex(file.substr(40, 20)), "00 00 00 01 00 00 00 04 00 00 00 00 00 00 00 00 00 00 00 01");
  EXPECT_EQ(Hex(file.substr(92, 18)), "00 00 00 02 00 2e 63 01 0d 00 00 00 01 01 aa 00 01 aa");
  EXPECT_EQ(Hex(file.substr(0x1aa, 19)), "54 01 07 17 11 11 01 81 13 74 61 62 6c 65 6b 76 6b 76 02");
  EXPECT_EQ(file.substr(0x1aa + 19, 67), "CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID");
  EXPECT_EQ(Hex(file.substr(512, 12)), "0a 00 00 00 02 01 f3 00 01 fa 01 f3");
  EXPECT_EQ(Hex(file.substr(512 + 0x1f3)), "06 03 0e 10 62 32 32 05 03 0e 0e 61 31");
}

TEST(SqliteGolden, ChecksumsAreThoseOfTheDocument) {
  EXPECT_EQ(Hex(Example().at("shard.pages.crc32c")), "44 53 50 43 01 00 00 00 00 02 00 00 02 00 00 00 2b 5d 60 7f 4c d9 6d 06 00 f2 c7 b3");
}

TEST(SqliteGolden, SidecarIsThatOfTheDocument) {
  ASSERT_OK_AND_ASSIGN(const SidecarFrame frame, BuildSidecarFrame(Example().at("shard.db")));
  const Bytes sidecar = FrameToSidecar(frame, "\"e1\"");
  EXPECT_EQ(Hex(sidecar.substr(0, 26)), "53 51 50 43 08 dc 00 00 00 00 00 00 00 00 02 00 00 04 22 65 31 22 28 b5 2f fd");
  EXPECT_EQ(frame.body_bytes, 24u + 110 + 86);  // page 1 without its gap
}

}  // namespace
}  // namespace datashard::sqlite
