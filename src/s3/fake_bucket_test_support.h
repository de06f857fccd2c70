// A small S3 in memory for tests, with faults: answers lost, refused or spoilt before and after a request was applied.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "http/http_test_support.h"
#include "s3/digest.h"
#include "s3/s3_store.h"
#include "sim/sim_clock.h"

namespace datashard::s3 {

/// What becomes of the `occurrence`-th request (0 is the first) whose method and target fit; of `times` of them.
struct WireFault {
  std::string method;
  std::string target_part;
  int occurrence = 0;
  int times = 1;
  bool apply = false;  ///< the request is carried out all the same
  /// What is answered; gets the right answer where `apply`.
  std::function<ScriptedAnswer(ScriptedAnswer)> answer;
  int seen = 0;
  int fired = 0;
};

inline ScriptedAnswer LostAnswer(ScriptedAnswer) { return {.lost = true}; }
inline std::function<ScriptedAnswer(ScriptedAnswer)> AnswerWith(int status, std::string code, std::vector<HttpHeader> headers = {}) {
  return [=](const ScriptedAnswer&) {
    return ScriptedAnswer{.status = status, .headers = headers,
                          .body = "<?xml version=\"1.0\"?>\n<Error><Code>" + code + "</Code><Message>scripted</Message><RequestId>R1</RequestId></Error>"};
  };
}

class FakeBucket {
 public:
  struct Object {
    std::string body, token, etag;
  };

  void Fail(WireFault fault) {
    std::lock_guard lock(mutex_);
    faults_.push_back(std::move(fault));
  }
  bool AllFired() const {
    std::lock_guard lock(mutex_);
    return std::all_of(faults_.begin(), faults_.end(), [](const WireFault& fault) { return fault.fired == fault.times; });
  }
  /// Carried out before the next request that fits, without an answer: another writer.
  void Put(const std::string& path, const std::string& body) {
    std::lock_guard lock(mutex_);
    objects_[path] = {body, "somebody", "\"" + std::to_string(++etags_) + "\""};
  }
  void Delete(const std::string& path) {
    std::lock_guard lock(mutex_);
    objects_.erase(path);
  }
  std::map<std::string, Object> objects() const {
    std::lock_guard lock(mutex_);
    return objects_;
  }
  bool honours_conditions = true;  ///< If-None-Match of puts
  bool honours_matches = true;     ///< If-Match of puts
  /// Called for every request before anything else.
  std::function<void(const SeenRequest&)> before = [](const SeenRequest&) {};

  ScriptedAnswer Answer(const SeenRequest& request) {
    before(request);
    std::lock_guard lock(mutex_);
    for (WireFault& fault : faults_) {
      if (request.method != fault.method || request.target.find(fault.target_part) == std::string::npos) continue;
      if (const int index = fault.seen++; index < fault.occurrence || index >= fault.occurrence + fault.times) continue;
      ++fault.fired;
      return fault.answer(fault.apply ? Apply(request) : ScriptedAnswer());
    }
    return Apply(request);
  }

