#include <gtest/gtest.h>

#include <atomic>

#include "s3/credentials_source.h"
#include "s3/credentials_test_support.h"
#include "s3/wire.h"
#include "support/matchers.h"

namespace datashard::s3 {
namespace {

/// Remembers where requests would have gone, and sends none.
class Nowhere final : public HttpClient {
 public:
  std::vector<Result<HttpResponse>> PerformAll(std::span<const HttpRequest> requests) override {
    std::vector<Result<HttpResponse>> answers;
    for (const HttpRequest& request : requests) {
      seen.push_back(request);
      answers.emplace_back(Error(ErrorKind::kUnavailable, "nobody is there"));
    }
    return answers;
  }
  std::vector<HttpRequest> seen;
};

class Container : public testing::Test {
 protected:
  Result<Found> Fetch() {
    Result<Found> found = ContainerKeys(world_.environment(), world_.tools())->Fetch();
    EXPECT_FALSE(!found.ok() && TellsASecret(found.error().message())) << found.error().message();
    return found;
  }
  Script answer_{[](const SeenRequest&) { return ScriptedAnswer{.body = KeysJson("BOX")}; }};
  ScriptedServer server_{[this](const SeenRequest& request) { return answer_(request); }};
  World world_;
};

TEST_F(Container, TheFullUriIsAskedWithItsToken) {
  world_.variables = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", server_.url() + "/v1/credentials?id=7"},
                      {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer hush-hush"}};
  ASSERT_OK_AND_ASSIGN(const Found found, Fetch());
  EXPECT_EQ(found.credentials, (Credentials{"BOX", "hush-hush-BOX", "hush-hush-token", ReadIsoTime("2030-01-01T06:00:00Z")}));
  EXPECT_EQ(server_.requests().at(0).target, "/v1/credentials?id=7");
  EXPECT_EQ(server_.requests().at(0).Header("authorization"), "Bearer hush-hush");
}

TEST_F(Container, ATokenFileCountsMoreAndIsReadEachTime) {
  world_.variables = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", server_.url()},
                      {"AWS_CONTAINER_AUTHORIZATION_TOKEN", "old"},
                      {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", world_.File("token", "first\n")}};
  const auto source = ContainerKeys(world_.environment(), world_.tools());
  ASSERT_THAT(source->Fetch(), IsOk());
  world_.File("token", "second\n");
  ASSERT_THAT(source->Fetch(), IsOk());
  EXPECT_EQ(server_.requests().at(0).Header("authorization"), "first");
  EXPECT_EQ(server_.requests().at(1).Header("authorization"), "second");
  world_.File("token", "one\r\nX-Injected: 1\n");
  EXPECT_THAT(source->Fetch(), HasMessage("more than one line"));
}

TEST_F(Container, ARelativeUriIsOneOfTheHostThatAwsServesContainersAt) {
  Nowhere nowhere;
  world_.variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/v2/credentials/7";
  const auto found = ContainerKeys(world_.environment(), {nowhere, world_.outside()})->Fetch();
  EXPECT_THAT(found, HasKind(ErrorKind::kUnavailable));
  ASSERT_EQ(nowhere.seen.size(), 3U);
  EXPECT_EQ(nowhere.seen[0].url, "http://169.254.170.2/v2/credentials/7");
  EXPECT_TRUE(nowhere.seen[0].bypass_proxy);
  world_.variables["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = ".evil.example/";
  EXPECT_THAT(Fetch(), HasMessage("expected a path that begins with '/'"));
}

TEST_F(Container, APlainHttpAddressElsewhereIsNotGivenTheToken) {
  Nowhere nowhere;
  const auto kind_at = [&](const char* url) {
    world_.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = url;
    return ContainerKeys(world_.environment(), {nowhere, world_.outside()})->Fetch().kind();
  };
  for (const char* refused : {"http://evil.example/", "http://169.254.170.3/", "http://10.0.0.1", "http://127.0.0.1.evil.example/", "ftp://localhost",
                              "http://localhost@evil.example/", "http://[fd00:ec2::24]/"})
    EXPECT_EQ(kind_at(refused), ErrorKind::kDenied) << refused;
  EXPECT_TRUE(nowhere.seen.empty());
  for (const char* allowed : {"https://keys.example/", "http://169.254.170.2/x", "http://169.254.170.23/v1", "http://[fd00:ec2::23]/v1", "http://[::1]:80/",
                              "http://localhost:8080/x"})
    EXPECT_EQ(kind_at(allowed), ErrorKind::kUnavailable) << allowed;
}

TEST_F(Container, WithoutItsVariablesThisIsNone) { EXPECT_NE(Fetch()->why_not.find("are not set"), std::string::npos); }

TEST_F(Container, AnswersThatAreNoCredentialsAreRefusedWithoutShowingThem) {
  world_.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = server_.url();
  const auto says = [this](ScriptedAnswer answer, const char* text) {
    answer_ = [answer](const SeenRequest&) { return answer; };
    EXPECT_THAT(Fetch(), HasKind(ErrorKind::kDenied)) << answer.body;
    EXPECT_THAT(Fetch(), HasMessage(text)) << answer.body;
  };
  says({.status = 403, .body = "hush-hush"}, "answered 403");
  says({.status = 302, .headers = {{"Location", "http://evil.example/"}}}, "answered 302");
  says({.body = "<html>hush-hush"}, "expected a JSON object with AccessKeyId");
  says({.body = "[1]"}, "expected a JSON object");
  says({.body = R"({"AccessKeyId": "A"})"}, "the secret key is missing");
  says({.body = R"({"AccessKeyId": 7, "SecretAccessKey": "hush-hush"})"}, "the access key is missing");
  says({.body = R"({"Code": "AssumeRoleUnauthorizedAccess", "Message": "EC2 cannot assume it"})"}, "AssumeRoleUnauthorizedAccess EC2 cannot assume it");
  says({.body = KeysJson("A", "tomorrow")}, "'Expiration' is 'tomorrow'");
}

class Instance : public testing::Test {
 protected:
  Instance() { world_.variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = server_.url() + "/"; }
  Result<Found> Fetch() { return InstanceKeys(world_.environment(), world_.tools())->Fetch(); }

  ScriptedAnswer Answer(const SeenRequest& request) const {
    if (request.method == "PUT" && request.target == "/latest/api/token")
      return token_status_ == 200 ? ScriptedAnswer{.body = "hush-hush-session"} : ScriptedAnswer{.status = token_status_.load()};
    if (request.Header("x-aws-ec2-metadata-token") != "hush-hush-session") return {.status = 401};
    if (request.target == "/latest/meta-data/iam/security-credentials/") return roles_;
    if (request.target == "/latest/meta-data/iam/security-credentials/my%20role") return keys_;
    return {.status = 404};
  }
  std::atomic<int> token_status_ = 200;
  ScriptedAnswer roles_{.body = "my role\n"};
  ScriptedAnswer keys_{.body = KeysJson("EC2")};
  ScriptedServer server_{[this](const SeenRequest& request) { return Answer(request); }};
  World world_;
};

TEST_F(Instance, ARoleIsReadWithASessionToken) {
  ASSERT_OK_AND_ASSIGN(const Found found, Fetch());
  EXPECT_EQ(found.credentials, (Credentials{"EC2", "hush-hush-EC2", "hush-hush-token", ReadIsoTime("2030-01-01T06:00:00Z")}));
  ASSERT_EQ(server_.requests().size(), 3U);
  EXPECT_EQ(server_.requests()[0].Header("x-aws-ec2-metadata-token-ttl-seconds"), "21600");
}

TEST_F(Instance, AMachineWithoutMetadataOrWithoutARoleHasNoKeys) {
  roles_ = {.status = 404};
  EXPECT_EQ(Fetch()->why_not, "this instance has no role");
  world_.variables["AWS_EC2_METADATA_DISABLED"] = "True";
  EXPECT_EQ(Fetch()->why_not, "AWS_EC2_METADATA_DISABLED is true");
  Nowhere nowhere;
  world_.variables.clear();
  ASSERT_OK_AND_ASSIGN(const Found found, InstanceKeys(world_.environment(), {nowhere, world_.outside()})->Fetch());
  EXPECT_EQ(found.why_not, "http://169.254.169.254 does not answer");
  ASSERT_EQ(nowhere.seen.size(), 1U);  // one second and one attempt, for all those who are on no instance
  EXPECT_EQ(nowhere.seen[0].timeout, std::chrono::seconds(1));
  EXPECT_TRUE(nowhere.seen[0].bypass_proxy);
}

TEST_F(Instance, TheVariablesOfAwsSayWhereAndHowPatiently) {
  Nowhere nowhere;
  world_.variables = {{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6"}, {"AWS_METADATA_SERVICE_NUM_ATTEMPTS", "2"}, {"AWS_METADATA_SERVICE_TIMEOUT", "3"}};
  ASSERT_THAT(InstanceKeys(world_.environment(), {nowhere, world_.outside()})->Fetch(), IsOk());
  ASSERT_EQ(nowhere.seen.size(), 2U);
  EXPECT_EQ(nowhere.seen[0].url, "http://[fd00:ec2::254]/latest/api/token");
  EXPECT_EQ(nowhere.seen[0].timeout, std::chrono::seconds(3));
  world_.variables["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"] = "IPv5";
  EXPECT_THAT(Fetch(), HasMessage("'ipv5'; expected IPv4 or IPv6"));
}

TEST_F(Instance, OnceItHasAnsweredSilenceIsAnOutage) {
  Nowhere nowhere;
  const auto source = InstanceKeys(world_.environment(), world_.tools());
  ASSERT_THAT(source->Fetch(), IsOk());
  token_status_ = 503;
  EXPECT_THAT(source->Fetch(), HasKind(ErrorKind::kUnavailable));
  EXPECT_EQ(server_.requests().size(), 6U);  // it is asked three times now
}

TEST_F(Instance, TheOldVersionIsNotFallenBackTo) {
  token_status_ = 403;
  EXPECT_THAT(Fetch(), HasKind(ErrorKind::kDenied));
  EXPECT_THAT(Fetch(), HasMessage("IMDSv2"));
  EXPECT_EQ(server_.requests().size(), 2U);
}

TEST_F(Instance, AFailedRoleSaysSo) {
  keys_.body = R"({"Code": "Failed", "Message": "not now"})";
  EXPECT_THAT(Fetch(), HasMessage("role 'my role' of the instance metadata at " + server_.url() + ": Failed not now"));
}

TEST_F(Instance, AnEmptyRoleIsNone) {
  roles_.body = "";
  EXPECT_THAT(Fetch(), HasMessage("asked for its role, it answered 200"));
}

}  // namespace
}  // namespace datashard::s3
