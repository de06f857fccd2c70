#include "s3/credentials_chain.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <latch>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "s3/credentials_test_support.h"
#include "support/matchers.h"

namespace datashard::s3 {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// A source that gives out numbered keys, as told.
class Refreshing : public testing::Test {
 protected:
  Result<Credentials> Next() {
    ++fetches_;
    if (failing_) return Unavailable("the service is away");
    return Credentials{"K" + std::to_string(fetches_), kSecret, "", lifetime_ ? std::optional(world_.clock.Now() + *lifetime_) : std::nullopt};
  }
  std::string Key() {
    const Result<Credentials> credentials = provider_.Get();
    return credentials.ok() ? credentials->access_key : credentials.error().message();
  }
  World world_;
  std::atomic<int> fetches_ = 0;
  bool failing_ = false;
  std::optional<std::chrono::microseconds> lifetime_ = hours(6);
  RefreshingCredentials provider_{[this] { return Next(); }, world_.outside()};
};

TEST_F(Refreshing, CredentialsAreKeptUntilMinutesBeforeTheirEnd) {
  EXPECT_EQ(Key(), "K1");
  world_.clock.Sleep(hours(6) - minutes(16));
  EXPECT_EQ(Key(), "K1");
  world_.clock.Sleep(minutes(11));  // five before the end
  EXPECT_EQ(Key(), "K2");
}

TEST_F(Refreshing, TheMomentDiffersBetweenProcesses) {
  std::set<int64_t> moments;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    World world;
    world.random = SeededRandom(seed);
    int fetched = 0;
    RefreshingCredentials provider([&] { ++fetched; return Result<Credentials>(Credentials{"K", "S", "", world.clock.Now() + hours(1)}); }, world.outside());
    const Instant start = world.clock.Now();
    while (fetched < 2) {
      ASSERT_THAT(provider.Get(), IsOk());
      world.clock.Sleep(seconds(10));
    }
    moments.insert((world.clock.Now() - start) / seconds(1));
  }
  EXPECT_GE(moments.size(), 6U);
  EXPECT_GE(*moments.begin(), 45 * 60);
  EXPECT_LE(*moments.rbegin(), 56 * 60);
}

TEST_F(Refreshing, ShortLivedOnesAreUsedForMostOfTheirLife) {
  lifetime_ = seconds(100);
  EXPECT_EQ(Key(), "K1");
  world_.clock.Sleep(seconds(59));
  EXPECT_EQ(Key(), "K1");
  world_.clock.Sleep(seconds(22));
  EXPECT_EQ(Key(), "K2");
}

