// ShardedReader::Open as programs call it: pointer and manifest as objects, in a directory and in a bucket.
#include <gtest/gtest.h>

#include <filesystem>

#include "s3/s3_test_support.h"
#include "shardread/reader_test_support.h"

namespace datashard::shardread {
namespace {

void ExpectAll(ShardedReader& reader, const std::string& tag, int64_t count) {
  for (int64_t i = 0; i < count; ++i) ASSERT_EQ(Looked(reader.Get(KeyView::Int(i))), tag + ":" + std::to_string(i));
  EXPECT_EQ(Looked(reader.Get(KeyView::Int(count))), "absent");
}

std::string PublishTo(ManifestStore& manifests, const ShardedManifest& manifest) {
  const std::string ref = manifests.Store(manifest).value();
  EXPECT_THAT(manifests.SetCurrent(ref), IsOk());
  return ref;
}

TEST(Published, ADirectoryIsOpenedByItsPathOrItsUrl) {
  TemporaryDirectory directory;
  const auto store = OpenLocalStore(directory.path(), /*create=*/false).value();
  TestSnapshots snapshots(*store, FileUri(directory.path()));
  EXPECT_THAT(ShardedReader::Open({.prefix = directory.path()}), HasKind(ErrorKind::kNotFound));
  const auto manifests = OpenManifestStore(directory.path()).value();
  PublishTo(*manifests, snapshots.Write("0a", Numbered(300, "a"), {}));
  ASSERT_OK_AND_ASSIGN(const auto reader, ShardedReader::Open({.prefix = directory.path()}));
  ASSERT_OK_AND_ASSIGN(const auto by_url, ShardedReader::Open({.prefix = FileUri(directory.path())}));
  ASSERT_OK_AND_ASSIGN(const auto with_store, ShardedReader::Open({.prefix = directory.path()}, manifests.get()));
  for (ShardedReader* const each : {reader.get(), by_url.get(), with_store.get()}) ExpectAll(*each, "a", 300);
  PublishTo(*manifests, snapshots.Write("0b", Numbered(300, "b"), {.format = ShardFormat::kSlateDb}));
  EXPECT_EQ(reader->Refresh().value(), true);
  ExpectAll(*reader, "b", 300);
  ExpectAll(*by_url, "a", 300);
}

TEST(Published, ADamagedOrDeletedManifestFallsBackToTheOneBefore) {
  TemporaryDirectory directory;
  const auto store = OpenLocalStore(directory.path(), /*create=*/false).value();
  TestSnapshots snapshots(*store, FileUri(directory.path()));
  const auto manifests = OpenManifestStore(directory.path()).value();
  PublishTo(*manifests, snapshots.Write("0a", Numbered(300, "a"), {}));
  const std::string second = PublishTo(*manifests, snapshots.Write("0b", Numbered(300, "b"), {}));
  const std::string key = KeyBelow(FileUri(directory.path()), second).value();
  const Bytes whole = store->Get(key).value();
  for (const Bytes& damaged : {Bytes("SQLite format 3"), whole.substr(0, whole.size() / 2), Bytes()}) {
    ASSERT_THAT(store->Replace(key, damaged), IsOk());
    ASSERT_OK_AND_ASSIGN(const auto reader, ShardedReader::Open({.prefix = directory.path()}));
    ExpectAll(*reader, "a", 300);
    EXPECT_THAT(ShardedReader::Open({.prefix = directory.path(), .max_fallback_attempts = 0}), HasKind(ErrorKind::kCorruption));
  }
  ASSERT_THAT(store->Delete(key), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto reader, ShardedReader::Open({.prefix = directory.path()}));
  ExpectAll(*reader, "a", 300);
  EXPECT_THAT(ShardedReader::Open({.prefix = directory.path(), .max_fallback_attempts = 0}), HasKind(ErrorKind::kNotFound));
}

TEST(Published, ABucketIsReadInEveryWay) {
  DS_SKIP_WITHOUT_S3();
  const s3::TestServer server = s3::ServerFromEnvironment();
  s3::TestOutside here;
  std::string path;
  const auto store = s3::FreshStore(server, here.outside, &path);
  const std::string prefix = "s3://" + server.bucket + "/" + path;
  const SnapshotS3Options options{.access_key_id = server.access_key, .secret_access_key = server.secret_key, .endpoint_url = server.endpoint,
                                  .region_name = server.region, .addressing_style = "path"};
  TemporaryDirectory local;
  TestSnapshots snapshots(*store, prefix);
  const auto manifests = OpenManifestStore(prefix, options).value();
  const auto open = [&](SqliteMode mode) {
    return ShardedReader::Open({.prefix = prefix, .s3 = options, .local_root = local.path() + "/kept", .sqlite_mode = mode});
  };
  EXPECT_THAT(open(SqliteMode::kAuto), HasKind(ErrorKind::kNotFound));
  PublishTo(*manifests, snapshots.Write("0a", Numbered(3'000, "a"), {.page_checksums = true}));
  ASSERT_OK_AND_ASSIGN(const auto copying, open(SqliteMode::kDownload));
  ASSERT_OK_AND_ASSIGN(const auto ranging, open(SqliteMode::kRange));
  for (ShardedReader* const reader : {copying.get(), ranging.get()}) ExpectAll(*reader, "a", 3'000);
  EXPECT_TRUE(std::filesystem::exists(local.path() + "/kept/shard=00000/shard.db"));
  PublishTo(*manifests, snapshots.Write("0b", Numbered(3'000, "b"), {.format = ShardFormat::kSlateDb}));
  for (ShardedReader* const reader : {copying.get(), ranging.get()}) {
    EXPECT_EQ(reader->Refresh().value(), true);
    ExpectAll(*reader, "b", 3'000);
  }
}

}  // namespace
}  // namespace datashard::shardread
