#include <gtest/gtest.h>

#include <atomic>

#include "s3/credentials_source.h"
#include "s3/credentials_test_support.h"
#include "s3/sts.h"
#include "s3/wire.h"
#include "support/matchers.h"

namespace datashard::s3 {
namespace {

std::string Secret(const std::string& key) { return std::string(kSecret) + "-" + key; }

class Profile : public testing::Test {
 protected:
  void Write(std::string_view credentials, std::string_view config = "") {
    world_.variables["AWS_SHARED_CREDENTIALS_FILE"] = world_.File("credentials", credentials);
    world_.variables["AWS_CONFIG_FILE"] = world_.File("config", config);
  }
  void Choose(const std::string& profile) { world_.variables["AWS_PROFILE"] = profile; }
  Result<Found> Fetch() {
    Result<Found> found = ProfileKeys(world_.environment(), world_.tools())->Fetch();
    EXPECT_FALSE(!found.ok() && TellsASecret(found.error().message())) << found.error().message();
    return found;
  }
  World world_;
};

TEST(EnvironmentKeys, BothVariablesMakeCredentials) {
  World world;
  EXPECT_THAT(EnvironmentKeys(world.environment())->Fetch()->why_not, "AWS_ACCESS_KEY_ID is not set");
  world.variables = {{"AWS_ACCESS_KEY_ID", "K"}, {"AWS_SECRET_ACCESS_KEY", "S"}};
  EXPECT_EQ(EnvironmentKeys(world.environment())->Fetch()->credentials, (Credentials{"K", "S", "", std::nullopt}));
  world.variables["AWS_SESSION_TOKEN"] = "T";
  EXPECT_EQ(EnvironmentKeys(world.environment())->Fetch()->credentials, (Credentials{"K", "S", "T", std::nullopt}));
}

TEST(EnvironmentKeys, OneWithoutTheOtherIsAnError) {
  World world;
  world.variables = {{"AWS_ACCESS_KEY_ID", "K"}};
  EXPECT_THAT(EnvironmentKeys(world.environment())->Fetch(), HasMessage("AWS_SECRET_ACCESS_KEY is not"));
  world.variables = {{"AWS_SECRET_ACCESS_KEY", kSecret}};
  const auto found = EnvironmentKeys(world.environment())->Fetch();
  EXPECT_THAT(found, HasKind(ErrorKind::kDenied));
  EXPECT_FALSE(TellsASecret(found.error().message()));
}

TEST_F(Profile, TheDefaultOneIsUsedIfItHasKeys) {
  Write("[default]\naws_access_key_id=K\naws_secret_access_key=S\naws_session_token=T\n");
  EXPECT_EQ(Fetch()->credentials, (Credentials{"K", "S", "T", std::nullopt}));
  Write("[other]\naws_access_key_id=K\n", "[default]\nregion=x\n");
  EXPECT_EQ(Fetch()->why_not, "'default' has no keys in it");
  Write("", "");
  EXPECT_EQ(Fetch()->why_not, "'default' is neither in '" + world_.directory.path() + "/credentials' nor in '" + world_.directory.path() + "/config'");
}

TEST_F(Profile, AChosenOneHasToBeThere) {
  Write("[default]\naws_access_key_id=K\naws_secret_access_key=S\n[work]\naws_access_key_id=W\naws_secret_access_key=WS\n");
  Choose("work");
  EXPECT_EQ(Fetch()->credentials->access_key, "W");
  Choose("wrok");
  EXPECT_THAT(Fetch(), HasKind(ErrorKind::kDenied));
  EXPECT_THAT(Fetch(), HasMessage("profile 'wrok' was chosen by AWS_PROFILE, but 'wrok' is neither in"));
}

TEST_F(Profile, AChangedFileIsSeenAtTheNextFetch) {
  Write("[default]\naws_access_key_id=K1\naws_secret_access_key=S\n");
  const auto source = ProfileKeys(world_.environment(), world_.tools());
  EXPECT_EQ(source->Fetch()->credentials->access_key, "K1");
  Write("[default]\naws_access_key_id=K2\naws_secret_access_key=S\n");
  EXPECT_EQ(source->Fetch()->credentials->access_key, "K2");
}

TEST_F(Profile, WaysThatAreNotOursSayWhatToDo) {
  Choose("p");
  for (const char* setting : {"credential_process = /bin/true", "sso_session = s", "sso_start_url = u", "role_arn = r\nmfa_serial = m"}) {
    Write("", std::string("[profile p]\n") + setting + "\n");
    EXPECT_THAT(Fetch(), HasKind(ErrorKind::kDenied)) << setting;
    EXPECT_THAT(Fetch(), HasMessage("aws configure export-credentials --profile p")) << setting;
  }
}

TEST_F(Profile, HalfAKeyPairAndOtherMistakesAreNamed) {
  Choose("p");
  const auto says = [this](const char* config, const char* text) {
    Write("", std::string("[profile p]\n") + config);
    EXPECT_THAT(Fetch(), HasMessage(text)) << config;
  };
  says("aws_access_key_id = K\n", "profile 'p': the secret key is missing");
  says("aws_secret_access_key = hush-hush\n", "profile 'p': the access key is missing");
  says("role_arn = r\n", "neither source_profile nor credential_source nor web_identity_token_file");
  says("role_arn = r\nsource_profile = q\n", "has source_profile 'q', but 'q' is neither in");
  says("role_arn = r\ncredential_source = Moon\n", "has credential_source 'Moon'; expected Environment, EcsContainer or Ec2InstanceMetadata");
  says("role_arn = r\ncredential_source = Environment\n", "has credential_source Environment, but AWS_ACCESS_KEY_ID is not set");
  says("role_arn = r\nsource_profile = q\nduration_seconds = 1h\n", "has duration_seconds '1h'; expected a number");
  says("role_arn = r\nsource_profile = q\n[profile q]\nrole_arn = r\nsource_profile = p\n", "chain of more than 5 roles");
  EXPECT_THAT(Fetch(), HasKind(ErrorKind::kDenied));
}

TEST_F(Profile, ARoleIsTakenWithTheKeysOfItsSource) {
  const ScriptedServer sts([](const SeenRequest&) { return ScriptedAnswer{.body = KeysXml("AssumeRole", "ROLE")}; });
  world_.variables["AWS_ENDPOINT_URL_STS"] = sts.url();
  Write("[base]\naws_access_key_id=BASE\naws_secret_access_key=hush-hush\naws_session_token=hush-hush-too\n",
        "[profile p]\nrole_arn=arn:aws:iam::1:role/r+1\nsource_profile=base\nrole_session_name=me\nexternal_id=e e\nduration_seconds=900\nregion=eu-west-1\n");
  Choose("p");
  ASSERT_OK_AND_ASSIGN(const Found found, Fetch());
  EXPECT_EQ(found.credentials, (Credentials{"ROLE", Secret("ROLE"), Secret("token"), ReadIsoTime("2030-01-01T01:00:00Z")}));
  ASSERT_EQ(sts.requests().size(), 1U);
  const SeenRequest seen = sts.requests()[0];
  EXPECT_EQ(seen.body, "Action=AssumeRole&DurationSeconds=900&ExternalId=e%20e&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr%2B1&"
                       "RoleSessionName=me&Version=2011-06-15");
  EXPECT_EQ(seen.Header("authorization").substr(0, 68), "AWS4-HMAC-SHA256 Credential=BASE/20300101/eu-west-1/sts/aws4_request");
  EXPECT_EQ(seen.Header("x-amz-security-token"), "hush-hush-too");
  EXPECT_EQ("http://" + seen.Header("host"), sts.url());
}

TEST_F(Profile, ARoleMayBeTakenWithTheKeysOfAVariableAContainerOrTheProfileItself) {
  const ScriptedServer server([](const SeenRequest& request) {
    return ScriptedAnswer{.body = request.method == "POST" ? KeysXml("AssumeRole", "ROLE") : KeysJson("BOX")};
  });
  world_.variables["AWS_ENDPOINT_URL_STS"] = server.url();
  world_.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server.url() + "/box";
  world_.variables["AWS_ACCESS_KEY_ID"] = "VAR";
  world_.variables["AWS_SECRET_ACCESS_KEY"] = kSecret;
  Choose("p");
  const auto signer_with = [&](const std::string& setting) {
    Write("", "[profile p]\nrole_arn=r\n" + setting);
    EXPECT_EQ(Fetch()->credentials->access_key, "ROLE") << setting;
    const std::string authorization = server.requests().back().Header("authorization");
    const size_t start = authorization.find("Credential=") + 11;
    return authorization.substr(start, authorization.find('/') - start);
  };
  EXPECT_EQ(signer_with("credential_source=Environment\n"), "VAR");
  EXPECT_EQ(signer_with("credential_source=EcsContainer\n"), "BOX");
  EXPECT_EQ(signer_with("source_profile=p\naws_access_key_id=OWN\naws_secret_access_key=hush-hush\n"), "OWN");
}

class Web : public testing::Test {
 protected:
  Web() {
    world_.variables = {{"AWS_WEB_IDENTITY_TOKEN_FILE", world_.File("token", std::string(kSecret) + ".jwt\n")},
                        {"AWS_ROLE_ARN", "arn:aws:iam::1:role/pod"},
                        {"AWS_ENDPOINT_URL_STS", sts_.url()}};
  }
  Result<Found> Fetch() {
    Result<Found> found = WebIdentity(world_.environment(), world_.tools())->Fetch();
    EXPECT_FALSE(!found.ok() && TellsASecret(found.error().message())) << found.error().message();
    EXPECT_FALSE(world_.log.Tells(kSecret));
    return found;
  }
  Script answer_{[](const SeenRequest&) { return ScriptedAnswer{.body = KeysXml("AssumeRoleWithWebIdentity", "POD")}; }};
  ScriptedServer sts_{[this](const SeenRequest& request) { return answer_(request); }};
  World world_;
};

TEST_F(Web, TheTokenIsExchangedForARole) {
  ASSERT_OK_AND_ASSIGN(const Found found, Fetch());
  EXPECT_EQ(found.credentials, (Credentials{"POD", Secret("POD"), Secret("token"), ReadIsoTime("2030-01-01T01:00:00Z")}));
  const SeenRequest seen = sts_.requests().at(0);
  EXPECT_EQ(seen.target, "/");  // the token is in the body, not where proxies log it
  EXPECT_NE(seen.body.find("WebIdentityToken=hush-hush.jwt"), std::string::npos);
  EXPECT_NE(seen.body.find("RoleSessionName=datashard-"), std::string::npos);
  EXPECT_EQ(seen.Header("authorization"), "");
}

TEST_F(Web, TheTokenIsReadEachTime) {
  const auto source = WebIdentity(world_.environment(), world_.tools());
  ASSERT_THAT(source->Fetch(), IsOk());
  world_.File("token", "second.jwt");
  ASSERT_THAT(source->Fetch(), IsOk());
  EXPECT_NE(sts_.requests().at(1).body.find("WebIdentityToken=second.jwt"), std::string::npos);
}

TEST_F(Web, WithoutItsVariablesItIsNotMeant) {
  world_.variables.erase("AWS_WEB_IDENTITY_TOKEN_FILE");
  EXPECT_EQ(Fetch()->why_not, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
}

TEST_F(Web, WhatIsMissingIsNamed) {
  world_.variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = world_.File("empty", " \n");
  EXPECT_THAT(Fetch(), HasMessage("/empty is empty; expected a token"));
  world_.variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = world_.File("two", "a\nb\n");
  EXPECT_THAT(Fetch(), HasMessage("more than one line"));
  world_.variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/nowhere/token";
  EXPECT_THAT(Fetch(), HasMessage("/nowhere/token"));
  world_.variables.erase("AWS_ROLE_ARN");
  EXPECT_THAT(Fetch(), HasMessage("AWS_ROLE_ARN is not"));
  EXPECT_THAT(Fetch(), HasKind(ErrorKind::kDenied));
}

TEST_F(Web, ARefusalIsFinalAndSaysWhatStsSaid) {
  answer_ = [](const SeenRequest&) { return ScriptedAnswer{.status = 400, .body = ErrorXml("ExpiredTokenException", "Token expired")}; };
  EXPECT_THAT(Fetch(), HasKind(ErrorKind::kDenied));
  EXPECT_EQ(sts_.requests().size(), 1U);
  EXPECT_THAT(Fetch(), HasMessage("answered 400 ExpiredTokenException (Token expired)"));
}

TEST_F(Web, ABusyOrSilentServiceIsAskedAgain) {
  std::atomic<int> asked = 0;
  answer_ = [&asked](const SeenRequest&) {
    ++asked;
    if (asked == 1) return ScriptedAnswer{.status = 503};
    if (asked == 2) return ScriptedAnswer{.lost = true};
    return ScriptedAnswer{.body = KeysXml("AssumeRoleWithWebIdentity", "POD")};
  };
  EXPECT_EQ(Fetch()->credentials->access_key, "POD");
  EXPECT_EQ(asked, 3);
  EXPECT_GT(world_.clock.slept(), std::chrono::microseconds(0));
  answer_ = [](const SeenRequest&) { return ScriptedAnswer{.status = 503}; };
  EXPECT_THAT(Fetch(), HasKind(ErrorKind::kUnavailable));
  EXPECT_THAT(Fetch(), HasMessage("answered 503 3 times"));
}

TEST_F(Web, AnAnswerThatIsNoneIsRefusedWithoutShowingIt) {
  for (const std::string& body : {std::string(), std::string("<html>hush-hush"), std::string("{\"hush-hush\": 1}"),
                                  KeysXml("AssumeRoleWithWebIdentity", "").substr(0, 200)}) {
    answer_ = [&body](const SeenRequest&) { return ScriptedAnswer{.body = body}; };
    EXPECT_THAT(Fetch(), HasKind(ErrorKind::kDenied)) << body;
  }
}

TEST(Sts, TheEndpointIsThatOfTheRegion) {
  World world;
  const auto endpoint = [&world](const std::string& profile_region) {
    const Result<StsSettings> sts = StsFrom(world.environment(), profile_region, world.log);
    return sts.ok() ? sts->endpoint + " " + sts->region : sts.error().message();
  };
  EXPECT_EQ(endpoint(""), "https://sts.amazonaws.com us-east-1");
  EXPECT_EQ(endpoint("eu-west-1"), "https://sts.eu-west-1.amazonaws.com eu-west-1");
  world.variables["AWS_REGION"] = "cn-north-1";
  EXPECT_EQ(endpoint("eu-west-1"), "https://sts.cn-north-1.amazonaws.com.cn cn-north-1");
  world.variables["AWS_REGION"] = "evil.example/";
  EXPECT_NE(endpoint("").find("is no region"), std::string::npos);
  world.variables = {{"AWS_ENDPOINT_URL", "http://sts.lan:9000/"}};
  EXPECT_EQ(endpoint(""), "http://sts.lan:9000 us-east-1");
  ASSERT_EQ(world.log.warnings().size(), 1U);
  EXPECT_NE(world.log.warnings()[0].find("is plain http"), std::string::npos);
}

}  // namespace
}  // namespace datashard::s3
