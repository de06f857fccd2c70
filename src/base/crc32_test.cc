// slatedb_test compares with zlib, which is not of this room.
#include "base/crc32.h"

#include <gtest/gtest.h>

namespace datashard {
namespace {

TEST(Crc32, IsThatOfTheStandardsCheckValues) {
  for (const auto crc : {&Crc32, &Crc32ByTables}) {
    EXPECT_EQ(crc("", 0), 0u);
    EXPECT_EQ(crc("123456789", 0), 0xCBF43926u);
    EXPECT_EQ(crc(Bytes(32, '\0'), 0), 0x190A55ADu);
    EXPECT_EQ(crc("The quick brown fox jumps over the lazy dog", 0), 0x414FA339u);
  }
}

TEST(Crc32, InstructionAndTablesAgreeOnAllLengthsAndInParts) {
  Bytes bytes;
  for (int i = 0; i < 400; ++i) {
    EXPECT_EQ(Crc32(bytes), Crc32ByTables(bytes)) << i;
    const ByteView all = bytes;
    EXPECT_EQ(Crc32(all.substr(all.size() / 3), Crc32(all.substr(0, all.size() / 3))), Crc32ByTables(all)) << i;
    bytes.push_back(static_cast<char>(i * 37));
  }
}

}  // namespace
}  // namespace datashard
