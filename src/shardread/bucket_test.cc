// Shards of a bucket: copied as whole files, or read by ranges. The bucket is a store in memory that says it is remote.
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "shardread/reader_test_support.h"
#include "sim/forwarding_store.h"

namespace datashard::shardread {
namespace {

// Counts, and answers kUnavailable where told to.
class CountingStore final : public sim::ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  Result<std::unique_ptr<ObjectReader>> OpenReader(std::string_view key) override {
    ++opened;
    if (is_down) return Unavailable("the bucket does not answer");
    return base_->OpenReader(key);
  }
  std::atomic<int> opened = 0;
  std::atomic<bool> is_down = false;
};

// Answers nobody before `together` callers wait at the same time.
class MeetingStore final : public sim::ForwardingStore {
 public:
  MeetingStore(std::shared_ptr<ObjectStore> base, int together) : ForwardingStore(std::move(base)), together_(together) {}
  Result<std::unique_ptr<ObjectReader>> OpenReader(std::string_view key) override {
    std::unique_lock lock(mutex_);
    if (++waiting_ == together_) met_.notify_all();
    const bool met = met_.wait_for(lock, std::chrono::seconds(30), [&] { return waiting_ >= together_; });
    lock.unlock();
    if (!met) return Unavailable("only {} callers came", waiting_);
    return base_->OpenReader(key);
  }

 private:
  const int together_;
  std::mutex mutex_;
  std::condition_variable met_;
  int waiting_ = 0;
};

struct BucketSnapshot {
  TemporaryDirectory local;
  std::shared_ptr<CountingStore> store = std::make_shared<CountingStore>(OpenMemoryStore("bucket", SystemClock(), /*remote=*/true));
  TestSnapshots snapshots{*store, "s3://bucket/p"};
  std::shared_ptr<TestManifests> manifests = std::make_shared<TestManifests>();

  Result<std::unique_ptr<ShardedReader>> Open(ShardedReaderSettings settings = {}) {
    settings.prefix = "s3://bucket/p";
    if (settings.local_root.empty()) settings.local_root = local.path() + "/kept";
    return OpenReader(std::move(settings), manifests, std::make_shared<generation::SnapshotPlace>("s3://bucket/p", store), SystemClock());
  }
  std::string Kept(int db_id, const std::string& name) const { return fmt::format("{}/kept/shard={:05}/{}", local.path(), db_id, name); }
  std::string KeyOf(const ShardMeta& shard, const std::string& name) const { return shard.db_url->substr(std::string("s3://bucket/p/").size()) + "/" + name; }
  void ExpectAll(ShardedReader& reader, const std::string& tag, int64_t count) {
    for (int64_t i = 0; i < count; ++i) ASSERT_EQ(Looked(reader.Get(KeyView::Int(i))), tag + ":" + std::to_string(i));
  }
};

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void WriteFile(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes; }

TEST(Copies, AreMadeOnceAndUsedAgain) {
  BucketSnapshot snapshot;
  const ShardedManifest manifest = snapshot.snapshots.Write("r1", Numbered(500, "a"), {});
  ASSERT_THAT(snapshot.manifests->SetCurrent(snapshot.manifests->Store(manifest).value()), IsOk());
  {
    ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
    snapshot.ExpectAll(*reader, "a", 500);
    EXPECT_EQ(snapshot.store->opened, 4);
  }
  for (const ShardMeta& shard : manifest.shards) {
    EXPECT_EQ(ReadFile(snapshot.Kept(shard.db_id, "shard.identity.json")), fmt::format(R"({{"checkpoint_id":"r1","db_url":"{}"}})", *shard.db_url));
    EXPECT_TRUE(std::filesystem::exists(snapshot.Kept(shard.db_id, ".cache.lock")));
    EXPECT_EQ(std::filesystem::file_size(snapshot.Kept(shard.db_id, "shard.db")), static_cast<size_t>(shard.db_bytes));
  }
  // As shardyfusion writes it.
  WriteFile(snapshot.Kept(0, "shard.identity.json"), fmt::format(R"({{"checkpoint_id": "r1", "db_url": "{}"}})", *manifest.shards[0].db_url));
  ASSERT_OK_AND_ASSIGN(const auto again, snapshot.Open());
  snapshot.ExpectAll(*again, "a", 500);
  EXPECT_EQ(snapshot.store->opened, 4) << "nothing was fetched again";
}

TEST(Copies, AnotherGenerationReplacesThemUnderAReaderOfTheOld) {
  BucketSnapshot snapshot;
  snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(500, "a"), {});
  ASSERT_OK_AND_ASSIGN(const auto old, snapshot.Open());
  snapshot.ExpectAll(*old, "a", 500);
  snapshot.snapshots.Publish(snapshot.manifests, "r2", Numbered(500, "b"), {});
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  snapshot.ExpectAll(*reader, "b", 500);
  snapshot.ExpectAll(*old, "a", 500);
  EXPECT_EQ(old->Refresh().value(), true);
  snapshot.ExpectAll(*old, "b", 500);
  EXPECT_EQ(snapshot.store->opened, 8) << "the refreshed reader found the copies of the other";
}

