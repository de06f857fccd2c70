// The contract of DatabaseWriter and Database as a test suite over any format, on mapped files and on a store that is read by ranges.
// One source of a format's tests includes this and says how the format is written and opened:
//   DS_DATABASE_CONFORMANCE(Plain, (Format{.name = "plain", .new_writer = …, .open = …}));
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "kv/database.h"
#include "kv/database_writer.h"
#include "kv/shard_directory.h"
#include "sim/seed.h"
#include "storage/object_store.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard::kv {

struct Format {
  std::string name;
  std::function<std::unique_ptr<DatabaseWriter>(OutputFactory outputs)> new_writer;
  std::function<Result<std::unique_ptr<Database>>(const ShardDirectory& directory)> open;
  bool every_byte_is_checked = false;  ///< a flipped byte gives an error or the right answer
};
enum class Place { kMapped, kStored };
struct FormatInPlace {
  Format format;
  Place place = Place::kMapped;
};
inline void PrintTo(const FormatInPlace& tested, std::ostream* out) {
  *out << tested.format.name << (tested.place == Place::kMapped ? " mapped" : " stored");
}

using Pairs = std::map<Bytes, Bytes>;
using Objects = std::vector<std::pair<std::string, Bytes>>;  // in the order of their upload

/// The objects of a database of `pairs`.
inline Objects BuildDatabase(const Format& format, const Pairs& pairs) {
  TemporaryDirectory spill;
  const std::unique_ptr<DatabaseWriter> writer = format.new_writer([&] { return std::make_unique<Output>(1 << 26, spill.path()); });
  for (const auto& [key, value] : pairs) EXPECT_THAT(writer->Add(key, value), IsOk());
  Result<std::vector<BuiltObject>> built = writer->Finish();
  EXPECT_THAT(built, IsOk());
  Objects objects;
  if (!built.ok()) return objects;
  for (const BuiltObject& object : *built) {
    Bytes bytes;
    EXPECT_THAT(object.bytes->ForEachPiece(1 << 16, [&](ByteView piece) { bytes += piece; return Status(); }), IsOk());
    EXPECT_FALSE(object.content_type.empty());
    objects.emplace_back(object.name, std::move(bytes));
  }
  return objects;
}

/// Objects where a reader finds them, and all that must live as long.
class PlacedObjects {
 public:
  PlacedObjects(const Objects& objects, Place place, int64_t cache_bytes = 64 << 20)
      : store_(OpenMemoryStore("shards", SystemClock(), /*remote=*/true)), cache_(cache_bytes) {
    for (const auto& [name, bytes] : objects) Put(name, bytes, place);
    if (place == Place::kStored) {
      directory_ = OpenStoredDirectory(*store_, "shard", cache_);
      return;
    }
    Result<std::unique_ptr<ShardDirectory>> opened = OpenMappedDirectory(files_.path(), "file://shard", cache_);
    EXPECT_THAT(opened, IsOk());
    if (opened.ok()) directory_ = std::move(opened).value();
  }
  const ShardDirectory& directory() const { return *directory_; }
  ObjectStore& store() { return *store_; }

 private:
  void Put(const std::string& name, const Bytes& bytes, Place place) {
    if (place == Place::kStored) {
      EXPECT_THAT(store_->PutIfAbsent("shard/" + name, bytes), IsOk());
      return;
    }
    const std::filesystem::path path = std::filesystem::path(files_.path()) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  TemporaryDirectory files_;
  std::unique_ptr<ObjectStore> store_;
  BlockCache cache_;
  std::unique_ptr<ShardDirectory> directory_;
};

/// All pairs of `range`, or the error that ended them. At most `count_max`: a damaged database must not go on for ever.
inline Result<std::vector<std::pair<Bytes, Bytes>>> PairsOf(const Database& database, KeyRange range, size_t count_max = 1 << 24) {
  DS_ASSIGN_OR_RETURN(const std::unique_ptr<Cursor> cursor, database.Scan(std::move(range)));
  std::vector<std::pair<Bytes, Bytes>> pairs;
  while (true) {
    DS_ASSIGN_OR_RETURN(const bool more, cursor->Next());
    if (!more) return pairs;
    pairs.emplace_back(cursor->key(), cursor->value());
    if (pairs.size() > count_max) return Error(ErrorKind::kInternal, "the scan does not end");
  }
}

inline std::vector<std::pair<Bytes, Bytes>> ExpectedPairs(const Pairs& pairs, const KeyRange& range) {
  std::vector<std::pair<Bytes, Bytes>> expected;
  for (auto pair = pairs.lower_bound(range.start); pair != pairs.end() && (!range.end || pair->first < *range.end); ++pair) expected.push_back(*pair);
  return expected;
}

/// Every key of `pairs` and the keys beside it are looked up one by one, in batches, and scanned.
inline void ExpectHolds(const Database& database, const Pairs& pairs) {
  std::vector<Bytes> keys;
  for (const auto& [key, value] : pairs) {
    keys.push_back(key);
    keys.push_back(key + '\0');
    keys.push_back(key.substr(0, key.size() - 1));
  }
  keys.insert(keys.end(), {Bytes(), Bytes("\0", 1), Bytes(300, '\xff')});
  std::sort(keys.begin(), keys.end());
  for (const Bytes& key : keys) {
    ASSERT_OK_AND_ASSIGN(const Lookup found, database.Find(key, Residency::kAnywhere));
    const auto expected = pairs.find(key);
    ASSERT_EQ(found.outcome, expected == pairs.end() ? Lookup::Outcome::kAbsent : Lookup::Outcome::kFound) << testing::PrintToString(key);
    if (expected != pairs.end()) {
      ASSERT_EQ(found.value.bytes, expected->second) << testing::PrintToString(key);
    }
  }
  const std::vector<ByteView> views(keys.begin(), keys.end());
  std::vector<Lookup> found(keys.size());
  ASSERT_THAT(database.FindMany(views, found), IsOk());
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto expected = pairs.find(keys[i]);
    ASSERT_EQ(found[i].outcome, expected == pairs.end() ? Lookup::Outcome::kAbsent : Lookup::Outcome::kFound) << testing::PrintToString(keys[i]);
    if (expected != pairs.end()) {
      ASSERT_EQ(found[i].value.bytes, expected->second);
    }
  }
  ASSERT_OK_AND_ASSIGN(const auto scanned, PairsOf(database, {}));
  ASSERT_TRUE(scanned == ExpectedPairs(pairs, {})) << scanned.size() << " pairs instead of " << pairs.size();
}

