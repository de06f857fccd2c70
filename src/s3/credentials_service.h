// What the sources share that ask a service for credentials: patient requests, small files, the JSON that containers and
// instances are given. Nothing of an answer's body reaches a message but the service's own error text.
#pragma once

#include <string>
#include <string_view>

#include "s3/credentials_source.h"

namespace datashard::s3 {

struct Patience {
  int attempts_max = 3;
  std::chrono::milliseconds timeout{2'000};  ///< of one attempt
};

/// The answer to a request that may be repeated: after no answer, 429 and 5xx. Bodies up to 1 MiB.
/// Errors: kUnavailable: no attempt was answered otherwise; `what` says whom we asked.
Result<HttpResponse> AskPatiently(std::string_view what, const HttpRequest& request, Patience patience, SourceTools tools);

/// A file of at most 1 MiB. Errors: kNotFound, kDenied.
Result<std::string> ReadSmallFile(const std::string& path);
/// A token in a file or a variable, without the blanks around it. Error: kDenied: empty, or of more than one line.
Result<std::string> CheckedToken(std::string_view what, std::string token);

/// {"AccessKeyId", "SecretAccessKey", "Token", "Expiration", "Code"}. Error: kDenied, with Code and Message if they are there.
Result<Credentials> ReadCredentialsJson(std::string_view what, std::string_view json);

/// Are `credentials` complete? Error: kDenied: names what is missing.
Status CheckComplete(std::string_view what, const Credentials& credentials);

}  // namespace datashard::s3