TEST(Copies, OneThatIsDamagedIsFetchedAgainOnce) {
  BucketSnapshot snapshot;
  const ShardedManifest manifest = snapshot.snapshots.Write("r1", Numbered(500, "a"), {.num_dbs = 1});
  ASSERT_THAT(snapshot.manifests->SetCurrent(snapshot.manifests->Store(manifest).value()), IsOk());
  { snapshot.ExpectAll(*snapshot.Open().value(), "a", 500); }
  const std::string path = snapshot.Kept(0, "shard.db");
  const std::string whole = ReadFile(path);
  WriteFile(path, std::string(whole.size(), 'x'));
  { snapshot.ExpectAll(*snapshot.Open().value(), "a", 500); }
  EXPECT_EQ(snapshot.store->opened, 2);
  WriteFile(path, whole.substr(0, whole.size() / 2));
  { snapshot.ExpectAll(*snapshot.Open().value(), "a", 500); }
  EXPECT_EQ(snapshot.store->opened, 3) << "the size of the manifest is compared";
  EXPECT_EQ(ReadFile(path), whole);
}

TEST(Copies, AByteThatTheDiskFlippedIsFoundByTheNextReader) {
  BucketSnapshot snapshot;
  const ShardedManifest manifest = snapshot.snapshots.Write("r1", Numbered(500, "a"), {.num_dbs = 1});
  ASSERT_THAT(snapshot.manifests->SetCurrent(snapshot.manifests->Store(manifest).value()), IsOk());
  { snapshot.ExpectAll(*snapshot.Open().value(), "a", 500); }
  const std::string path = snapshot.Kept(0, "shard.db");
  const std::string whole = ReadFile(path);
  std::string flipped = whole;
  flipped[whole.find("a:250")] = 'b';
  WriteFile(path, flipped);
  EXPECT_EQ(Looked(snapshot.Open({.verify_checksums = false}).value()->Get(KeyView::Int(250))), "b:250") << "as asked for";
  { snapshot.ExpectAll(*snapshot.Open().value(), "a", 500); }
  EXPECT_EQ(snapshot.store->opened, 2) << "fetched again, once";
  EXPECT_EQ(ReadFile(path), whole);
}

TEST(Copies, AFlippedByteInTheBucketIsCorruptionAndLeavesNothingBehind) {
  BucketSnapshot snapshot;
  const ShardedManifest manifest = snapshot.snapshots.Write("r1", Numbered(500, "a"), {.num_dbs = 1});
  ASSERT_THAT(snapshot.manifests->SetCurrent(snapshot.manifests->Store(manifest).value()), IsOk());
  const std::string key = snapshot.KeyOf(manifest.shards[0], "shard.db");
  Bytes bytes = snapshot.store->Get(key).value();
  for (const size_t at : {size_t{0}, size_t{17}, size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
    Bytes flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    ASSERT_THAT(snapshot.store->Replace(key, flipped), IsOk());
    ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
    const auto got = reader->Get(KeyView::Int(5));
    EXPECT_THAT(got, HasKind(ErrorKind::kCorruption)) << at;
    EXPECT_THAT(got, HasMessage(*manifest.shards[0].db_url + "/shard.db: checksum xxh3_64"));
    EXPECT_FALSE(std::filesystem::exists(snapshot.Kept(0, "shard.db")));
    EXPECT_FALSE(std::filesystem::exists(snapshot.Kept(0, "shard.db.tmp")));
  }
}

TEST(Copies, AFailureIsNotRemembered) {
  BucketSnapshot snapshot;
  snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(500, "a"), {});
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
  snapshot.store->is_down = true;
  EXPECT_THAT(reader->Get(KeyView::Int(5)), HasKind(ErrorKind::kUnavailable));
  snapshot.store->is_down = false;
  snapshot.ExpectAll(*reader, "a", 500);
}

