// HTTP requests over kept connections, several at a time. No redirect is followed, nothing is retried: who calls knows which
// request may be repeated. Certificates are verified.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "datashard/result.h"

namespace datashard {

struct HttpHeader {
  std::string name;
  std::string value;
  bool operator==(const HttpHeader&) const = default;
};

/// Takes a piece of an answer's body, in order; false stops the request.
using BodySink = std::function<bool(ByteView piece)>;

struct HttpRequest {
  std::string method = "GET";  ///< GET, HEAD, PUT, POST or DELETE
  std::string url;             ///< http or https, percent-encoded, sent as it stands
  std::vector<HttpHeader> headers;
  ByteView body;  ///< for PUT and POST; borrowed until the call returns
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds timeout{60'000};        ///< for everything; 0: none
  std::chrono::milliseconds stall_timeout{20'000};  ///< without one byte moving, in whole seconds
  bool bypass_proxy = false;                        ///< for addresses of this host, such as instance metadata
  /// Gets the body of a 2xx answer instead of HttpResponse::body. Called in the caller's thread.
  BodySink sink;
  /// Of HttpResponse::body; a longer one is kUnsupported. Answers that are no success may have a MiB in any case.
  int64_t body_bytes_max = int64_t{2} << 30;
};

struct HttpResponse {
  int status = 0;
  std::vector<HttpHeader> headers;  ///< names in lower case
  Bytes body;
  std::chrono::microseconds total{0};
  std::chrono::microseconds first_byte{0};
  /// The request was sent a second time, on a new connection, because a kept one had died: the first may have been applied.
  bool resent = false;

  /// The value of the header `name` (in lower case); "" if there is none.
  std::string_view Header(std::string_view name) const;
};

/// Callable from several threads, also after a fork: a child never uses its parent's connections.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  /// Sends all requests at once (32 of them, and each next when one has ended) and returns when each has its answer; answers
  /// stand in the order of the requests.
  /// An answer of any status is ok. Errors: kInvalidArgument (the URL), kDenied (the server's certificate), kUnsupported (a body
  /// too long), kUnavailable: no answer, and the request was not sent or only reads; kCommitUnknown: a PUT, POST or DELETE
  /// went out, at least in part, and no whole answer came. Messages name method and URL without its query. An InterruptScope
  /// of the caller's ends all requests.
  virtual std::vector<Result<HttpResponse>> PerformAll(std::span<const HttpRequest> requests) = 0;
  Result<HttpResponse> Perform(const HttpRequest& request);
};

struct HttpSettings {
  std::string ca_file;                  ///< certificates to trust, PEM; empty: the system's
  bool verify_server = true;            ///< false: a server with any certificate is believed, where a user says so
  std::string user_agent = "datashard";
  int kept_connections_max = 32;        ///< per caller at the same time
};
std::unique_ptr<HttpClient> NewHttpClient(HttpSettings settings);

/// Every byte but letters, digits, '-', '.', '_' and '~' as %XX; '/' stays where `keep_slash`.
std::string PercentEncode(std::string_view text, bool keep_slash);

}  // namespace datashard
