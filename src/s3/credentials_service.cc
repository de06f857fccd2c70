#include "s3/credentials_service.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "s3/wire.h"

namespace datashard::s3 {
namespace {

constexpr int64_t kBytesMax = int64_t{1} << 20;
constexpr std::chrono::milliseconds kDelayFirst{100};

bool WorthRepeating(const HttpResponse& response) { return response.status == 429 || response.status / 100 == 5; }

/// A text member; empty if it is missing or something else.
std::string Member(const nlohmann::json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

Result<HttpResponse> AskPatiently(std::string_view what, const HttpRequest& request, Patience patience, SourceTools tools) {
  HttpRequest attempt = request;
  attempt.connect_timeout = attempt.timeout = patience.timeout;
  attempt.body_bytes_max = kBytesMax;
  for (int number = 1;; ++number) {
    Result<HttpResponse> response = tools.http.Perform(attempt);
    if (response.ok() && !WorthRepeating(*response)) return response;
    if (!response.ok() && response.kind() != ErrorKind::kUnavailable && response.kind() != ErrorKind::kCommitUnknown)
      return std::move(response).error().In(what);
    if (number >= patience.attempts_max) {
      if (response.ok()) return Unavailable("{}: answered {} {} times", what, response->status, number);
      return Unavailable("{}: {}", what, response.error().message());
    }
    const auto delay = std::chrono::microseconds(kDelayFirst) * (1 << std::min(number - 1, 6));
    tools.outside.clock.Sleep(std::chrono::duration_cast<std::chrono::microseconds>(delay * (0.5 + RandomUnit(tools.outside.random))));
  }
}

Result<std::string> ReadSmallFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return FromErrno(errno, "open " + path);
  std::string text(kBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return FromErrno(errno, "read " + path);
  text.resize(static_cast<size_t>(file.gcount()));
  if (static_cast<int64_t>(text.size()) > kBytesMax) return Denied("{} is larger than {} bytes, which no file of this kind is", path, kBytesMax);
  return text;
}

Result<std::string> CheckedToken(std::string_view what, std::string token) {
  while (!token.empty() && std::isspace(static_cast<unsigned char>(token.back())) != 0) token.pop_back();
  const size_t first = std::min(token.find_first_not_of(" \t\r\n"), token.size());
  token.erase(0, first);
  if (token.empty()) return Denied("{} is empty; expected a token", what);
  if (token.find_first_of("\r\n") != std::string::npos || token.find('\0') != std::string::npos)
    return Denied("{} has more than one line; expected one token", what);
  return token;
}

Result<Credentials> ReadCredentialsJson(std::string_view what, std::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Denied("{}: expected a JSON object with AccessKeyId, found something else ({} bytes)", what, text.size());
  const std::string code = Member(json, "Code");
  if (!code.empty() && code != "Success")
    return Denied("{}: {} {}", what, code.substr(0, 100), Member(json, "Message").substr(0, 300));
  Credentials credentials{Member(json, "AccessKeyId"), Member(json, "SecretAccessKey"), Member(json, "Token"), std::nullopt};
  DS_RETURN_IF_ERROR(CheckComplete(what, credentials));
  if (const std::string expiration = Member(json, "Expiration"); !expiration.empty()) {
    credentials.expires = ReadIsoTime(expiration);
    if (!credentials.expires) return Denied("{}: 'Expiration' is '{}'; expected a time like 2030-01-01T00:00:00Z", what, expiration.substr(0, 40));
  }
  return credentials;
}

Status CheckComplete(std::string_view what, const Credentials& credentials) {
  if (credentials.access_key.empty()) return Denied("{}: the access key is missing", what);
  if (credentials.secret_key.empty()) return Denied("{}: the secret key is missing", what);
  return {};
}

}  // namespace datashard::s3
