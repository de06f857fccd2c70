#include "data/fetch_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace datashard {

void PrintTo(const ByteRange& range, std::ostream* out) { *out << range.size_bytes << " bytes at " << range.offset_bytes; }
bool operator==(const ByteRange& a, const ByteRange& b) { return a.offset_bytes == b.offset_bytes && a.size_bytes == b.size_bytes; }

namespace data {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr CoalesceLimits kLimits{.gap_bytes_max = 10, .range_bytes_max = 100};

TEST(FetchPlan, NeighboursAreFetchedTogether) {
  EXPECT_THAT(Coalesced({{50, 5}, {0, 20}, {25, 20}}, kLimits), ElementsAre(ByteRange{0, 55}));
  EXPECT_THAT(Coalesced({{0, 20}, {31, 20}}, kLimits), ElementsAre(ByteRange{0, 20}, ByteRange{31, 20}));
  EXPECT_THAT(Coalesced({{0, 20}, {30, 20}}, kLimits), ElementsAre(ByteRange{0, 50}));
}

TEST(FetchPlan, LargeRangesAreCutIntoEqualPieces) {
  EXPECT_THAT(Coalesced({{7, 201}}, kLimits), ElementsAre(ByteRange{7, 67}, ByteRange{74, 67}, ByteRange{141, 67}));
  EXPECT_THAT(Coalesced({{0, 100}}, kLimits), ElementsAre(ByteRange{0, 100}));
}

TEST(FetchPlan, NothingIsFetchedForNothing) {
  EXPECT_THAT(Coalesced({}, kLimits), IsEmpty());
  EXPECT_THAT(Coalesced({{5, 0}}, kLimits), IsEmpty());
}

TEST(FetchPlan, EveryWantedByteIsCoveredAndLittleElse) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 500; ++round) {
    std::vector<ByteRange> wanted;
    std::vector<bool> is_wanted(3000);
    for (uint64_t i = random() % 12; i > 0; --i) {
      wanted.push_back({.offset_bytes = static_cast<int64_t>(random() % 2500), .size_bytes = static_cast<int64_t>(random() % 300)});
      for (int64_t at = 0; at < wanted.back().size_bytes; ++at) is_wanted[static_cast<size_t>(wanted.back().offset_bytes + at)] = true;
    }
    const std::vector<ByteRange> ranges = Coalesced(wanted, kLimits);
    int64_t end = -1;
    int64_t unwanted = 0;
    std::vector<bool> is_fetched(3000);
    for (const ByteRange& range : ranges) {
      EXPECT_GE(range.offset_bytes, end) << "in order and apart";
      EXPECT_GT(range.size_bytes, 0);
      EXPECT_LE(range.size_bytes, kLimits.range_bytes_max);
      end = range.offset_bytes + range.size_bytes;
      for (int64_t at = range.offset_bytes; at < end; ++at) {
        is_fetched[static_cast<size_t>(at)] = true;
        unwanted += !is_wanted[static_cast<size_t>(at)];
      }
    }
    for (size_t at = 0; at < is_wanted.size(); ++at) ASSERT_TRUE(!is_wanted[at] || is_fetched[at]) << "byte " << at;
    EXPECT_LE(unwanted, static_cast<int64_t>(wanted.size()) * kLimits.gap_bytes_max);
  }
}

TEST(FetchPlan, ASmallFileIsReadWholeAndALargerOneIfHalfIsWanted) {
  const std::vector<Field> one = {{.id = 1, .name = "a"}};
  const Filter none;
  const Filter some{.all_of = {{.column = "a", .op = FilterOp::kGe, .values = {int64_t{1}}}}};
  DataFile file{.file_size_in_bytes = 256 << 10, .column_sizes = {{1, 10}, {2, 250'000}}};
  EXPECT_TRUE(IsReadWhole(file, one, some));
  file.file_size_in_bytes = 1'000'000;
  EXPECT_FALSE(IsReadWhole(file, one, none)) << "ten bytes are wanted";
  file.column_sizes[1] = 600'000;
  EXPECT_TRUE(IsReadWhole(file, one, none));
  EXPECT_FALSE(IsReadWhole(file, one, some)) << "row groups may be skipped";
  file.split_offsets = {4};
  EXPECT_TRUE(IsReadWhole(file, one, some)) << "there is only one";
  file.column_sizes.clear();
  EXPECT_TRUE(IsReadWhole(file, one, none)) << "nobody knows how much is wanted";
  file.file_size_in_bytes = (4 << 20) + 1;
  EXPECT_FALSE(IsReadWhole(file, one, none));
}

}  // namespace
}  // namespace data
}  // namespace datashard
