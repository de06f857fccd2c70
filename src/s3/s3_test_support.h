// A bucket of a real server for tests, named by environment variables.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "base/random.h"
#include "s3/s3_store.h"

namespace datashard::s3 {

/// DATASHARD_TEST_S3_ENDPOINT (http://127.0.0.1:7070), _BUCKET (which exists), _ACCESS_KEY, _SECRET_KEY, _REGION (us-east-1 if unset).
struct TestServer {
  std::string endpoint, bucket, access_key, secret_key, region;
  bool named() const { return !endpoint.empty(); }
  Place place() const { return {.endpoint = endpoint, .bucket = bucket, .region = region}; }
};

inline TestServer ServerFromEnvironment() {
  const auto variable = [](const char* name, const char* otherwise) {
    const char* const value = std::getenv((std::string("DATASHARD_TEST_S3_") + name).c_str());
    return std::string(value != nullptr ? value : otherwise);
  };
  return {.endpoint = variable("ENDPOINT", ""), .bucket = variable("BUCKET", "datashard-test"),
          .access_key = variable("ACCESS_KEY", ""), .secret_key = variable("SECRET_KEY", ""), .region = variable("REGION", "us-east-1")};
}

/// What everything here borrows.
struct TestOutside {
  MetricSums metrics;
  Outside outside{SystemClock(), SystemRandom(), metrics, SilentLog()};
};

/// A store on a fresh, empty prefix of the server.
inline std::unique_ptr<ObjectStore> FreshStore(const TestServer& server, const Outside& outside, std::string* prefix_made = nullptr) {
  S3StoreSettings settings{.place = server.place(), .prefix = "test-" + RandomHex(SystemRandom(), 12)};
  if (prefix_made != nullptr) *prefix_made = settings.prefix;
  auto credentials = std::make_shared<StaticCredentials>(Credentials{.access_key = server.access_key, .secret_key = server.secret_key});
  return OpenS3Store(std::move(settings), NewHttpClient({}), std::move(credentials), outside).value();
}

}  // namespace datashard::s3

/// Skips the test, visibly, where no server is named.
#define DS_SKIP_WITHOUT_S3()                                                                                     \
  if (!::datashard::s3::ServerFromEnvironment().named())                                                         \
  GTEST_SKIP() << "DATASHARD_TEST_S3_ENDPOINT names no S3 server; dev/s3-server starts one"