/// `count` pairs: keys of few letters, so that they share prefixes, values of all sizes up to `value_bytes_max`.
inline Pairs RandomPairs(Random& random, int count, int key_bytes_max, int value_bytes_max) {
  Pairs pairs;
  for (int i = 0; i < count; ++i) {
    Bytes key(1 + random.Next() % static_cast<uint64_t>(key_bytes_max), 'a');
    for (char& letter : key) letter = "\0ab\xff"[random.Next() % 4];
    Bytes value(random.Next() % static_cast<uint64_t>(value_bytes_max + 1), '\0');
    for (char& byte : value) byte = static_cast<char>(random.Next() % 16);
    pairs[std::move(key)] = std::move(value);
  }
  return pairs;
}

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

/// Opens and reads all of damaged objects: nothing crashes or goes on for ever, and errors have the right kinds.
/// \return were all answers the right ones, or an error?
inline bool RightOrRefused(const Format& format, const Objects& objects, const Pairs& pairs, Place place) {
  const PlacedObjects placed(objects, place);
  const Result<std::unique_ptr<Database>> database = format.open(placed.directory());
  bool right = true;
  const auto refused = [](const Error& error) {
    EXPECT_THAT(error.kind(), testing::AnyOf(ErrorKind::kCorruption, ErrorKind::kUnsupported, ErrorKind::kNotFound)) << error.ToString();
  };
  if (!database.ok()) {
    refused(database.error());
    return true;
  }
  for (const auto& [key, value] : pairs) {
    const Result<Lookup> found = (*database)->Find(key, Residency::kAnywhere);
    if (!found.ok()) refused(found.error());
    else right = right && found->outcome == Lookup::Outcome::kFound && found->value.bytes == value;
    const Result<Lookup> absent = (*database)->Find(key + "?", Residency::kAnywhere);
    if (!absent.ok()) refused(absent.error());
    else right = right && absent->outcome == Lookup::Outcome::kAbsent;
  }
  const auto scanned = PairsOf(**database, {}, pairs.size() + 1000);
  if (!scanned.ok()) refused(scanned.error());
  else right = right && *scanned == ExpectedPairs(pairs, {});
  return right;
}

TEST_P(DatabaseConformance, AFlippedByteCrashesNothing) {
  const Pairs pairs = {{"apple", "green"}, {"banana", Bytes(60, 'y')}, {"cherry", ""}, {"date", "brown"}};
  const Objects objects = BuildDatabase(format(), pairs);
  for (size_t object = 0; object < objects.size(); ++object) {
    const size_t step = 1 + objects[object].second.size() / 1500;
    for (size_t at = 0; at < objects[object].second.size(); at += step) {
      for (const int mask : {0x01, 0x80, 0xff}) {
        Objects damaged = objects;
        damaged[object].second[at] = static_cast<char>(damaged[object].second[at] ^ mask);
        const bool right = RightOrRefused(format(), damaged, pairs, GetParam().place);
        if (format().every_byte_is_checked) {
          EXPECT_TRUE(right) << objects[object].first << " at " << at << " xor " << mask;
        }
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
    for (size_t kept = 0; kept < size; kept += 1 + size / 200) {
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
