// What the tests of credentials share: a world whose clock stands still, a log that remembers, files, and answers as AWS
// gives them.
#pragma once

#include <fmt/format.h>

#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include "base/environment.h"
#include "base/outside.h"
#include "http/http_client.h"
#include "http/http_test_support.h"
#include "s3/credentials_source.h"
#include "sim/sim_clock.h"
#include "storage/temporary_directory.h"

namespace datashard::s3 {

/// Part of every secret and token that tests give out. It must never be read in a log or an error.
inline constexpr const char* kSecret = "hush-hush";

class RememberingLog final : public Log {
 public:
  void Write(LogLevel level, std::string_view message) override {
    std::lock_guard lock(mutex_);
    all_.emplace_back(message);
    if (level == LogLevel::kWarning) warnings_.emplace_back(message);
  }
  std::vector<std::string> warnings() const {
    std::lock_guard lock(mutex_);
    return warnings_;
  }
  bool Tells(std::string_view text) const {
    std::lock_guard lock(mutex_);
    for (const std::string& message : all_)
      if (message.find(text) != std::string::npos) return true;
    return false;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> all_, warnings_;
};

struct World {
  sim::SimClock clock;
  std::unique_ptr<Random> random = SeededRandom(7);
  MetricSums metrics;
  RememberingLog log;
  std::unique_ptr<HttpClient> http = NewHttpClient({});
  TemporaryDirectory directory;
  Variables variables;

  Outside outside() { return {clock, *random, metrics, log}; }
  SourceTools tools() { return {*http, outside()}; }
  GivenEnvironment environment() const { return GivenEnvironment(variables); }
  /// Writes a file and returns its path.
  std::string File(const std::string& name, std::string_view text) {
    const std::string path = directory.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
};

/// How a scripted server answers; a test may change it between requests, which other threads serve.
class Script {
 public:
  explicit Script(AnswerHandler handler) : handler_(std::move(handler)) {}
  void operator=(AnswerHandler handler) {
    std::lock_guard lock(mutex_);
    handler_ = std::move(handler);
  }
  ScriptedAnswer operator()(const SeenRequest& request) {
    std::lock_guard lock(mutex_);
    return handler_(request);
  }

 private:
  std::mutex mutex_;
  AnswerHandler handler_;
};

/// What containers and instances answer. SimClock starts in 2030.
inline std::string KeysJson(std::string_view key, std::string_view expiration = "2030-01-01T06:00:00Z") {
  return fmt::format(R"({{"Code": "Success", "AccessKeyId": "{0}", "SecretAccessKey": "{1}-{0}", "Token": "{1}-token", "Expiration": "{2}"}})",
                     key, kSecret, expiration);
}

/// What STS answers to `action`.
inline std::string KeysXml(std::string_view action, std::string_view key) {
  return fmt::format(R"(<{0}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{0}Result><Credentials><AccessKeyId>{1}</AccessKeyId>)"
                     R"(<SecretAccessKey>{2}-{1}</SecretAccessKey><SessionToken>{2}-token</SessionToken>)"
                     R"(<Expiration>2030-01-01T01:00:00Z</Expiration></Credentials></{0}Result></{0}Response>)", action, key, kSecret);
}

inline std::string ErrorXml(std::string_view code, std::string_view message) {
  return fmt::format("<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error></ErrorResponse>", code, message);
}

inline bool TellsASecret(const std::string& text) { return text.find(kSecret) != std::string::npos; }

}  // namespace datashard::s3
