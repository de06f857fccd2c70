#include "base/crc32c.h"

#include <gtest/gtest.h>

namespace datashard {
namespace {

TEST(Crc32c, IsThatOfTheRfcsExamples) {
  Bytes ascending(32, '\0');
  for (size_t i = 0; i < ascending.size(); ++i) ascending[i] = static_cast<char>(i);
  for (const auto crc : {&Crc32c, &Crc32cByTable}) {
    EXPECT_EQ(crc("", 0), 0u);
    EXPECT_EQ(crc("123456789", 0), 0xE3069283u);
    EXPECT_EQ(crc(Bytes(32, '\0'), 0), 0x8A9136AAu);
    EXPECT_EQ(crc(Bytes(32, '\xff'), 0), 0x62A8AB43u);
    EXPECT_EQ(crc(ascending, 0), 0x46DD794Eu);
  }
}

TEST(Crc32c, InstructionAndTableAgreeOnAllLengthsAndInParts) {
  Bytes bytes;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(Crc32c(bytes), Crc32cByTable(bytes)) << i;
    const ByteView all = bytes;
    EXPECT_EQ(Crc32c(all.substr(all.size() / 3), Crc32c(all.substr(0, all.size() / 3))), Crc32c(all)) << i;
    bytes.push_back(static_cast<char>(i * 37));
  }
}

}  // namespace
}  // namespace datashard
