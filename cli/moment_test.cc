#include "cli/moment.h"

#include "support/matchers.h"

namespace datashard::cli {
namespace {

using Moment = std::variant<Number, Instant>;

TEST(ParseMoment, DigitsAreANumber) {
  EXPECT_EQ(ParseMoment("6031547841123456789").value(), Moment(Number{6'031'547'841'123'456'789}));
  EXPECT_EQ(ParseMoment("0").value(), Moment(Number{0}));
}

TEST(ParseMoment, Iso8601IsAnInstantAndUtcWithoutAZone) {
  const std::pair<std::string_view, int64_t> kInstants[] = {
      {"2013-01-01", 1'356'998'400'000},
      {"2013-01-01T05:00", 1'357'016'400'000},
      {"2013-01-01 05:00:00", 1'357'016'400'000},
      {"2013-01-01T05:00:00Z", 1'357'016'400'000},
      {"2013-01-01T05:00:00.123Z", 1'357'016'400'123},
      {"2013-01-01T05:00:00+02:00", 1'357'009'200'000},
      {"1969-12-31T23:59:59.9995Z", -1},
  };
  for (const auto& [text, ms] : kInstants) {
    const Result<Moment> moment = ParseMoment(text);
    ASSERT_THAT(moment, IsOk()) << text;
    EXPECT_EQ(*moment, Moment(Instant{ms})) << text;
  }
}

TEST(ParseMoment, EverythingElseListsTheForms) {
  for (const std::string_view text :
       {"", "yesterday", "2013-13-01", "2013-01-01T25:00", "99999999999999999999", "12x", "0x10"}) {
    EXPECT_THAT(ParseMoment(text), HasKind(ErrorKind::kInvalidArgument)) << text;
    EXPECT_THAT(ParseMoment(text), HasMessage("ISO 8601")) << text;
  }
}

TEST(FormatInstant, IsUtcWithMilliseconds) {
  EXPECT_EQ(FormatInstant(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(FormatInstant(1'700'000'000'123), "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(FormatInstant(-1), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(FormatInstant(INT64_MAX), "9223372036854775807 ms");
}

}  // namespace
}  // namespace datashard::cli
