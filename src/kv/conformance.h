// The contract of DatabaseWriter and Database as a test suite over any format, on mapped files and on a store that is read by ranges.
// One source of a format's tests includes this and says how the format is written and opened:
//   DS_DATABASE_CONFORMANCE(Plain, (Format{.name = "plain", .new_writer = …, .open = …}));
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kv/kv_test_support.h"

namespace datashard::kv {

class DatabaseConformance : public testing::TestWithParam<FormatInPlace> {
 protected:
  const Format& format() const { return GetParam().format; }
  /// Writes and opens a database of `pairs`; the one before it is gone then.
  void Open(const Pairs& pairs, int64_t cache_bytes = 64 << 20) { OpenObjects(BuildDatabase(format(), pairs), cache_bytes); }
  void OpenObjects(const Objects& objects, int64_t cache_bytes = 64 << 20) {
    database_.reset();
    placed_ = std::make_unique<PlacedObjects>(objects, GetParam().place, cache_bytes);
    Result<std::unique_ptr<Database>> opened = format().open(placed_->directory());
    ASSERT_THAT(opened, IsOk());
    database_ = std::move(opened).value();
  }
  const Database& database() const { return *database_; }

  std::unique_ptr<PlacedObjects> placed_;
  std::unique_ptr<Database> database_;
};

TEST_P(DatabaseConformance, AnEmptyDatabaseIsValid) {
  ASSERT_NO_FATAL_FAILURE(Open({}));
  ExpectHolds(database(), {});
}

TEST_P(DatabaseConformance, OnePairIsFound) {
  ASSERT_NO_FATAL_FAILURE(Open({{"k", "v"}}));
  ExpectHolds(database(), {{"k", "v"}});
}

TEST_P(DatabaseConformance, AValueMayBeEmpty) {
  const Pairs pairs = {{"a", ""}, {"b", "x"}, {"c", ""}};
  ASSERT_NO_FATAL_FAILURE(Open(pairs));
  ExpectHolds(database(), pairs);
}

TEST_P(DatabaseConformance, KeysAreOrderedAsUnsignedBytes) {
  const Pairs pairs = {{"\x01", "1"}, {"\x7f", "2"}, {"\x80", "3"}, {"\x80\x01", "4"}, {"\xff", "5"}, {Bytes("\0", 1), "0"}};
  ASSERT_NO_FATAL_FAILURE(Open(pairs));
  ExpectHolds(database(), pairs);
}

TEST_P(DatabaseConformance, RandomPairsAreFoundAndScanned) {
  for (const uint64_t seed : sim::SeedsFromEnvOrRandom(3)) {
    const std::unique_ptr<Random> random = SeededRandom(seed);
    for (const auto& [count, key_bytes, value_bytes] : {std::tuple(300, 4, 30), std::tuple(3000, 12, 200), std::tuple(50, 200, 9000)}) {
      const Pairs pairs = RandomPairs(*random, count, key_bytes, value_bytes);
      ASSERT_NO_FATAL_FAILURE(Open(pairs));
      ASSERT_NO_FATAL_FAILURE(ExpectHolds(database(), pairs)) << "seed " << seed;
    }
  }
}

TEST_P(DatabaseConformance, ALargeValueAndALongKeyAreFound) {
  const Pairs pairs = {{"a", Bytes(100, 'x')}, {Bytes(65535, 'k'), "of the longest key"}, {"m", Bytes(3 << 20, 'v')}, {"z", "last"}};
  ASSERT_NO_FATAL_FAILURE(Open(pairs));
  ExpectHolds(database(), pairs);
}

TEST_P(DatabaseConformance, ARangeStartsAndEndsWhereItSays) {
  const uint64_t seed = sim::SeedFromEnvOrRandom();
  const std::unique_ptr<Random> random = SeededRandom(seed);
  const Pairs pairs = RandomPairs(*random, 1500, 6, 60);
  ASSERT_NO_FATAL_FAILURE(Open(pairs));
  for (int i = 0; i < 200; ++i) {
    KeyRange range{RandomPairs(*random, 1, 6, 0).begin()->first, std::nullopt};
    if (i % 4 != 0) range.end = RandomPairs(*random, 1, 6, 0).begin()->first;
    ASSERT_OK_AND_ASSIGN(const auto scanned, PairsOf(database(), range));
    ASSERT_TRUE(scanned == ExpectedPairs(pairs, range)) << "seed " << seed << ", from " << testing::PrintToString(range.start);
  }
}

TEST_P(DatabaseConformance, ARangeThatEndsBeforeItStartsIsEmpty) {
  ASSERT_NO_FATAL_FAILURE(Open({{"a", "1"}, {"b", "2"}, {"c", "3"}}));
  ASSERT_OK_AND_ASSIGN(const auto backwards, PairsOf(database(), {"c", "a"}));
  EXPECT_TRUE(backwards.empty());
  ASSERT_OK_AND_ASSIGN(const auto nothing, PairsOf(database(), {"b", "b"}));
  EXPECT_TRUE(nothing.empty());
}

TEST_P(DatabaseConformance, ResidentOnlyWaitsForNothing) {
  Pairs pairs;
  for (int i = 0; i < 2000; ++i) pairs[fmt::format("key{:05}", i)] = Bytes(100, static_cast<char>('a' + i % 26));
  ASSERT_NO_FATAL_FAILURE(Open(pairs));
  ASSERT_OK_AND_ASSIGN(const Lookup before, database().Find("key01000", Residency::kResidentOnly));
  if (GetParam().place == Place::kStored) {
    EXPECT_EQ(before.outcome, Lookup::Outcome::kNotResident);
  }
  ASSERT_OK_AND_ASSIGN(const Lookup fetched, database().Find("key01000", Residency::kAnywhere));
  EXPECT_EQ(fetched.outcome, Lookup::Outcome::kFound);
  ASSERT_OK_AND_ASSIGN(const Lookup after, database().Find("key01000", Residency::kResidentOnly));  // also mapped files may be opened late
  ASSERT_EQ(after.outcome, Lookup::Outcome::kFound);
  EXPECT_EQ(after.value.bytes, pairs["key01000"]);
}

TEST_P(DatabaseConformance, AValueOutlivesTheCacheItCameFrom) {
  Pairs pairs;
  for (int i = 0; i < 3000; ++i) pairs[fmt::format("key{:05}", i)] = fmt::format("value {}", i);
  ASSERT_NO_FATAL_FAILURE(Open(pairs, /*cache_bytes=*/1));
  ASSERT_OK_AND_ASSIGN(const Lookup first, database().Find("key00001", Residency::kAnywhere));
  ExpectHolds(database(), pairs);
  EXPECT_EQ(first.value.bytes, "value 1");
}

TEST_P(DatabaseConformance, AKeyOutOfOrderIsRefused) {
  TemporaryDirectory spill;
  for (const char* second : {"a", "b"}) {
    const std::unique_ptr<DatabaseWriter> writer = format().new_writer([&] { return std::make_unique<Output>(1 << 20, spill.path()); });
    ASSERT_THAT(writer->Add("b", "1"), IsOk());
    EXPECT_THAT(writer->Add(second, "2"), HasKind(ErrorKind::kInvalidArgument));
  }
}

TEST_P(DatabaseConformance, AnAbsentDatabaseIsNotFound) {
  const PlacedObjects placed({}, GetParam().place);
  EXPECT_THAT(format().open(placed.directory()), HasKind(ErrorKind::kNotFound));
}

TEST_P(DatabaseConformance, AFlippedByteCrashesNothing) {
  const Pairs pairs = {{"apple", "green"}, {"banana", Bytes(60, 'y')}, {"cherry", ""}, {"date", "brown"}};
  const Objects objects = BuildDatabase(format(), pairs);
  for (size_t object = 0; object < objects.size(); ++object) {
    const size_t step = 1 + objects[object].second.size() / 1500;
    for (size_t at = 0; at < objects[object].second.size(); at += step) {
      const int mask = at % 3 == 0 ? 0x01 : at % 3 == 1 ? 0x80 : 0xff;
      Objects damaged = objects;
      damaged[object].second[at] = static_cast<char>(damaged[object].second[at] ^ mask);
      const bool right = RightOrRefused(format(), damaged, pairs, GetParam().place);
      if (format().every_byte_is_checked) {
        EXPECT_TRUE(right) << objects[object].first << " at " << at << " xor " << mask;
      }
    }
  }
}

TEST_P(DatabaseConformance, ATruncatedObjectIsRefused) {
  Pairs pairs;
  for (int i = 0; i < 100; ++i) pairs[fmt::format("key{:05}", i)] = Bytes(100, 'v');
  const Objects objects = BuildDatabase(format(), pairs);
  for (size_t object = 0; object < objects.size(); ++object) {
    const size_t size = objects[object].second.size();
    for (size_t kept = 0; kept < size; kept += 1 + size / 100) {
      Objects damaged = objects;
      damaged[object].second.resize(kept);
      EXPECT_TRUE(RightOrRefused(format(), damaged, pairs, GetParam().place)) << objects[object].first << " cut at " << kept;
    }
  }
}

inline std::string NameOfCase(const testing::TestParamInfo<FormatInPlace>& info) {
  return info.param.format.name + (info.param.place == Place::kMapped ? "Mapped" : "Stored");
}

/// Runs the suite on one Format, in both places.
#define DS_DATABASE_CONFORMANCE(instance, format)                                                                          \
  INSTANTIATE_TEST_SUITE_P(instance, DatabaseConformance,                                                                  \
                           testing::Values(FormatInPlace{format, Place::kMapped}, FormatInPlace{format, Place::kStored}), \
                           NameOfCase)

}  // namespace datashard::kv
