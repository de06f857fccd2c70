// Who signs requests, and where the keys come from.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "datashard/result.h"

namespace datashard {

/// Never printed, logged or put into an error's message.
struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;       ///< empty for long-lived keys
  std::optional<Instant> expires;  ///< absent: never
  bool operator==(const Credentials&) const = default;
};

/// Callable from several threads.
class CredentialsProvider {
 public:
  virtual ~CredentialsProvider() = default;
  /// Valid credentials, fetched or refreshed as needed. Errors: kDenied (there are none, or they were refused, and where
  /// they were looked for), kUnavailable (their source does not answer).
  virtual Result<Credentials> Get() = 0;
  /// The server refused the credentials as expired: the next Get fetches them anew.
  virtual void Invalidate() = 0;
};

class StaticCredentials final : public CredentialsProvider {
 public:
  explicit StaticCredentials(Credentials credentials) : credentials_(std::move(credentials)) {}
  Result<Credentials> Get() override { return credentials_; }
  void Invalidate() override {}

 private:
  const Credentials credentials_;
};

}  // namespace datashard
