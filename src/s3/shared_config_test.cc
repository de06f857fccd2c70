#include "s3/shared_config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "s3/credentials_test_support.h"
#include "support/matchers.h"

namespace datashard::s3 {
namespace {

TEST(SharedConfig, ACredentialsFileHasProfilesByTheirNames) {
  const Profiles profiles = ParseProfiles(
      "# mine\r\n[default]\r\naws_access_key_id = A\r\nAWS_SECRET_ACCESS_KEY=a/b+c=\n\n; no\n[ work ]\naws_access_key_id=W # since May\n"
      "aws_secret_access_key = w#w\nno value here\n[broken\nx=1\n",
      ConfigKind::kCredentials);
  EXPECT_EQ(profiles, (Profiles{{"default", {{"aws_access_key_id", "A"}, {"aws_secret_access_key", "a/b+c="}}},
                                {"work", {{"aws_access_key_id", "W"}, {"aws_secret_access_key", "w#w"}}}}));
}

TEST(SharedConfig, AConfigFileNamesProfilesSoAndHasOtherSections) {
  const Profiles profiles = ParseProfiles(
      "[default]\nregion = eu-west-1\ns3 =\n  max_concurrent_requests = 20\n[profile dev]\nrole_arn = arn:aws:iam::1:role/x\n"
      "[profile \"two words\"]\nregion=a\n[sso-session my]\nsso_region = b\n[dev2]\nregion=c\n",
      ConfigKind::kConfig);
  EXPECT_EQ(profiles, (Profiles{{"default", {{"region", "eu-west-1"}, {"s3", ""}}},
                                {"dev", {{"role_arn", "arn:aws:iam::1:role/x"}}},
                                {"two words", {{"region", "a"}}}}));
}

TEST(SharedConfig, TheCredentialsFileCountsMoreAndBothAreBelowHome) {
  World world;
  ASSERT_EQ(mkdir((world.directory.path() + "/.aws").c_str(), 0700), 0);
  world.File(".aws/credentials", "[default]\naws_access_key_id=FROM-CREDENTIALS\n");
  world.File(".aws/config", "[default]\naws_access_key_id=FROM-CONFIG\nregion=eu-west-1\n[profile other]\nregion=x\n");
  world.variables["HOME"] = world.directory.path();
  ASSERT_OK_AND_ASSIGN(const SharedConfig shared, ReadSharedConfig(world.environment()));
  EXPECT_EQ(shared.profiles, (Profiles{{"default", {{"aws_access_key_id", "FROM-CREDENTIALS"}, {"region", "eu-west-1"}}},
                                       {"other", {{"region", "x"}}}}));
  world.variables["AWS_CONFIG_FILE"] = "~/elsewhere";
  ASSERT_OK_AND_ASSIGN(const SharedConfig moved, ReadSharedConfig(world.environment()));
  EXPECT_EQ(moved.config_path, world.directory.path() + "/elsewhere");
  EXPECT_EQ(moved.profiles.size(), 1U);
}

TEST(SharedConfig, WithoutFilesAndWithoutAHomeThereAreNoProfiles) {
  World world;
  ASSERT_OK_AND_ASSIGN(const SharedConfig shared, ReadSharedConfig(world.environment()));
  EXPECT_TRUE(shared.profiles.empty());
}

TEST(SharedConfig, AFileThatCannotBeReadIsNoEmptyFile) {
  World world;
  world.variables["AWS_SHARED_CREDENTIALS_FILE"] = world.directory.path();
  EXPECT_THAT(ReadSharedConfig(world.environment()), HasKind(ErrorKind::kDenied));
  world.variables["AWS_SHARED_CREDENTIALS_FILE"] = world.File("huge", std::string(2 << 20, '#'));
  EXPECT_THAT(ReadSharedConfig(world.environment()), HasMessage("larger than 1048576 bytes"));
}

}  // namespace
}  // namespace datashard::s3
