// What the tests of this room share: shards in memory, a directory that counts what is read, and the real engine.
#pragma once

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "sqlite/sqlite_shard.h"
#include "support/matchers.h"

namespace datashard::sqlite {

using Pairs = std::map<Bytes, Bytes>;
using Objects = std::map<std::string, Bytes, std::less<>>;

inline kv::OutputFactory InMemory() {
  return [] { return std::make_unique<kv::Output>(int64_t{1} << 40, ""); };
}

inline Bytes Contents(const kv::Output& output) {
  Bytes bytes;
  EXPECT_THAT(output.ForEachPiece(1 << 20, [&](ByteView piece) {
    bytes.append(piece);
    return Status();
  }), IsOk());
  return bytes;
}

inline Objects Build(const Pairs& pairs, SqliteWriterOptions options = {}) {
  const auto writer = NewSqliteWriter(options, InMemory());
  for (const auto& [key, value] : pairs) EXPECT_THAT(writer->Add(key, value), IsOk());
  auto built = writer->Finish();
  EXPECT_THAT(built, IsOk());
  Objects objects;
  if (!built.ok()) return objects;
  for (const kv::BuiltObject& object : *built) objects[object.name] = Contents(*object.bytes);
  return objects;
}

/// Objects in memory, as if mapped or as if far away. Counts calls of ShardFile::Read and what they brought.
class FakeDirectory final : public kv::ShardDirectory {
 public:
  struct Count {
    int calls = 0;
    int ranges = 0;
    int64_t bytes = 0;
  };
  FakeDirectory(Objects objects, bool mapped, int64_t cache_bytes = 64 << 20) : objects_(std::move(objects)), mapped_(mapped), cache_(cache_bytes) {}

  const std::string& uri() const override { return uri_; }
  Result<std::vector<std::string>> List(std::string_view) const override { return std::vector<std::string>(); }
  Result<Bytes> Get(std::string_view name) const override {
    const auto found = objects_.find(name);
    if (found == objects_.end()) return NotFound("no object {}", name);
    return found->second;
  }
  Result<std::unique_ptr<kv::ShardFile>> Open(std::string_view name) const override {
    const auto found = objects_.find(name);
    if (found == objects_.end()) return NotFound("no object {}", name);
    return std::unique_ptr<kv::ShardFile>(new File(*this, found->second));
  }
  kv::BlockCache& cache() const override { return cache_; }

  Count& count() const { return count_; }
  Objects& objects() { return objects_; }

 private:
  class File final : public kv::ShardFile {
   public:
    File(const FakeDirectory& directory, const Bytes& bytes) : directory_(directory), bytes_(bytes), id_(++directory.files_) {}
    const std::string& uri() const override { return uri_; }
    int64_t size_bytes() const override { return static_cast<int64_t>(bytes_.size()); }
    std::optional<ByteView> mapped() const override { return directory_.mapped_ ? std::optional<ByteView>(bytes_) : std::nullopt; }
    std::vector<Result<Bytes>> Read(std::span<const ByteRange> ranges) const override {
      ++directory_.count_.calls;
      std::vector<Result<Bytes>> read;
      for (const ByteRange& range : ranges) {
        ++directory_.count_.ranges;
        directory_.count_.bytes += range.size_bytes;
        const bool within = range.offset_bytes >= 0 && range.size_bytes >= 0 && range.offset_bytes + range.size_bytes <= size_bytes();
        read.push_back(within ? Result<Bytes>(bytes_.substr(static_cast<size_t>(range.offset_bytes), static_cast<size_t>(range.size_bytes)))
                              : Result<Bytes>(Corruption("cut off")));
      }
      return read;
    }
    uint64_t cache_id() const override { return id_; }

   private:
    const FakeDirectory& directory_;
    const Bytes& bytes_;
    const std::string uri_ = "fake://shard/shard.db";
    const uint64_t id_;
  };

  Objects objects_;
  const bool mapped_;
  const std::string uri_ = "fake://shard";
  mutable kv::BlockCache cache_;
  mutable Count count_;
  mutable uint64_t files_ = 0;
};

/// All rows that a scan gives.
inline Result<Pairs> ScanAll(const kv::Database& database, kv::KeyRange range = {}) {
  Pairs pairs;
  DS_ASSIGN_OR_RETURN(const auto cursor, database.Scan(std::move(range)));
  for (;;) {
    DS_ASSIGN_OR_RETURN(const bool more, cursor->Next());
    if (!more) return pairs;
    pairs.emplace_hint(pairs.end(), cursor->key(), cursor->value());
  }
}

inline Result<std::optional<Bytes>> FindIn(const kv::Database& database, ByteView key) {
  DS_ASSIGN_OR_RETURN(const kv::Lookup found, database.Find(key, kv::Residency::kAnywhere));
  if (found.outcome == kv::Lookup::Outcome::kAbsent) return std::optional<Bytes>();
  return std::optional<Bytes>(found.value.bytes);
}

/// The real library, over bytes in memory.
class Engine {
 public:
  explicit Engine(ByteView database = {}) {
    EXPECT_EQ(sqlite3_open(":memory:", &connection_), SQLITE_OK);
    if (database.empty()) return;
    auto* copy = static_cast<unsigned char*>(sqlite3_malloc64(database.size()));
    std::copy(database.begin(), database.end(), copy);
    const auto size = static_cast<sqlite3_int64>(database.size());
    EXPECT_EQ(sqlite3_deserialize(connection_, "main", copy, size, size, SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY), SQLITE_OK);
  }
  ~Engine() { sqlite3_close(connection_); }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Rows of blobs or texts; `parameters` are bound as blobs.
  std::vector<std::vector<Bytes>> Query(const std::string& sql, const std::vector<Bytes>& parameters = {}) {
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(connection_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK) << sql << ": " << sqlite3_errmsg(connection_);
    for (size_t i = 0; i < parameters.size(); ++i) {
      sqlite3_bind_blob64(statement, static_cast<int>(i + 1), parameters[i].data(), parameters[i].size(), SQLITE_STATIC);
    }
    std::vector<std::vector<Bytes>> rows;
    int step = 0;
    while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
      std::vector<Bytes>& row = rows.emplace_back();
      for (int i = 0; i < sqlite3_column_count(statement); ++i) {
        const auto* start = static_cast<const char*>(sqlite3_column_blob(statement, i));
        row.emplace_back(start == nullptr ? "" : start, static_cast<size_t>(sqlite3_column_bytes(statement, i)));
      }
    }
    EXPECT_EQ(step, SQLITE_DONE) << sql << ": " << sqlite3_errmsg(connection_);
    sqlite3_finalize(statement);
    return rows;
  }

  void CreateKv() { Query("CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID"); }
  Pairs AllPairs() {
    Pairs pairs;
    for (auto& row : Query("SELECT k, v FROM kv ORDER BY k")) pairs.emplace(std::move(row[0]), std::move(row[1]));
    return pairs;
  }
  Bytes Serialized() {
    sqlite3_int64 size = 0;
    unsigned char* bytes = sqlite3_serialize(connection_, "main", &size, 0);
    Bytes copy(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
    sqlite3_free(bytes);
    return copy;
  }

 private:
  sqlite3* connection_ = nullptr;
};

}  // namespace datashard::sqlite
