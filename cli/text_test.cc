#include "cli/text.h"

#include "support/matchers.h"

namespace datashard::cli {
namespace {

TEST(Printable, PlainTextStaysAsItIs) {
  EXPECT_EQ(Printable("a b \\ 'ö' 漢字 🙂"), "a b \\ 'ö' 漢字 🙂");
  EXPECT_EQ(Printable(""), "");
}

TEST(Printable, WhatATerminalWouldObeyIsSpelledOut) {
  EXPECT_EQ(Printable("a\nb\tc\rd"), "a\\nb\\tc\\rd");
  EXPECT_EQ(Printable("\x1b]0;title\x07"), "\\x1b]0;title\\x07");
  EXPECT_EQ(Printable(std::string_view("a\0b\x7f", 4)), "a\\x00b\\x7f");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "2J"),
            "\\x9b2J");  // the one-character form of ESC [
  EXPECT_EQ(Printable("a\u202e"
                      "b\u2066\u200f\u2028"),
            "a\\u202eb\\u2066\\u200f\\u2028");
}

TEST(Printable, BytesThatAreNotUtf8AreSpelledOut) {
  EXPECT_EQ(Printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(Printable("a\xc3"), "a\\xc3");                           // cut off
  EXPECT_EQ(Printable("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(Printable("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");           // overlong
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
}

TEST(DisplayWidth, WideCharactersCountTwoAndCombiningOnesNone) {
  EXPECT_EQ(DisplayWidth("abc"), 3);
  EXPECT_EQ(DisplayWidth("größe"), 5);
  EXPECT_EQ(DisplayWidth("漢字"), 4);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1);
}

TEST(Shorten, KeepsWhatFitsAndMarksTheCut) {
  EXPECT_EQ(Shorten("abcdef", 6), "abcdef");
  EXPECT_EQ(Shorten("abcdef", 5), "abcd…");
  EXPECT_EQ(Shorten("漢字漢字", 5), "漢字…");
  EXPECT_EQ(Shorten("漢字漢字", 4), "漢…");  // half a character is none
  EXPECT_EQ(Shorten("abc", 1), "…");
}

TEST(JsonString, EscapesWhatJsonMust) {
  EXPECT_EQ(JsonString("a\"b\\c\n\t\x01"), R"("a\"b\\c\n\t\u0001")");
  EXPECT_EQ(JsonString("ö\xff"), "\"ö\uFFFD\"");
  EXPECT_EQ(JsonString("\u009b31m\u202e\U000E0041"), R"("\u009b31m\u202e\udb40\udc41")");
}

TEST(TerminalSafeJson, EscapesWhatATerminalObeysAndLeavesTheLayout) {
  EXPECT_EQ(TerminalSafeJson("{\n  \"kö\": \"\u009b\x7f\u202e\"\n}"), "{\n  \"kö\": \"\\u009b\\u007f\\u202e\"\n}");
}

TEST(Numbers, ReadLikeAPersonWouldWriteThem) {
  EXPECT_EQ(WithThousands(0), "0");
  EXPECT_EQ(WithThousands(999), "999");
  EXPECT_EQ(WithThousands(1000), "1,000");
  EXPECT_EQ(WithThousands(336776), "336,776");
  EXPECT_EQ(WithThousands(-1234567), "-1,234,567");
  EXPECT_EQ(WithThousands(INT64_MIN), "-9,223,372,036,854,775,808");
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(999), "999 B");
  EXPECT_EQ(HumanBytes(1536), "1.5 kB");
  EXPECT_EQ(HumanBytes(123'456'789), "123 MB");
  EXPECT_EQ(HumanDuration(3.4), "0:03");
  EXPECT_EQ(HumanDuration(75), "1:15");
  EXPECT_EQ(HumanDuration(3700), "1:01:40");
  EXPECT_EQ(HumanDuration(1e30), "99:59:59");
}

TEST(NearestName, FindsOneSlipAndGivesUpOnStrangers) {
  const std::vector<std::string> names = {"dep_delay", "arr_delay", "carrier", "id"};
  EXPECT_EQ(NearestName("dep_dealy", names), "dep_delay");  // swapped
  EXPECT_EQ(NearestName("DEP_DELAY", names), "dep_delay");
  EXPECT_EQ(NearestName("carier", names), "carrier");
  EXPECT_EQ(NearestName("ids", names), "id");
  EXPECT_EQ(NearestName("temperature", names), std::nullopt);
  EXPECT_EQ(NearestName("", names), std::nullopt);
  EXPECT_EQ(NearestName(std::string(100'000, 'x'), names), std::nullopt);
}

}  // namespace
}  // namespace datashard::cli
