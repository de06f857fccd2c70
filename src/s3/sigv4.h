// AWS Signature Version 4 in the Authorization header.
// Source: Amazon S3 API reference, "Authenticating Requests: Using the Authorization Header"; tested on AWS's vectors.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "http/http_client.h"
#include "s3/credentials.h"

namespace datashard::s3 {

/// Names and values as they are, not encoded.
using Query = std::vector<std::pair<std::string, std::string>>;

struct SigningScope {
  std::string region;
  std::string service = "s3";
};

/// A request as it will be sent.
struct RequestToSign {
  std::string method;
  std::string path;   ///< percent-encoded once, as in the URL: S3 does not want it encoded again
  std::string query;  ///< as CanonicalQuery makes it
  std::vector<HttpHeader> headers;  ///< all of them are signed; with host and x-amz-date
  std::string body_sha256;          ///< in hexadecimal digits
};

/// "a=1&b=" in the order of the encoded names, then of the values: for the URL and for the signature.
std::string CanonicalQuery(const Query& query);
/// "20150830T123600Z"
std::string AmzDate(Instant time);
std::string CanonicalRequest(const RequestToSign& request);
/// The value of the Authorization header. `time` is the one in x-amz-date; a session token must be among the headers.
std::string Authorization(const RequestToSign& request, const Credentials& credentials, const SigningScope& scope, Instant time);

}  // namespace datashard::s3
