// From a call to its final answer: addressing, signing, retries with full jitter, and the corrections S3 asks for (clock,
// region, expired credentials), each made once. What an answer means is said in answer.h and s3_client.h.
#pragma once

#include <atomic>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/outside.h"
#include "http/http_client.h"
#include "s3/answer.h"
#include "s3/credentials.h"
#include "s3/sigv4.h"

namespace datashard::s3 {

/// Where objects lie.
struct Place {
  std::string endpoint;  ///< scheme://host[:port], lower case, without a '/' at the end
  std::string bucket;
  std::string region = "us-east-1";
  bool virtual_host = false;  ///< https://bucket.host/key, not https://host/bucket/key

  bool operator==(const Place&) const = default;
};

struct RetrySettings {
  std::chrono::milliseconds budget{60'000};  ///< of all attempts of a call
  int attempts_max = 12;
  std::chrono::milliseconds delay_first{50};  ///< before attempt n: uniform in 0 … min(delay_max, delay_first * 2^(n-2))
  std::chrono::milliseconds delay_max{5'000};
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds attempt_timeout{15'000};  ///< and a second for each MiB of a body
};

struct Call {
  Operation operation = Operation::kGet;
  std::string key;  ///< empty: the bucket itself
  Query query;
  std::vector<HttpHeader> headers;
  ByteView body;                   ///< borrowed
  Bytes body_sha256;               ///< raw, where it is known already
  int64_t answer_bytes_max = 0;    ///< of the answer's body; 0: 32 MiB, enough for XML
  int64_t answer_bytes_hint = 0;   ///< for the time-out
};

/// Callable from several threads, also after a fork. Borrows all but the settings.
class Exchange {
 public:
  Exchange(Place place, RetrySettings retry, HttpClient& http, CredentialsProvider& credentials, const Outside& outside);

  /// Makes all calls at once and repeats those that may succeed later. The answers, in the calls' order, are final: success,
  /// 404, 412 or 416. Errors: as ErrorOf (answer.h) says; kUnavailable: the budget is spent, and nothing was changed;
  /// kCommitUnknown: the same of a call that changes something, and one of its attempts may have been applied. Both also where
  /// an InterruptScope of the caller's ended it.
  std::vector<Result<Answer>> SendAll(std::span<const Call> calls);
  Result<Answer> Send(const Call& call) { return std::move(SendAll({&call, 1}).front()); }

  /// s3://bucket/key
  std::string UriOf(std::string_view key) const;
  const Place& place() const { return place_; }
  const Outside& outside() const { return outside_; }

 private:
  struct Attempted;
  Result<HttpRequest> Sign(const Call& call, const std::string& body_sha256);
  std::chrono::microseconds DelayBefore(int round, const std::vector<Attempted*>& pending);
  Status Wait(std::chrono::microseconds delay);
  void SendRound(std::vector<Attempted*>& pending);
  void Judge(Attempted& call, Result<HttpResponse> response);
  void JudgeAnswer(Attempted& call, Answer answer);
  bool Correct(Attempted& call, const Answer& answer);
  bool CorrectClock(const Answer& answer);
  bool CorrectRegion(const Answer& answer);
  void Count(const Call& call, const Result<HttpResponse>& response);
  Error GivenUp(const Attempted& call, std::string_view why) const;
  const std::string& Region() const;
  std::string HostAndScheme() const;

  const Place place_;
  const RetrySettings retry_;
  HttpClient& http_;
  CredentialsProvider& credentials_;
  const Outside outside_;
  std::atomic<int64_t> clock_skew_us_{0};  // the server's clock minus ours, once it has complained
  std::atomic<int> region_state_{0};       // 0: as set, 1: somebody is writing right_region_, 2: use that
  std::string right_region_;
};

}  // namespace datashard::s3
