#include "commit/marks.h"

#include <gtest/gtest.h>

#include "support/matchers.h"

namespace datashard::commit {
namespace {

constexpr int64_t kNowMs = 1'700'000'000'000;

TEST(Marks, AreReadAsTheyWereWritten) {
  iceberg::TableMetadata metadata;
  Marks marks;
  marks.Raise(0, 17);
  marks.Raise(1023, int64_t{1} << 47);
  marks.Write(metadata, "ab", kNowMs);
  EXPECT_EQ(metadata.properties.at("datashard.ring.ab"), "1700000000000;0:17,1023:140737488355328");
  ASSERT_OK_AND_ASSIGN(const std::optional<Marks> read, Marks::Read(metadata, "ab"));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read, marks);
  EXPECT_EQ(read->Of(0), 17);
  EXPECT_EQ(read->Of(5), 0);
}

TEST(Marks, NeverFall) {
  Marks marks;
  marks.Raise(3, 9);
  marks.Raise(3, 4);
  EXPECT_EQ(marks.Of(3), 9);
}

TEST(Marks, OfAnUnknownRingAreNone) {
  ASSERT_OK_AND_ASSIGN(const std::optional<Marks> read, Marks::Read({}, "ab"));
  EXPECT_FALSE(read.has_value());
}

TEST(Marks, TextThatWeDoNotWriteIsCorruption) {
  for (const char* text : {"", "x", "1;2", "1;2:", "1;2:x", "1;2:3;4:5", "1;2:3,2:4", "-1;2:3", "1;-2:3",
                           "1;99999999999:1"}) {
    iceberg::TableMetadata metadata;
    metadata.properties["datashard.ring.ab"] = text;
    const auto read = Marks::Read(metadata, "ab");
    EXPECT_THAT(read, HasKind(ErrorKind::kCorruption)) << text;
    EXPECT_THAT(read, HasMessage("datashard.ring.ab")) << text;
  }
}

TEST(Marks, OfRingsSilentForAWeekAreForgotten) {
  iceberg::TableMetadata metadata;
  Marks marks;
  marks.Raise(1, 1);
  marks.Write(metadata, "old", kNowMs - kRingSilenceMax.count() - 1);
  marks.Write(metadata, "young", kNowMs - kRingSilenceMax.count() + 1000);
  marks.Write(metadata, "now", kNowMs);
  EXPECT_FALSE(metadata.properties.contains("datashard.ring.old"));
  EXPECT_TRUE(metadata.properties.contains("datashard.ring.young"));
  EXPECT_TRUE(metadata.properties.contains("datashard.ring.now"));
}

TEST(Marks, OfManyRingsTheMostSilentAreForgottenButNoneThatCommittedWithinTheHour) {
  iceberg::TableMetadata metadata;
  Marks marks;
  marks.Raise(1, 1);
  for (int i = 0; i < 40; ++i) marks.Write(metadata, fmt::format("r{:02}", i), kNowMs + i * 1000);
  EXPECT_EQ(metadata.properties.size(), 40u) << "all of them committed within the hour";
  marks.Write(metadata, "last", kNowMs + kRingSilenceMin.count() + 10'500);
  EXPECT_FALSE(metadata.properties.contains("datashard.ring.r10"));
  EXPECT_TRUE(metadata.properties.contains("datashard.ring.r11"));
  EXPECT_TRUE(metadata.properties.contains("datashard.ring.last"));
}

TEST(Marks, OfMoreRingsThanAVersionMayCarryTheMostSilentAreForgottenAtOnce) {
  iceberg::TableMetadata metadata;
  Marks marks;
  marks.Raise(1, 1);
  for (int i = 0; i < 200; ++i) marks.Write(metadata, fmt::format("r{:03}", i), kNowMs + i);
  EXPECT_EQ(metadata.properties.size(), kRingsMax);
  EXPECT_TRUE(metadata.properties.contains("datashard.ring.r199"));
  EXPECT_FALSE(metadata.properties.contains("datashard.ring.r100"));
}

TEST(Marks, AClockThatIsAheadForgetsNobodyElse) {
  iceberg::TableMetadata metadata;
  Marks marks;
  marks.Raise(1, 1);
  marks.Write(metadata, "ahead", kNowMs + 30 * kRingSilenceMax.count());
  marks.Write(metadata, "right", kNowMs);
  EXPECT_TRUE(metadata.properties.contains("datashard.ring.ahead"));
  EXPECT_TRUE(metadata.properties.contains("datashard.ring.right"));
}

}  // namespace
}  // namespace datashard::commit
