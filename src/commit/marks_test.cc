#include "commit/marks.h"

#include <gtest/gtest.h>

#include "support/matchers.h"

namespace datashard::commit {
namespace {

constexpr int64_t kNowMs = 1'700'000'000'000;

/// A table that rings leave marks in.
class MarkedTable : public testing::Test {
 protected:
  void Write(const std::string& ring_id, int64_t now_ms) {
    Marks marks;
    marks.Raise(1, 1);
    ForgetSilentRings(metadata, now_ms);
    marks.Write(metadata, ring_id, now_ms);
  }
  bool Knows(const std::string& ring_id) const { return metadata.properties.contains("datashard.ring." + ring_id); }
  iceberg::TableMetadata metadata;
};

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
  marks.Raise(3, 9, 70);
  marks.Raise(3, 4, 80);
  EXPECT_EQ(marks.Of(3), 9);
  EXPECT_EQ(marks.SequenceOf(3), 70);
}

TEST(Marks, TellTheSnapshotWhereItIsSaid) {
  iceberg::TableMetadata metadata;
  Marks marks;
  marks.Raise(0, 17, 4711);
  marks.Raise(1, 3, 4711);
  marks.Raise(1, 4);
  marks.Write(metadata, "ab", kNowMs);
  EXPECT_EQ(metadata.properties.at("datashard.ring.ab"), "1700000000000;0:17@4711,1:4");
  ASSERT_OK_AND_ASSIGN(const std::optional<Marks> read, Marks::Read(metadata, "ab"));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->SequenceOf(0), 4711);
  EXPECT_EQ(read->SequenceOf(1), 0);
}

TEST(Marks, OfAnUnknownRingAreNone) {
  ASSERT_OK_AND_ASSIGN(const std::optional<Marks> read, Marks::Read({}, "ab"));
  EXPECT_FALSE(read.has_value());
}

TEST(Marks, TextThatWeDoNotWriteIsCorruption) {
  for (const char* text : {"", "x", "1;2", "1;2:", "1;2:x", "1;2:3;4:5", "1;2:3,2:4", "-1;2:3", "1;-2:3",
                           "1;99999999999:1", "1;", "1;2:3@", "1;2:3@-4", "1;2@3:4"}) {
    iceberg::TableMetadata metadata;
    metadata.properties["datashard.ring.ab"] = text;
    const auto read = Marks::Read(metadata, "ab");
    EXPECT_THAT(read, HasKind(ErrorKind::kCorruption)) << text;
    EXPECT_THAT(read, HasMessage("datashard.ring.ab")) << text;
  }
}

TEST_F(MarkedTable, RingsSilentForAWeekAreForgotten) {
  Write("old", kNowMs - kRingSilenceMax.count() - 1);
  Write("young", kNowMs - kRingSilenceMax.count() + 1000);
  Write("now", kNowMs);
  EXPECT_FALSE(Knows("old"));
  EXPECT_TRUE(Knows("young"));
  EXPECT_TRUE(Knows("now"));
}

TEST_F(MarkedTable, OfManyRingsTheMostSilentAreForgottenButNoneThatCommittedWithinTheHour) {
  for (int i = 0; i < 40; ++i) Write(fmt::format("r{:02}", i), kNowMs + i * 1000);
  EXPECT_EQ(metadata.properties.size(), 40u) << "all of them committed within the hour";
  Write("last", kNowMs + kRingSilenceMin.count() + 10'500);
  EXPECT_FALSE(Knows("r10"));
  EXPECT_TRUE(Knows("r11"));
  EXPECT_TRUE(Knows("last"));
}

TEST_F(MarkedTable, OfMoreRingsThanAVersionMayCarryTheMostSilentAreForgottenAtOnce) {
  for (int i = 0; i < 1200; ++i) Write(fmt::format("r{:04}", i), kNowMs + i);
  EXPECT_EQ(metadata.properties.size(), kRingsMax);
  EXPECT_TRUE(Knows("r1199"));
  EXPECT_FALSE(Knows("r0100"));
}

TEST_F(MarkedTable, AWrongClockForgetsNobodyElse) {
  Write("right", NextMarksTime(metadata, kNowMs));
  Write("ahead", NextMarksTime(metadata, kNowMs + 30 * kRingSilenceMax.count()));
  EXPECT_TRUE(Knows("right"));
  Write("behind", NextMarksTime(metadata, kNowMs - 30 * kRingSilenceMax.count()));
  EXPECT_TRUE(Knows("ahead"));
  for (int i = 0; i < 40; ++i) Write(fmt::format("r{:02}", i), NextMarksTime(metadata, kNowMs));
  EXPECT_TRUE(Knows("behind")) << "only those who wrote many versions ago count as silent";
}

TEST_F(MarkedTable, TheTimeOfMarksNeverFallsAndRisesByASmallStepAtMost) {
  EXPECT_EQ(NextMarksTime(metadata, kNowMs), kNowMs);
  Write("a", kNowMs);
  EXPECT_EQ(NextMarksTime(metadata, kNowMs + 7), kNowMs + 7);
  EXPECT_EQ(NextMarksTime(metadata, kNowMs - 7), kNowMs);
  EXPECT_EQ(NextMarksTime(metadata, kNowMs + 7'000), kNowMs + kMarksTimeStep.count());
}

}  // namespace
}  // namespace datashard::commit