 private:
  ScriptedAnswer Apply(const SeenRequest& request) {
    const std::string path = request.Path();
    const bool upload = request.target.find("uploadId=") != std::string::npos;
    if (request.method == "POST" && request.target.find("?uploads=") != std::string::npos) {
      upload_tokens_[path] = request.Header("x-amz-meta-datashard-put");
      return {.body = "<InitiateMultipartUploadResult><UploadId>U1</UploadId></InitiateMultipartUploadResult>"};
    }
    if (request.method == "PUT" && upload) {
      parts_[path][request.target] = request.body;
      return {.headers = {{"ETag", "\"part\""}}};
    }
    if (request.method == "POST" && upload) {
      std::string body;
      for (const auto& [target, part] : parts_[path]) body += part;
      return Store(path, body, upload_tokens_[path], request.Header("if-none-match") == "*");
    }
    if (request.method == "PUT" && honours_matches && !Fits(path, request.Header("if-match"))) return AnswerWith(412, "PreconditionFailed")({});
    if (request.method == "PUT") return Store(path, request.body, request.Header("x-amz-meta-datashard-put"), request.Header("if-none-match") == "*");
    if (request.method == "DELETE") {
      if (!upload) objects_.erase(path);
      return {.status = 204};
    }
    const auto found = objects_.find(path);
    if (found == objects_.end()) return AnswerWith(404, "NoSuchKey")({});
    return Read(request, found->second);
  }
  bool Fits(const std::string& path, const std::string& etag) const {
    const auto found = objects_.find(path);
    return etag.empty() || (found != objects_.end() && found->second.etag == etag);
  }
  ScriptedAnswer Store(const std::string& path, const std::string& body, const std::string& token, bool if_absent) {
    if (if_absent && honours_conditions && objects_.contains(path)) return AnswerWith(412, "PreconditionFailed")({});
    objects_[path] = {body, token, "\"" + std::to_string(++etags_) + "\""};
    return {.headers = {{"ETag", objects_[path].etag}}};
  }
  static ScriptedAnswer Read(const SeenRequest& request, const Object& object) {
    if (const std::string etag = request.Header("if-match"); !etag.empty() && etag != object.etag)
      return AnswerWith(412, "PreconditionFailed")({});
    ScriptedAnswer answer{.body = object.body};
    answer.headers = {{"ETag", object.etag}, {"x-amz-meta-datashard-put", object.token}, {"Date", "Tue, 01 Jan 2030 00:00:00 GMT"},
                      {"Last-Modified", "Tue, 01 Jan 2030 00:00:00 GMT"}};
    const std::string range = request.Header("range");
    if (range.empty()) {
      answer.headers.push_back({"x-amz-checksum-sha256", Base64(Sha256(object.body))});
      return answer;
    }
    const bool suffix = range.starts_with("bytes=-");
    const size_t first = suffix ? object.body.size() - std::min(object.body.size(), static_cast<size_t>(std::stoull(range.substr(7))))
                                : static_cast<size_t>(std::stoull(range.substr(6)));
    if (first >= object.body.size()) return AnswerWith(416, "InvalidRange")({});
    const size_t dash = range.find('-', 6);
    const size_t count = suffix || dash + 1 == range.size() ? std::string::npos : std::stoull(range.substr(dash + 1)) - first + 1;
    answer.status = 206;
    answer.body = object.body.substr(first, count);
    answer.headers.push_back({"Content-Range", "bytes " + std::to_string(first) + "-" + std::to_string(first + answer.body.size() - 1) +
                                                   "/" + std::to_string(object.body.size())});
    return answer;
  }

  mutable std::mutex mutex_;
  std::vector<WireFault> faults_;
  std::map<std::string, Object> objects_;  // by path: "/bucket/key"
  std::map<std::string, std::string> upload_tokens_;
  std::map<std::string, std::map<std::string, std::string>> parts_;
  int etags_ = 0;
};

/// Credentials that count how often they were asked for and renewed.
class CountingCredentials final : public CredentialsProvider {
 public:
  Result<Credentials> Get() override {
    return Credentials{.access_key = "AKTEST", .secret_key = "topsecret", .session_token = "token" + std::to_string(renewals.load())};
  }
  void Invalidate() override { ++renewals; }
  std::atomic<int> renewals = 0;
};

/// A client and a store on a FakeBucket "b", in simulated time; the store's prefix is "t".
class FakeBucketTest : public testing::Test {
 protected:
  FakeBucketTest() : server_([this](const SeenRequest& request) { return bucket_.Answer(request); }) {
    settings_ = {.place = {.endpoint = server_.url(), .bucket = "b"}, .prefix = "t", .exclusive = S3StoreSettings::Exclusive::kTrusted};
  }
  ObjectStore& store() {
    if (!store_) store_ = OpenS3Store(settings_, http_, credentials_, outside_).value();
    return *store_;
  }
  double Sum(const std::string& metric) const {
    const auto sums = metrics_.Read();
    const auto found = sums.find(metric);
    return found == sums.end() ? 0 : found->second;
  }
  /// "PUT PUT HEAD"
  std::string Methods() const {
    std::string methods;
    for (const SeenRequest& request : server_.requests()) methods.append(methods.empty() ? "" : " ").append(request.method);
    return methods;
  }

  FakeBucket bucket_;
  ScriptedServer server_;
  sim::SimClock clock_;
  MetricSums metrics_;
  std::unique_ptr<Random> random_ = SeededRandom(17);
  Outside outside_{clock_, *random_, metrics_, SilentLog()};
  S3StoreSettings settings_;
  std::shared_ptr<CountingCredentials> credentials_ = std::make_shared<CountingCredentials>();
  std::shared_ptr<HttpClient> http_ = NewHttpClient({});
  std::unique_ptr<ObjectStore> store_;
};

}  // namespace datashard::s3
