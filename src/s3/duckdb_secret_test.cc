#include "s3/duckdb_secret.h"

#include <gtest/gtest.h>

#include <string>

#include "support/matchers.h"

namespace datashard::s3 {
namespace {

S3Settings Local() {
  return {.place = {.endpoint = "http://127.0.0.1:9000", .bucket = "b", .region = "eu-west-1"},
          .prefix = "t",
          .keys = Credentials{"key", "word", "", std::nullopt}};
}

std::string SecretOf(const S3Settings& settings, std::string_view name) {
  const Result<std::string> sql = DuckDbSecret(settings, name);
  EXPECT_THAT(sql, IsOk());
  return sql.ok() ? *sql : "";
}

TEST(DuckDbSecret, SaysEverythingThatReachesTheBucket) {
  EXPECT_EQ(SecretOf(Local(), "datashard_s3"),
            "CREATE OR REPLACE SECRET datashard_s3 (TYPE S3, REGION 'eu-west-1', ENDPOINT '127.0.0.1:9000', "
            "URL_STYLE 'path', USE_SSL false, KEY_ID 'key', SECRET 'word');");
}

TEST(DuckDbSecret, AwsIsAskedByHostNameAndTemporaryKeysHaveAToken) {
  S3Settings settings = Local();
  settings.place.endpoint = "https://s3.eu-west-1.amazonaws.com";
  settings.place.virtual_host = true;
  settings.keys->session_token = "token";
  EXPECT_EQ(SecretOf(settings, "a1"),
            "CREATE OR REPLACE SECRET a1 (TYPE S3, REGION 'eu-west-1', ENDPOINT 's3.eu-west-1.amazonaws.com', "
            "URL_STYLE 'vhost', USE_SSL true, KEY_ID 'key', SECRET 'word', SESSION_TOKEN 'token');");
}

TEST(DuckDbSecret, WithoutKeysDuckDbLooksForThemItself) {
  S3Settings settings = Local();
  settings.keys.reset();
  EXPECT_EQ(SecretOf(settings, "a"),
            "CREATE OR REPLACE SECRET a (TYPE S3, REGION 'eu-west-1', ENDPOINT '127.0.0.1:9000', URL_STYLE 'path', "
            "USE_SSL false, PROVIDER credential_chain);");
}

TEST(DuckDbSecret, AQuoteInAKeyOrANameDoesNotEndIt) {
  S3Settings settings = Local();
  settings.keys = Credentials{"k'); DROP TABLE x; --", "a''b\\'", "'", std::nullopt};
  EXPECT_EQ(SecretOf(settings, "my \"own\"; secret"),
            "CREATE OR REPLACE SECRET \"my \"\"own\"\"; secret\" (TYPE S3, REGION 'eu-west-1', ENDPOINT '127.0.0.1:9000', "
            "URL_STYLE 'path', USE_SSL false, KEY_ID 'k''); DROP TABLE x; --', SECRET 'a''''b\\''', SESSION_TOKEN '''');");
  EXPECT_THAT(SecretOf(Local(), "1a"), testing::HasSubstr("SECRET \"1a\" ("));
  EXPECT_THAT(SecretOf(Local(), "ü"), testing::HasSubstr("SECRET \"ü\" ("));
}

TEST(DuckDbSecret, ANulIsRefusedWithoutShowingTheKey) {
  S3Settings settings = Local();
  settings.keys->secret_key = std::string("wo\0rd", 5);
  const Result<std::string> refused = DuckDbSecret(settings, "a");
  EXPECT_THAT(refused, HasKind(ErrorKind::kInvalidArgument));
  EXPECT_EQ(refused.error().message().find("wo"), std::string::npos);
  EXPECT_THAT(DuckDbSecret(Local(), ""), HasKind(ErrorKind::kInvalidArgument));
  EXPECT_THAT(DuckDbSecret(Local(), std::string_view("a\0b", 3)), HasKind(ErrorKind::kInvalidArgument));
}

}  // namespace
}  // namespace datashard::s3
