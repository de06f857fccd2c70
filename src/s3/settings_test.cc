#include "s3/settings.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "s3/server_url.h"
#include "support/matchers.h"

namespace datashard::s3 {
namespace {

class Remembering final : public Log {
 public:
  void Write(LogLevel level, std::string_view message) override {
    if (level == LogLevel::kWarning) warnings.emplace_back(message);
  }
  std::vector<std::string> warnings;
};

Variables Minio() {
  return {{"DATASHARD_STORAGE_TYPE", "s3"},        {"DATASHARD_S3_ENDPOINT", "http://127.0.0.1:9000"},
          {"DATASHARD_S3_ACCESS_KEY", "key"},      {"DATASHARD_S3_SECRET_KEY", "secret-word"},
          {"DATASHARD_S3_BUCKET", "my-bucket"},    {"DATASHARD_S3_REGION", "eu-west-1"},
          {"DATASHARD_S3_PREFIX", "/prod/lake/"}};
}

Variables With(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

Result<std::optional<S3Settings>> Settings(std::string_view table_path, Variables variables, Log& log = SilentLog()) {
  return SettingsForTable(table_path, GivenEnvironment(std::move(variables)), log);
}

TEST(S3Settings, TheVariablesOfTheProductSayEverything) {
  ASSERT_OK_AND_ASSIGN(const std::optional<S3Settings> settings, Settings("logs/workflow", Minio()));
  ASSERT_TRUE(settings.has_value());
  EXPECT_EQ(*settings, (S3Settings{.place = {.endpoint = "http://127.0.0.1:9000", .bucket = "my-bucket", .region = "eu-west-1"},
                                   .prefix = "prod/lake/logs/workflow",
                                   .keys = Credentials{"key", "secret-word", "", std::nullopt}}));
  EXPECT_EQ(settings->location(), "s3://my-bucket/prod/lake/logs/workflow");
  EXPECT_EQ(ToString(*settings),
            "s3://my-bucket/prod/lake/logs/workflow at http://127.0.0.1:9000 (region eu-west-1, path addressing)");
}

TEST(S3Settings, WithoutTheStorageTypeTablesAreLocal) {
  for (const char* type : {"", "local", "LOCAL"}) {
    ASSERT_OK_AND_ASSIGN(const auto settings, Settings("t", With(Minio(), "DATASHARD_STORAGE_TYPE", type)));
    EXPECT_FALSE(settings.has_value()) << type;
  }
  ASSERT_OK_AND_ASSIGN(const auto settings, Settings("t", With(Minio(), "DATASHARD_STORAGE_TYPE", "S3")));
  EXPECT_TRUE(settings.has_value());
  EXPECT_THAT(Settings("t", With(Minio(), "DATASHARD_STORAGE_TYPE", "gcs")), HasMessage("'gcs'; expected local or s3"));
}

TEST(S3Settings, APrefixAndATablePathAreJoinedWithoutTheSlashesAtTheirEnds) {
  struct Case {
    const char *prefix, *path, *joined;
  };
  for (const auto& [prefix, path, joined] :
       {Case{"", "t", "t"}, Case{"p", "t", "p/t"}, Case{"/p/q//", "//tmp/t/", "p/q/tmp/t"}, Case{"p/", "/", "p"}, Case{"", "/", ""},
        Case{"p", "a b/ü+%", "p/a b/ü+%"}, Case{"p", "a//b", "p/a//b"}}) {
    ASSERT_OK_AND_ASSIGN(const auto settings, Settings(path, With(Minio(), "DATASHARD_S3_PREFIX", prefix)));
    EXPECT_EQ(settings->prefix, joined) << prefix << " and " << path;
  }
  ASSERT_OK_AND_ASSIGN(const auto root, Settings("/", With(Minio(), "DATASHARD_S3_PREFIX", "")));
  EXPECT_EQ(root->location(), "s3://my-bucket");
}

TEST(S3Settings, APathThatNoObjectCanHaveIsRefused) {
  for (const char* path : {"a/../b", "..", "./a", "a/.", "a\nb", "a\tb"})
    EXPECT_THAT(Settings(path, Minio()), HasKind(ErrorKind::kInvalidArgument)) << path;
  EXPECT_THAT(Settings(std::string(600, 'a'), Minio()), HasMessage("at most 512"));
}

TEST(S3Settings, AnS3UriNeedsNoStorageTypeAndNoBucketAndHasNoPrefix) {
  Variables variables = Minio();
  variables.erase("DATASHARD_STORAGE_TYPE");
  variables.erase("DATASHARD_S3_BUCKET");
  for (const char* uri : {"s3://other/a/b/", "s3a://other/a/b", "S3://other/a/b"}) {
    ASSERT_OK_AND_ASSIGN(const auto settings, Settings(uri, variables));
    ASSERT_TRUE(settings.has_value()) << uri;
    EXPECT_EQ(settings->location(), "s3://other/a/b") << uri;
    EXPECT_EQ(settings->place.endpoint, "http://127.0.0.1:9000");
  }
  EXPECT_THAT(Settings("s3:///a", variables), HasMessage("names no bucket"));
  EXPECT_THAT(Settings("s3://b ucket/a", variables), HasMessage("'b ucket' is no name of a bucket"));
  EXPECT_FALSE(IsS3Uri("s3:/bucket/a"));
  EXPECT_FALSE(IsS3Uri("s3"));
}

TEST(S3Settings, ABucketIsRequiredInTheWordsOfTheProduct) {
  const auto settings = Settings("t", With(Minio(), "DATASHARD_S3_BUCKET", ""));
  EXPECT_THAT(settings, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(settings, HasMessage("DATASHARD_S3_BUCKET environment variable is required for S3 storage"));
  for (const char* bucket : {"s3://b", "a/b", ".hidden", "b\"x"})
    EXPECT_THAT(Settings("t", With(Minio(), "DATASHARD_S3_BUCKET", bucket)), HasMessage("no name of a bucket")) << bucket;
}

TEST(S3Settings, OneKeyWithoutTheOtherIsAnErrorThatShowsNeither) {
  const auto settings = Settings("t", With(Minio(), "DATASHARD_S3_ACCESS_KEY", ""));
  EXPECT_THAT(settings, HasMessage("only the secret key is set"));
  EXPECT_EQ(settings.error().message().find("secret-word"), std::string::npos);
  EXPECT_THAT(Settings("t", With(Minio(), "DATASHARD_S3_SECRET_KEY", "")), HasMessage("only the access key is set"));
  Variables none = Minio();
  none.erase("DATASHARD_S3_ACCESS_KEY");
  none.erase("DATASHARD_S3_SECRET_KEY");
  ASSERT_OK_AND_ASSIGN(const auto chain, Settings("t", none));
  EXPECT_FALSE(chain->keys.has_value());
}

TEST(S3Settings, WithoutAnEndpointItIsAwsInTheRegionByVirtualHost) {
  Variables variables{{"DATASHARD_STORAGE_TYPE", "s3"}, {"DATASHARD_S3_BUCKET", "my-bucket"}};
  ASSERT_OK_AND_ASSIGN(const auto plain, Settings("t", variables));
  EXPECT_EQ(plain->place.endpoint, "https://s3.us-east-1.amazonaws.com");
  EXPECT_EQ(plain->place.region, "us-east-1");
  EXPECT_TRUE(plain->place.virtual_host);
  ASSERT_OK_AND_ASSIGN(const auto china, Settings("t", With(variables, "DATASHARD_S3_REGION", "cn-north-1")));
  EXPECT_EQ(china->place.endpoint, "https://s3.cn-north-1.amazonaws.com.cn");
  // A dot in the name would not fit the wildcard certificate.
  ASSERT_OK_AND_ASSIGN(const auto dotted, Settings("t", With(variables, "DATASHARD_S3_BUCKET", "my.bucket")));
  EXPECT_FALSE(dotted->place.virtual_host);
  ASSERT_OK_AND_ASSIGN(const auto aws_name, Settings("t", With(variables, "AWS_ENDPOINT_URL_S3", "https://minio.lan/")));
  EXPECT_EQ(aws_name->place.endpoint, "https://minio.lan");
  EXPECT_THAT(Settings("t", With(variables, "DATASHARD_S3_REGION", "us east")), HasMessage("is no region"));
}

TEST(S3Settings, AddressingCanBeChosenWhereTheBucketAllowsIt) {
  Variables variables = With(Minio(), "DATASHARD_S3_ENDPOINT", "https://ams3.digitaloceanspaces.com");
  variables["DATASHARD_S3_ADDRESSING"] = "virtual";
  ASSERT_OK_AND_ASSIGN(const auto settings, Settings("t", variables));
  EXPECT_TRUE(settings->place.virtual_host);
  EXPECT_THAT(Settings("t", With(variables, "DATASHARD_S3_BUCKET", "My_Bucket")), HasMessage("use path addressing"));
  EXPECT_THAT(Settings("t", With(variables, "DATASHARD_S3_ENDPOINT", "http://127.0.0.1:9000")), HasMessage("use path addressing"));
  EXPECT_THAT(Settings("t", With(variables, "DATASHARD_S3_ADDRESSING", "dns")), HasMessage("'dns'; expected path or virtual"));
}

TEST(S3Settings, ConditionalWritesAreProbedTrustedOrGivenUp) {
  const auto kind = [](const std::string& use, const std::string& unsafe) -> Result<ConditionalWrites> {
    Variables variables = With(Minio(), "DATASHARD_S3_USE_CONDITIONAL_WRITES", use);
    DS_ASSIGN_OR_RETURN(const auto settings, Settings("t", With(variables, "DATASHARD_S3_ALLOW_UNSAFE_LOCK", unsafe)));
    return settings->conditional_writes;
  };
  EXPECT_EQ(*kind("", ""), ConditionalWrites::kProbe);
  for (const char* yes : {"true", "1", "YES", " True "}) EXPECT_EQ(*kind(yes, ""), ConditionalWrites::kWork) << yes;
  EXPECT_THAT(kind("false", ""), HasKind(ErrorKind::kUnsupported));
  EXPECT_THAT(kind("false", "0"), HasMessage("DATASHARD_S3_ALLOW_UNSAFE_LOCK=1"));
  EXPECT_EQ(*kind("false", "1"), ConditionalWrites::kAbsent);
  EXPECT_THAT(kind("maybe", ""), HasMessage("'maybe'; expected true or false"));
}

TEST(S3Settings, PlainHttpToAnotherMachineWarns) {
  const auto warnings = [](const std::string& endpoint) {
    Remembering log;
    EXPECT_THAT(Settings("t", With(Minio(), "DATASHARD_S3_ENDPOINT", endpoint), log), IsOk());
    return log.warnings;
  };
  for (const char* fine : {"http://127.0.0.1:9000", "http://127.8.0.1", "http://localhost:9000", "http://s3.localhost", "http://[::1]:9000",
                           "https://minio.lan:9000"})
    EXPECT_TRUE(warnings(fine).empty()) << fine;
  for (const char* open : {"http://minio.lan:9000", "http://10.0.0.1", "http://[::2]", "http://127.0.0.1.lan", "http://localhost.lan"}) {
    ASSERT_EQ(warnings(open).size(), 1U) << open;
    EXPECT_NE(warnings(open)[0].find(std::string(open) + " is plain http"), std::string::npos);
  }
}

TEST(S3Settings, OptionsInCodeNeedNoEnvironment) {
  ASSERT_OK_AND_ASSIGN(const S3Settings settings,
                       SettingsOf({.endpoint = "https://Minio.LAN:443/", .bucket = "b-1", .prefix = "p"}, "t", SilentLog()));
  EXPECT_EQ(settings.place.endpoint, "https://minio.lan");
  EXPECT_EQ(settings.location(), "s3://b-1/p/t");
}

TEST(ServerUrl, WhatIsNoServerIsRefusedAndSaysWhy) {
  for (const char* url : {"", "localhost:9000", "ftp://host", "http://", "http://:80", "http://host:0", "http://host:70000", "http://host:x",
                          "http://[::1", "http://[::1]x80", "http://ho st", "http://::1", "https://host/bucket", "https://host?x", "http://host:"})
    EXPECT_THAT(ParseEndpoint(url), HasKind(ErrorKind::kInvalidArgument)) << url;
  const auto with_password = ParseEndpoint("https://user:hunter2@host");
  EXPECT_THAT(with_password, HasMessage("no user or password"));
  EXPECT_EQ(with_password.error().message().find("hunter2"), std::string::npos);
  EXPECT_THAT(ParseEndpoint("https://host/bucket"), HasMessage("goes on after the host with '/bucket'"));
}

TEST(ServerUrl, PartsAreFoundAndWrittenBack) {
  ASSERT_OK_AND_ASSIGN(const ServerUrl url, ParseUrl("HTTP://[FE80::1]:8080/creds/"));
  EXPECT_FALSE(url.tls);
  EXPECT_EQ(url.host, "[fe80::1]");
  EXPECT_EQ(url.port, 8080);
  EXPECT_EQ(url.url(), "http://[fe80::1]:8080/creds");
}

}  // namespace
}  // namespace datashard::s3
