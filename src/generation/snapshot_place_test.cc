// Where a snapshot lies, and by whose word a bucket is reached.
#include <gmock/gmock.h>

#include "generation/snapshot_place.h"
#include "generation/snapshot_s3.h"
#include "storage/temporary_directory.h"
#include "support/matchers.h"

namespace datashard::generation {
namespace {

Result<BucketAccess> Access(const SnapshotS3Options& options, Variables variables) {
  return BucketAccessOf("s3://b/some/p", options, GivenEnvironment(std::move(variables)), SilentLog());
}

TEST(SnapshotPlace, TheSamePlaceHasOneUrl) {
  const GivenEnvironment environment({});
  const auto url = [&](const std::string& prefix) {
    const Result<std::shared_ptr<SnapshotPlace>> place = SnapshotPlace::Open(prefix, {}, environment, ProcessOutside());
    return place.ok() ? (*place)->url() : place.error().ToString();
  };
  EXPECT_EQ(url("s3://b/p/"), "s3://b/p");
  EXPECT_EQ(url("s3a://b/p"), "s3://b/p");
  EXPECT_EQ(url("/a/./b//c/"), "file:///a/b/c");
  EXPECT_EQ(url("file:///a/b"), "file:///a/b");
  EXPECT_TRUE(url("a").starts_with("file:///"));
  for (const char* const wrong : {"", "gs://b/p", "s3:/b/p", "s3://", "file://host/a"}) EXPECT_TRUE(url(wrong).starts_with("invalid")) << wrong << url(wrong);
}

TEST(SnapshotPlace, ReferencesLeadBelowItOrElsewhere) {
  const TemporaryDirectory directory;
  const GivenEnvironment environment({});
  ASSERT_OK_AND_ASSIGN(const auto place, SnapshotPlace::Open(directory.path() + "/p", {}, environment, ProcessOutside()));
  EXPECT_THAT(place->ToRead(), HasKind(ErrorKind::kNotFound)) << "nothing was made";
  ASSERT_OK_AND_ASSIGN(const auto store, place->ToWrite());
  ASSERT_THAT(store->Replace("shards/a/shard.db", "inside"), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto elsewhere, OpenLocalStore(directory.path() + "/q/a", /*create=*/true));
  ASSERT_THAT(elsewhere->Replace("shard.db", "outside"), IsOk());
  EXPECT_EQ(place->KeyOf("file://" + directory.path() + "/p/shards/a/"), "shards/a");
  EXPECT_EQ(place->KeyOf(directory.path() + "/p/shards/a"), "shards/a");
  EXPECT_EQ(place->KeyOf("file://" + directory.path() + "/pq/a"), std::nullopt);
  EXPECT_EQ(place->KeyOf("file://" + directory.path() + "/p/../q/a"), std::nullopt);
  EXPECT_EQ(place->KeyOf("file://" + directory.path() + "/p"), std::nullopt);
  for (const auto& [path, body] : {std::pair("/p/shards/a", "inside"), std::pair("/q/a", "outside")}) {
    ASSERT_OK_AND_ASSIGN(const Located at, place->Locate("file://" + directory.path() + path));
    EXPECT_EQ(at.store->Get(at.key + "/shard.db").value(), body);
  }
}

TEST(SnapshotPlace, ShardsElsewhereInABucketAreFoundFromItsRoot) {
  const GivenEnvironment environment({{"S3_ACCESS_KEY_ID", "a"}, {"S3_SECRET_ACCESS_KEY", "s"}});
  ASSERT_OK_AND_ASSIGN(const auto place, SnapshotPlace::Open("s3://b/p", {}, environment, ProcessOutside()));
  ASSERT_OK_AND_ASSIGN(const Located inside, place->Locate("s3://b/p/x"));
  EXPECT_EQ(inside.store->root_uri() + "|" + inside.key, "s3://b/p|x");
  ASSERT_OK_AND_ASSIGN(const Located outside, place->Locate("s3://b/q/x"));
  EXPECT_EQ(outside.store->root_uri() + "|" + outside.key, "s3://b|q/x");
  EXPECT_EQ(place->Locate("s3://c/x").value().store->root_uri(), "s3://c");
}

TEST(SnapshotS3, WhatIsSaidInCodeGoesBeforeTheEnvironment) {
  const Variables all = {{"S3_ACCESS_KEY_ID", "s3"}, {"S3_SECRET_ACCESS_KEY", "x"}, {"AWS_ACCESS_KEY_ID", "aws"}, {"AWS_SECRET_ACCESS_KEY", "x"},
                         {"AWS_SESSION_TOKEN", "token"}, {"DATASHARD_S3_ACCESS_KEY", "own"}, {"DATASHARD_S3_SECRET_KEY", "x"}, {"S3_REGION", "eu-s3"},
                         {"AWS_REGION", "eu-aws"}, {"AWS_ENDPOINT_URL", "https://aws"}, {"SLATEDB_S3_ENDPOINT_URL", "https://slatedb"}};
  ASSERT_OK_AND_ASSIGN(const BucketAccess said, Access({.access_key_id = "said", .secret_access_key = "x", .endpoint_url = "https://said", .region_name = "eu-said"}, all));
  EXPECT_EQ(said.settings.keys->access_key, "said");
  EXPECT_EQ(said.settings.place.endpoint, "https://said");
  EXPECT_EQ(said.settings.place.region, "eu-said");
  EXPECT_EQ(said.settings.location(), "s3://b/some/p");
  Variables some = all;
  EXPECT_EQ(Access({}, some)->settings.keys->access_key, "s3");
  EXPECT_EQ(Access({}, some)->settings.keys->session_token, "") << "a token goes with its own keys";
  EXPECT_EQ(Access({}, some)->settings.place.region, "eu-s3");
  EXPECT_EQ(Access({}, some)->settings.place.endpoint, "https://aws");
  for (const char* const name : {"S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_REGION", "AWS_ENDPOINT_URL"}) some.erase(name);
  EXPECT_EQ(Access({}, some)->settings.keys->access_key, "aws");
  EXPECT_EQ(Access({}, some)->settings.keys->session_token, "token");
  EXPECT_EQ(Access({}, some)->settings.place.region, "eu-aws");
  EXPECT_EQ(Access({}, some)->settings.place.endpoint, "https://slatedb");
  for (const char* const name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}) some.erase(name);
  EXPECT_EQ(Access({}, some)->settings.keys->access_key, "own");
  EXPECT_EQ(Access({}, {})->settings.keys, std::nullopt) << "where AWS's tools look";
}

TEST(SnapshotS3, OptionsAreChecked) {
  EXPECT_THAT(Access({.access_key_id = "a"}, {}), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(Access({}, {{"S3_ACCESS_KEY_ID", "a"}}), HasMessage("S3_SECRET_ACCESS_KEY"));
  EXPECT_THAT(Access({.addressing_style = "other"}, {}), HasMessage("addressing_style"));
  EXPECT_THAT(Access({.max_attempts = 0}, {}), HasMessage("max_attempts"));
  for (const double seconds : {0.0, -1.0, 1e9}) EXPECT_THAT(Access({.connect_timeout_s = seconds}, {}), HasMessage("connect_timeout"));
  ASSERT_OK_AND_ASSIGN(const BucketAccess access, Access({.addressing_style = "path", .verify_ssl = false, .connect_timeout_s = 0.5, .read_timeout_s = 2, .max_attempts = 3}, {}));
  EXPECT_FALSE(access.verify_server);
  EXPECT_FALSE(access.settings.place.virtual_host);
  EXPECT_EQ(access.retry.attempts_max, 3);
  EXPECT_EQ(access.retry.connect_timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(access.retry.attempt_timeout, std::chrono::seconds(2));
}

}  // namespace
}  // namespace datashard::generation