TEST_F(Refreshing, LongLivedOnesAreFetchedOnce) {
  lifetime_.reset();
  EXPECT_EQ(Key(), "K1");
  world_.clock.Sleep(hours(100'000));
  EXPECT_EQ(Key(), "K1");
}

TEST_F(Refreshing, WhileARefreshFailsTheOldOnesServeUntilTheyExpire) {
  EXPECT_EQ(Key(), "K1");
  world_.clock.Sleep(hours(6) - minutes(4));
  failing_ = true;
  EXPECT_EQ(Key(), "K1");
  EXPECT_EQ(Key(), "K1");
  EXPECT_EQ(fetches_, 2);  // the next attempt comes a minute later
  ASSERT_EQ(world_.log.warnings().size(), 1U);
  EXPECT_NE(world_.log.warnings()[0].find("the service is away"), std::string::npos);
  world_.clock.Sleep(seconds(61));
  EXPECT_EQ(Key(), "K1");
  EXPECT_EQ(fetches_, 3);
  world_.clock.Sleep(minutes(3));
  EXPECT_EQ(Key(), "the service is away");
  failing_ = false;
  EXPECT_EQ(Key(), "K5");
}

TEST_F(Refreshing, ThoseThatComeExpiredAreUsedWithAWarning) {
  lifetime_ = -hours(2);
  EXPECT_EQ(Key(), "K1");
  EXPECT_EQ(Key(), "K1");
  ASSERT_EQ(world_.log.warnings().size(), 1U);
  EXPECT_NE(world_.log.warnings()[0].find("clock"), std::string::npos);
  world_.clock.Sleep(minutes(2));
  EXPECT_EQ(Key(), "K2");
}

TEST_F(Refreshing, RefusedOnesAreFetchedAnewButNotByEveryoneWhoWasRefused) {
  EXPECT_EQ(Key(), "K1");
  world_.clock.Sleep(minutes(1));
  provider_.Invalidate();
  EXPECT_EQ(Key(), "K2");
  provider_.Invalidate();  // another thread's request, signed with K1
  EXPECT_EQ(Key(), "K2");
  EXPECT_EQ(fetches_, 2);
}

TEST_F(Refreshing, OneThreadFetchesAndTheOthersWaitForIt) {
  constexpr int kThreads = 8;
  std::latch started(kThreads);
  std::atomic<int> fetches = 0, inside = 0, inside_max = 0, right = 0;
  RefreshingCredentials provider(
      [&]() -> Result<Credentials> {
        started.wait();  // until all threads are about to ask
        inside_max = std::max(inside_max.load(), ++inside);
        ++fetches;
        --inside;
        return Credentials{"K", "S", "", std::nullopt};
      },
      world_.outside());
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      started.count_down();
      const Result<Credentials> credentials = provider.Get();
      right += credentials.ok() && credentials->access_key == "K" ? 1 : 0;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fetches, 1);
  EXPECT_EQ(inside_max, 1);
  EXPECT_EQ(right, kThreads);
}

TEST_F(Refreshing, DuringARefreshTheOthersGoOnWithTheOldOnes) {
  std::latch fetching(1), go_on(1);
  std::atomic<int> fetches = 0;
  RefreshingCredentials provider(
      [&]() -> Result<Credentials> {
        if (++fetches == 2) {
          fetching.count_down();
          go_on.wait();
        }
        return Credentials{"K" + std::to_string(fetches), "S", "", world_.clock.Now() + hours(1)};
      },
      world_.outside());
  ASSERT_EQ(provider.Get()->access_key, "K1");
  world_.clock.Sleep(minutes(58));
  std::thread refresher([&] { EXPECT_EQ(provider.Get()->access_key, "K2"); });
  fetching.wait();
  EXPECT_EQ(provider.Get()->access_key, "K1");
  go_on.count_down();
  refresher.join();
  EXPECT_EQ(provider.Get()->access_key, "K2");
}

TEST_F(Refreshing, AForkedChildFetchesItsOwnEvenIfItsParentWasFetching) {
  std::latch fetching(1), go_on(1);
  const pid_t parent = getpid();
  RefreshingCredentials provider(
      [&]() -> Result<Credentials> {
        if (getpid() == parent) {
          fetching.count_down();
          go_on.wait();
        }
        return Credentials{getpid() == parent ? "PARENT" : "CHILD", "S", "", std::nullopt};
      },
      world_.outside());
  std::thread fetcher([&] { EXPECT_EQ(provider.Get()->access_key, "PARENT"); });
  fetching.wait();
  const pid_t child = fork();
  if (child == 0) _exit(provider.Get()->access_key == "CHILD" ? 0 : 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  go_on.count_down();
  fetcher.join();
}

/// The whole chain, over the environment variables that AWS defines.
class Chain : public testing::Test {
 protected:
  std::unique_ptr<CredentialsProvider> Provider(const S3Settings& settings = {}) {
    return CredentialsFor(settings, world_.environment(), *world_.http, world_.outside());
  }
  ScriptedServer server_{[](const SeenRequest& request) {
    if (request.method == "POST") return ScriptedAnswer{.body = KeysXml("AssumeRoleWithWebIdentity", "WEB")};
    if (request.method == "PUT") return ScriptedAnswer{.body = "session"};
    if (request.target == "/box") return ScriptedAnswer{.body = KeysJson("BOX")};
    return ScriptedAnswer{.body = request.target.ends_with('/') ? "role" : KeysJson("EC2")};
  }};
  World world_;
};

TEST_F(Chain, PlacesAreAskedInTheOrderOfAwsTools) {
  world_.variables = {{"AWS_ACCESS_KEY_ID", "ENV"},
                      {"AWS_SECRET_ACCESS_KEY", kSecret},
                      {"AWS_SHARED_CREDENTIALS_FILE", world_.File("credentials", "[default]\naws_access_key_id=FILE\naws_secret_access_key=hush-hush\n")},
                      {"AWS_WEB_IDENTITY_TOKEN_FILE", world_.File("token", "jwt")},
                      {"AWS_ROLE_ARN", "r"},
                      {"AWS_ENDPOINT_URL_STS", server_.url()},
                      {"AWS_CONTAINER_CREDENTIALS_FULL_URI", server_.url() + "/box"},
                      {"AWS_EC2_METADATA_SERVICE_ENDPOINT", server_.url()}};
  const S3Settings own{.keys = Credentials{"OWN", kSecret, "", std::nullopt}};
  EXPECT_EQ(Provider(own)->Get()->access_key, "OWN");
  for (const auto& [key, variable] : std::vector<std::pair<std::string, std::string>>{
           {"ENV", "AWS_ACCESS_KEY_ID"}, {"FILE", "AWS_SHARED_CREDENTIALS_FILE"}, {"WEB", "AWS_WEB_IDENTITY_TOKEN_FILE"},
           {"BOX", "AWS_CONTAINER_CREDENTIALS_FULL_URI"}, {"EC2", "AWS_EC2_METADATA_SERVICE_ENDPOINT"}}) {
    EXPECT_EQ(Provider()->Get()->access_key, key);
    world_.variables.erase(variable);
    if (key == "ENV") world_.variables.erase("AWS_SECRET_ACCESS_KEY");
  }
  EXPECT_FALSE(world_.log.Tells(kSecret));
  EXPECT_TRUE(world_.log.Tells("S3 credentials come from web identity"));
}

TEST_F(Chain, WithoutAnyTheErrorSaysWhereItLooked) {
  world_.variables["AWS_EC2_METADATA_DISABLED"] = "true";
  const Result<Credentials> none = Provider()->Get();
  EXPECT_THAT(none, HasKind(ErrorKind::kDenied));
  for (const char* part : {"environment: AWS_ACCESS_KEY_ID is not set", "profile 'default': ", "web identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set",
                           "container: ", "instance metadata: AWS_EC2_METADATA_DISABLED is true", "set DATASHARD_S3_ACCESS_KEY"})
    EXPECT_THAT(none, HasMessage(part));
}

TEST_F(Chain, APlaceThatIsSetUpButFailsIsNotPassedOver) {
  world_.variables = {{"AWS_ACCESS_KEY_ID", "ENV"}, {"AWS_EC2_METADATA_SERVICE_ENDPOINT", server_.url()}};
  EXPECT_THAT(Provider()->Get(), HasMessage("credentials from environment: AWS_ACCESS_KEY_ID is set, but"));
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(Chain, TheEnvironmentIsReadOnce) {
  world_.variables = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", server_.url() + "/box"}};
  const auto provider = Provider();
  world_.variables = {{"AWS_ACCESS_KEY_ID", "ENV"}, {"AWS_SECRET_ACCESS_KEY", kSecret}};
  EXPECT_EQ(provider->Get()->access_key, "BOX");
  world_.clock.Sleep(hours(6));  // and refreshed from where they came
  EXPECT_EQ(provider->Get()->access_key, "BOX");
  EXPECT_EQ(server_.requests().size(), 2U);
}

}  // namespace
}  // namespace datashard::s3
