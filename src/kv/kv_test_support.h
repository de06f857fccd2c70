// What the tests of every shard format need: databases built from pairs, placed where a reader finds them, and compared with the pairs.
// Only tests include this.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
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
    if (place == Place::kMapped) files_.emplace(std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path());
    for (const auto& [name, bytes] : objects) Put(name, bytes, place);
    if (place == Place::kStored) {
      directory_ = OpenStoredDirectory(*store_, "shard", cache_);
      return;
    }
    Result<std::unique_ptr<ShardDirectory>> opened = OpenMappedDirectory(files_->path(), "file://shard", cache_);
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
    const std::filesystem::path path = std::filesystem::path(files_->path()) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  std::optional<TemporaryDirectory> files_;  // of mapped objects; in memory, since tests of damage make thousands
  std::unique_ptr<ObjectStore> store_;
  BlockCache cache_;
  std::unique_ptr<ShardDirectory> directory_;
};

/// Counts what is asked of the files of another directory, which is borrowed.
class CountingDirectory final : public ShardDirectory {
 public:
  explicit CountingDirectory(const ShardDirectory& inner) : inner_(inner) {}
  const std::string& uri() const override { return inner_.uri(); }
  Result<std::vector<std::string>> List(std::string_view prefix) const override { return inner_.List(prefix); }
  Result<Bytes> Get(std::string_view name) const override { return inner_.Get(name); }
  Result<std::unique_ptr<ShardFile>> Open(std::string_view name) const override {
    DS_ASSIGN_OR_RETURN(std::unique_ptr<ShardFile> file, inner_.Open(name));
    return std::unique_ptr<ShardFile>(std::make_unique<File>(std::move(file), *this));
  }
  BlockCache& cache() const override { return inner_.cache(); }

  mutable std::atomic<int> reads{0};      ///< calls of ShardFile::Read
  mutable std::atomic<int> requests{0};   ///< ranges of these
  mutable std::atomic<int64_t> bytes{0};  ///< in the ranges

 private:
  class File final : public ShardFile {
   public:
    File(std::unique_ptr<ShardFile> inner, const CountingDirectory& counts) : inner_(std::move(inner)), counts_(counts) {}
    const std::string& uri() const override { return inner_->uri(); }
    int64_t size_bytes() const override { return inner_->size_bytes(); }
    std::optional<ByteView> mapped() const override { return inner_->mapped(); }
    std::vector<Result<Bytes>> Read(std::span<const ByteRange> ranges) const override {
      ++counts_.reads;
      counts_.requests += static_cast<int>(ranges.size());
      for (const ByteRange& range : ranges) counts_.bytes += range.size_bytes;
      return inner_->Read(ranges);
    }
    uint64_t cache_id() const override { return inner_->cache_id(); }

   private:
    const std::unique_ptr<ShardFile> inner_;
    const CountingDirectory& counts_;
  };
  const ShardDirectory& inner_;
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

}  // namespace datashard::kv
