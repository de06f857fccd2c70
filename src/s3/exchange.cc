#include "s3/exchange.h"

#include <algorithm>
#include <charconv>

#include "base/interrupt.h"
#include "s3/digest.h"

namespace datashard::s3 {
namespace {

constexpr int64_t kXmlBytesMax = int64_t{32} << 20;
constexpr int64_t kMiB = int64_t{1} << 20;
constexpr std::chrono::minutes kSkewMin{2};
constexpr std::string_view kAwsHostEnd = ".amazonaws.com";

/// "s3.eu-west-1.amazonaws.com", "s3.amazonaws.com"
bool IsAwsHost(std::string_view host) { return host.starts_with("s3.") && host.ends_with(kAwsHostEnd); }

std::pair<std::string_view, std::string_view> SplitEndpoint(std::string_view endpoint) {
  const size_t colon = endpoint.find("://");
  if (colon == std::string_view::npos) return {"https", endpoint};
  return {endpoint.substr(0, colon), endpoint.substr(colon + 3)};
}

/// As curl sends it in the Host header: without the scheme's own port.
std::string_view HostHeader(std::string_view scheme, std::string_view host) {
  const std::string_view own_port = scheme == "https" ? ":443" : ":80";
  if (host.ends_with(own_port)) host.remove_suffix(own_port.size());
  return host;
}

std::chrono::milliseconds RetryAfter(const Answer& answer) {
  const std::string_view text = answer.http.Header("retry-after");
  int seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  return std::chrono::seconds(error == std::errc() ? std::clamp(seconds, 0, 60) : 0);
}

}  // namespace

struct Exchange::Attempted {
  const Call& call;
  std::string body_sha256;
  int attempts = 0;
  bool may_have_landed = false;
  bool has_token = false;
  bool now = false;  // repeat at once: something was corrected
  bool clock_corrected = false;
  bool region_corrected = false;
  bool credentials_renewed = false;
  std::chrono::milliseconds wait_min{0};
  std::string last;  // what the last attempt came to
  std::optional<Result<Answer>> done;
};

Exchange::Exchange(Place place, RetrySettings retry, HttpClient& http, CredentialsProvider& credentials, const Outside& outside)
    : place_(std::move(place)), retry_(std::move(retry)), http_(http), credentials_(credentials), outside_(outside) {}

std::string Exchange::UriOf(std::string_view key) const {
  return fmt::format("s3://{}{}{}", place_.bucket, key.empty() ? "" : "/", key);
}

const std::string& Exchange::Region() const { return region_state_.load(std::memory_order_acquire) == 2 ? right_region_ : place_.region; }

std::string Exchange::HostAndScheme() const {
  const auto [scheme, host] = SplitEndpoint(place_.endpoint);
  if (!IsAwsHost(host) || region_state_.load(std::memory_order_acquire) != 2) return place_.endpoint;
  return fmt::format("{}://s3.{}{}", scheme, right_region_, kAwsHostEnd);
}

Result<HttpRequest> Exchange::Sign(const Call& call, const std::string& body_sha256) {
  DS_ASSIGN_OR_RETURN(const Credentials credentials, credentials_.Get());
  const std::string endpoint = HostAndScheme();
  const auto [scheme, plain_host] = SplitEndpoint(endpoint);
  const std::string host = place_.virtual_host ? fmt::format("{}.{}", place_.bucket, plain_host) : std::string(plain_host);
  const Instant time = outside_.clock.Now() + std::chrono::microseconds(clock_skew_us_.load());

  RequestToSign signing{.method = std::string(MethodOf(call.operation)), .headers = call.headers, .body_sha256 = body_sha256};
  const std::string key_path = PercentEncode(call.key, /*keep_slash=*/true);
  signing.path = place_.virtual_host ? fmt::format("/{}", key_path)
                                     : fmt::format("/{}{}{}", PercentEncode(place_.bucket, false), call.key.empty() ? "" : "/", key_path);
  signing.query = CanonicalQuery(call.query);
  signing.headers.push_back({"x-amz-date", AmzDate(time)});
  signing.headers.push_back({"x-amz-content-sha256", body_sha256});
  if (!credentials.session_token.empty()) signing.headers.push_back({"x-amz-security-token", credentials.session_token});

  HttpRequest request{.method = signing.method, .headers = signing.headers, .body = call.body};
  request.url = fmt::format("{}://{}{}{}{}", scheme, host, signing.path, signing.query.empty() ? "" : "?", signing.query);
  request.connect_timeout = retry_.connect_timeout;
  request.timeout = retry_.attempt_timeout;
  request.timeout += std::chrono::seconds((static_cast<int64_t>(call.body.size()) + call.answer_bytes_hint) / kMiB);
  request.body_bytes_max = call.answer_bytes_max > 0 ? call.answer_bytes_max : kXmlBytesMax;
  signing.headers.push_back({"host", std::string(HostHeader(scheme, host))});
  request.headers.push_back({"Authorization", Authorization(signing, credentials, {.region = Region()}, time)});
  return request;
}

std::vector<Result<Answer>> Exchange::SendAll(std::span<const Call> calls) {
  std::vector<Attempted> all;
  all.reserve(calls.size());
  for (const Call& call : calls)
    all.push_back({.call = call, .body_sha256 = Hex(call.body_sha256.empty() ? Sha256(call.body) : call.body_sha256)});
  const std::chrono::microseconds start = outside_.clock.Monotonic();
  for (int round = 0;; ++round) {
    std::vector<Attempted*> pending;
    for (Attempted& call : all) {
      if (!call.done) pending.push_back(&call);
    }
    if (pending.empty()) break;
    const bool now = std::all_of(pending.begin(), pending.end(), [](const Attempted* call) { return call->now; });
    if (round > 0 && !now) {
      const std::chrono::microseconds delay = DelayBefore(round, pending);
      const bool over = outside_.clock.Monotonic() - start + delay >= retry_.budget;
      for (Attempted* const call : pending) {
        if (over || call->attempts >= retry_.attempts_max) call->done = GivenUp(*call, call->last);
      }
      std::erase_if(pending, [](const Attempted* call) { return call->done.has_value(); });
      const Status waited = pending.empty() ? Status() : Wait(delay);
      for (Attempted* const call : pending) {
        if (!waited.ok()) call->done = GivenUp(*call, waited.error().message());
      }
      if (pending.empty() || !waited.ok()) continue;
    }
    SendRound(pending);
  }
  std::vector<Result<Answer>> answers;
  answers.reserve(all.size());
  for (Attempted& call : all) answers.push_back(*std::move(call.done));
  return answers;
}

std::chrono::microseconds Exchange::DelayBefore(int round, const std::vector<Attempted*>& pending) {
  const int doublings = std::min(round - 1, 16);
  const std::chrono::microseconds longest = std::min<std::chrono::milliseconds>(retry_.delay_max, retry_.delay_first * (1 << doublings));
  std::chrono::microseconds delay(static_cast<int64_t>(static_cast<double>(longest.count()) * RandomUnit(outside_.random)));
  for (const Attempted* const call : pending) delay = std::max<std::chrono::microseconds>(delay, call->wait_min);
  return delay;
}

Status Exchange::Wait(std::chrono::microseconds delay) {
  while (delay.count() > 0) {
    DS_RETURN_IF_ERROR(AskInterrupted());
    const auto piece = std::min<std::chrono::microseconds>(delay, kAskInterruptedEvery);
    outside_.clock.Sleep(piece);
    delay -= piece;
  }
  return {};
}

void Exchange::SendRound(std::vector<Attempted*>& pending) {
  std::vector<HttpRequest> requests;
  std::vector<Attempted*> sent;
  for (Attempted* const call : pending) {
    Result<HttpRequest> request = Sign(call->call, call->body_sha256);
    if (!request.ok()) {
      call->done = std::move(request).error().In(UriOf(call->call.key));
      continue;
    }
    call->has_token = std::any_of(request->headers.begin(), request->headers.end(),
                                  [](const HttpHeader& header) { return header.name == "x-amz-security-token"; });
    if (call->attempts++ > 0) outside_.metrics.Add("datashard_s3_retries_total", 1);
    requests.push_back(std::move(request).value());
    sent.push_back(call);
  }
  std::vector<Result<HttpResponse>> responses = http_.PerformAll(requests);
  for (size_t i = 0; i < sent.size(); ++i) {
    Count(sent[i]->call, responses[i]);
    Judge(*sent[i], std::move(responses[i]));
  }
}

void Exchange::Judge(Attempted& call, Result<HttpResponse> response) {
  call.now = false;
  call.wait_min = {};
  if (response.ok()) {
    Answer answer{.http = std::move(response).value()};
    if (!answer.success()) answer.error = ReadError(answer.http.body);
    JudgeAnswer(call, std::move(answer));
    return;
  }
  const ErrorKind kind = response.kind();
  if (kind != ErrorKind::kUnavailable && kind != ErrorKind::kCommitUnknown) {
    call.done = std::move(response).error();
    return;
  }
  call.may_have_landed = call.may_have_landed || kind == ErrorKind::kCommitUnknown;
  call.last = response.error().message();
}

void Exchange::JudgeAnswer(Attempted& call, Answer answer) {
  call.may_have_landed = call.may_have_landed || answer.http.resent;
  answer.earlier_may_have_landed = call.may_have_landed;
  if (Correct(call, answer)) {
    call.now = true;
    return;
  }
  switch (VerdictOn(answer)) {
    case Verdict::kFinal: call.done = std::move(answer); return;
    case Verdict::kRefused: call.done = ErrorOf(call.call.operation, UriOf(call.call.key), answer); return;
    case Verdict::kTransient: break;
  }
  call.may_have_landed = call.may_have_landed || (answer.http.status >= 500 && !OnlyReads(call.call.operation));
  call.wait_min = RetryAfter(answer);
  call.last = Described(answer);
}

bool Exchange::Correct(Attempted& call, const Answer& answer) {
  const std::string& code = answer.error.code;
  const int status = answer.http.status;
  // The answer to a HEAD has no body that would say why: both corrections are tried.
  const bool unsaid = code.empty() && (status == 400 || status == 401 || status == 403);
  if ((code == "RequestTimeTooSkewed" || unsaid) && !call.clock_corrected && CorrectClock(answer)) return call.clock_corrected = true;
  if ((code == "ExpiredToken" || code == "TokenRefreshRequired" || (unsaid && call.has_token)) && !call.credentials_renewed) {
    credentials_.Invalidate();
    return call.credentials_renewed = true;
  }
  const bool elsewhere = status == 301 || status == 307 || (status == 400 && !answer.http.Header("x-amz-bucket-region").empty()) ||
                         code == "AuthorizationHeaderMalformed";
  if (!elsewhere || call.region_corrected) return false;
  return call.region_corrected = CorrectRegion(answer);
}

bool Exchange::CorrectClock(const Answer& answer) {
  const std::optional<Instant> server = ReadHttpDate(answer.http.Header("date"));
  if (!server) return false;
  const std::chrono::microseconds skew = *server - outside_.clock.Now();
  if (std::chrono::abs(skew - std::chrono::microseconds(clock_skew_us_.load())) < kSkewMin) return false;
  clock_skew_us_ = skew.count();
  outside_.log.Write(LogLevel::kWarning, fmt::format("this machine's clock differs by {} s from that of {}; requests are signed with its time",
                                                     std::chrono::duration_cast<std::chrono::seconds>(skew).count(), place_.endpoint));
  return true;
}

bool Exchange::CorrectRegion(const Answer& answer) {
  std::string region(answer.http.Header("x-amz-bucket-region"));
  if (region.empty()) region = answer.error.region;
  const bool plausible = !region.empty() && region.size() < 64 && std::all_of(region.begin(), region.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
  if (!plausible) return false;
  int as_set = 0;
  if (region_state_.compare_exchange_strong(as_set, 1)) {
    right_region_ = region;
    region_state_.store(2, std::memory_order_release);
    outside_.log.Write(LogLevel::kWarning, fmt::format("bucket {} lies in region '{}', not '{}'; set that region to save a request",
                                                       place_.bucket, region, place_.region));
    return true;
  }
  return Region() == region;
}

void Exchange::Count(const Call& call, const Result<HttpResponse>& response) {
  const std::string_view name = NameOf(call.operation);
  outside_.metrics.Add("datashard_s3_requests_total", 1);
  outside_.metrics.Add(fmt::format("datashard_s3_{}_requests_total", name), 1);
  outside_.metrics.Add("datashard_s3_sent_bytes_total", static_cast<double>(call.body.size()));
  if (!response.ok()) return;
  outside_.metrics.Add(fmt::format("datashard_s3_{}_seconds", name), std::chrono::duration<double>(response->total).count());
  outside_.metrics.Add("datashard_s3_received_bytes_total", static_cast<double>(response->body.size()));
}

Error Exchange::GivenUp(const Attempted& call, std::string_view why) const {
  const bool unknown = call.may_have_landed && !OnlyReads(call.call.operation);
  return Error(unknown ? ErrorKind::kCommitUnknown : ErrorKind::kUnavailable,
               fmt::format("{} {}: no final answer in {} attempts{}; the last: {}", MethodOf(call.call.operation), UriOf(call.call.key),
                           call.attempts, unknown ? ", one of which may have been applied" : "", why));
}

}  // namespace datashard::s3