TEST(Copies, TheLeastRecentlyUsedGoUnlessTheyAreOpen) {
  BucketSnapshot snapshot;
  const ShardedManifest manifest = snapshot.snapshots.Write("r1", Numbered(4'000, "a"), {});
  ASSERT_THAT(snapshot.manifests->SetCurrent(snapshot.manifests->Store(manifest).value()), IsOk());
  const auto is_kept = [&](int db_id) { return std::filesystem::exists(snapshot.Kept(db_id, "shard.db")); };
  int64_t largest = 0;
  for (const ShardMeta& shard : manifest.shards) largest = std::max(largest, shard.db_bytes);
  std::vector<int64_t> key_of(4, -1);  // one of each shard
  {
    ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open());
    for (int64_t i = 0; i < 100; ++i) key_of[static_cast<size_t>(reader->Route(KeyView::Int(i)).value().value())] = i;
  }
  const auto touch = [&](ShardedReader& reader, size_t db_id) {
    ASSERT_EQ(Looked(reader.Get(KeyView::Int(key_of[db_id]))), "a:" + std::to_string(key_of[db_id]));
  };
  for (const size_t db_id : {1u, 0u}) touch(*snapshot.Open().value(), db_id);
  const auto age = [&](int db_id, int hours) {
    std::filesystem::last_write_time(snapshot.Kept(db_id, ".cache.lock"), std::filesystem::file_time_type::clock::now() - std::chrono::hours(hours));
  };
  age(1, 2);
  age(0, 1);
  const ShardedReaderSettings bounded{.local_bytes_max = 2 * largest};
  { touch(*snapshot.Open(bounded).value(), 2); }
  EXPECT_FALSE(is_kept(1)) << "the oldest of three";
  EXPECT_FALSE(std::filesystem::exists(snapshot.Kept(1, "shard.identity.json")));
  EXPECT_TRUE(is_kept(0));
  EXPECT_TRUE(is_kept(2));
  ASSERT_OK_AND_ASSIGN(const auto holds, snapshot.Open());
  touch(*holds, 0);
  age(0, 3);
  age(2, 1);
  ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open(bounded));
  touch(*reader, 3);
  EXPECT_TRUE(is_kept(0)) << "it is the oldest, and open";
  EXPECT_FALSE(is_kept(2));
  snapshot.ExpectAll(*reader, "a", 4'000);
  snapshot.ExpectAll(*holds, "a", 4'000);
}

TEST(Copies, WithoutAPlaceForThemSqliteIsReadByRanges) {
  BucketSnapshot snapshot;
  snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(500, "a"), {});
  const auto place = std::make_shared<generation::SnapshotPlace>("s3://bucket/p", snapshot.store);
  ASSERT_OK_AND_ASSIGN(const auto reader, OpenReader({.prefix = "s3://bucket/p"}, snapshot.manifests, place, SystemClock()));
  snapshot.ExpectAll(*reader, "a", 500);
  ASSERT_OK_AND_ASSIGN(const auto told,
                       OpenReader({.prefix = "s3://bucket/p", .sqlite_mode = SqliteMode::kDownload}, snapshot.manifests, place, SystemClock()));
  EXPECT_THAT(told->Get(KeyView::Int(1)), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(told->Get(KeyView::Int(1)), HasMessage("local_root"));
}

TEST(Ranges, AreReadWhereShardsAreLargeOrToldToBe) {
  BucketSnapshot snapshot;
  const ShardedManifest manifest = snapshot.snapshots.Write("r1", Numbered(500, "a"), {});
  ASSERT_THAT(snapshot.manifests->SetCurrent(snapshot.manifests->Store(manifest).value()), IsOk());
  int64_t sum = 0;
  int64_t largest = 0;
  for (const ShardMeta& shard : manifest.shards) {
    sum += shard.db_bytes;
    largest = std::max(largest, shard.db_bytes);
  }
  const auto copies = [&](ShardedReaderSettings settings) {
    settings.local_root = snapshot.local.path() + "/kept";
    std::filesystem::remove_all(settings.local_root);
    const auto reader = snapshot.Open(settings).value();
    snapshot.ExpectAll(*reader, "a", 500);
    return std::filesystem::exists(settings.local_root);
  };
  EXPECT_FALSE(copies({.sqlite_mode = SqliteMode::kRange}));
  EXPECT_TRUE(copies({.sqlite_mode = SqliteMode::kDownload, .sqlite_auto_per_shard_bytes = 1}));
  EXPECT_TRUE(copies({.sqlite_auto_per_shard_bytes = largest + 1, .sqlite_auto_total_bytes = sum + 1}));
  EXPECT_FALSE(copies({.sqlite_auto_per_shard_bytes = largest}));
  EXPECT_FALSE(copies({.sqlite_auto_per_shard_bytes = largest + 1, .sqlite_auto_total_bytes = sum}));
}

TEST(Ranges, WithPageChecksumsAFlippedByteIsCorruption) {
  BucketSnapshot snapshot;
  const ShardedManifest manifest = snapshot.snapshots.Write("r1", Numbered(500, "a"), {.num_dbs = 1, .page_checksums = true});
  ASSERT_THAT(snapshot.manifests->SetCurrent(snapshot.manifests->Store(manifest).value()), IsOk());
  const std::string key = snapshot.KeyOf(manifest.shards[0], "shard.db");
  const Bytes bytes = snapshot.store->Get(key).value();
  for (size_t at = 0; at < bytes.size(); at += bytes.size() / 50) {
    Bytes flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    ASSERT_THAT(snapshot.store->Replace(key, flipped), IsOk());
    ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open({.sqlite_mode = SqliteMode::kRange}));
    Status seen;
    for (int64_t i = 0; i < 500 && seen.ok(); ++i) {
      const auto got = reader->Get(KeyView::Int(i));
      if (!got.ok()) seen = got.error();
      if (got.ok()) {
        ASSERT_EQ(Looked(got), "a:" + std::to_string(i)) << "a wrong value at " << at;
      }
    }
    EXPECT_THAT(seen, HasKind(ErrorKind::kCorruption)) << at;
  }
}

TEST(Ranges, WhatWasFetchedIsResident) {
  for (const ShardFormat format : {ShardFormat::kSqlite, ShardFormat::kSlateDb}) {
    BucketSnapshot snapshot;
    snapshot.snapshots.Publish(snapshot.manifests, "r1", Numbered(20'000, "a"), {.format = format, .num_dbs = 1});
    ASSERT_OK_AND_ASSIGN(const auto reader, snapshot.Open({.sqlite_mode = SqliteMode::kRange}));
    const auto nothing = [](std::string_view) {};
    EXPECT_EQ(reader->Visit(KeyView::Int(5'000), LookupReach::kAnywhere, nothing).value(), LookupOutcome::kFound);
    EXPECT_EQ(reader->Visit(KeyView::Int(5'000), LookupReach::kResidentOnly, nothing).value(), LookupOutcome::kFound);
    EXPECT_EQ(reader->Visit(KeyView::Int(15'000), LookupReach::kResidentOnly, nothing).value(), LookupOutcome::kNotResident);
    std::vector<KeyView> keys;
    for (int64_t i = 0; i < 20'000; i += 7) keys.push_back(KeyView::Int(i));
    for (const size_t count : {size_t{10}, keys.size()}) {
      ASSERT_OK_AND_ASSIGN(const auto values, reader->MultiGet(std::span(keys).first(count)));
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(values[i]->bytes(), "a:" + std::to_string(keys[i].as_int()));
    }
  }
}

TEST(MultiGetOfABucket, AsksSixteenShardsAtOnceWhateverTheCores) {
  const std::shared_ptr<ObjectStore> memory = OpenMemoryStore("bucket", SystemClock(), /*remote=*/true);
  TestSnapshots snapshots(*memory, "s3://bucket/p");
  const auto manifests = std::make_shared<TestManifests>();
  const ShardedManifest manifest = snapshots.Write("r1", Numbered(2'000, "a"), {.num_dbs = 16});
  ASSERT_EQ(manifest.shards.size(), 16u);
  ASSERT_THAT(manifests->SetCurrent(manifests->Store(manifest).value()), IsOk());
  const auto place = std::make_shared<generation::SnapshotPlace>("s3://bucket/p", std::make_shared<MeetingStore>(memory, 16));
  ASSERT_OK_AND_ASSIGN(const auto reader, OpenReader({.prefix = "s3://bucket/p", .sqlite_mode = SqliteMode::kRange}, manifests, place, SystemClock()));
  std::vector<KeyView> keys;
  for (int64_t i = 0; i < 2'000; ++i) keys.push_back(KeyView::Int(i));
  ASSERT_OK_AND_ASSIGN(const auto values, reader->MultiGet(keys));
  EXPECT_EQ(values[1'999]->bytes(), "a:1999");
}

}  // namespace
}  // namespace datashard::shardread
