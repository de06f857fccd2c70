// Sources at an address of this host that only what runs here can reach: a container's endpoint, an instance's metadata.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/error.h"
#include "s3/credentials_service.h"
#include "s3/credentials_source.h"
#include "s3/server_url.h"

namespace datashard::s3 {
namespace {

using std::chrono::milliseconds;

class FromContainer final : public CredentialsSource {
 public:
  FromContainer(const Environment& environment, SourceTools tools) : environment_(AwsVariables(environment)), tools_(tools) {}
  std::string name() const override { return "container"; }
  Result<Found> Fetch() override;

 private:
  /// Empty: this is no container.
  Result<std::string> Url() const;
  /// Empty: none is needed. Read each time: EKS replaces it.
  Result<std::string> Token() const;

  const GivenEnvironment environment_;
  const SourceTools tools_;
};

bool MayGetTheToken(const ServerUrl& url) {
  return url.tls || IsLoopback(url.host) || url.host == "169.254.170.2" || url.host == "169.254.170.23" || url.host == "[fd00:ec2::23]";
}

Result<std::string> FromContainer::Url() const {
  if (const std::string relative = environment_.Get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !relative.empty()) {
    if (!relative.starts_with('/')) return Denied("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is '{}'; expected a path that begins with '/'", relative);
    return "http://169.254.170.2" + relative;
  }
  const std::string full = environment_.Get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (full.empty()) return full;
  const Result<ServerUrl> url = ParseUrl(full);
  if (!url.ok()) return Denied("AWS_CONTAINER_CREDENTIALS_FULL_URI: {}", url.error().message());
  if (!MayGetTheToken(*url))
    return Denied("AWS_CONTAINER_CREDENTIALS_FULL_URI leads to {} by plain http; expected https, or an address of this host or of AWS's "
                  "container endpoints (169.254.170.2, 169.254.170.23)", url->host);
  return full;
}

Result<std::string> FromContainer::Token() const {
  if (const std::string path = environment_.Get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !path.empty()) {
    Result<std::string> file = ReadSmallFile(path);
    if (!file.ok()) return Denied("the container's authorization token cannot be read: {}", file.error().message());
    return CheckedToken(path, *std::move(file));
  }
  std::string token = environment_.Get("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (token.empty()) return token;
  return CheckedToken("AWS_CONTAINER_AUTHORIZATION_TOKEN", std::move(token));
}

Result<Found> FromContainer::Fetch() {
  DS_ASSIGN_OR_RETURN(const std::string url, Url());
  if (url.empty()) return Found{.why_not = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set"};
  DS_ASSIGN_OR_RETURN(const std::string token, Token());
  HttpRequest request{.url = url, .headers = {{"Accept", "application/json"}}, .bypass_proxy = true};
  if (!token.empty()) request.headers.push_back({"Authorization", token});
  const std::string what = fmt::format("container credentials from {}", url.substr(0, url.find('?')));
  DS_ASSIGN_OR_RETURN(const HttpResponse response, AskPatiently(what, request, {}, tools_));
  if (response.status != 200) return Denied("{}: answered {}", what, response.status);
  DS_ASSIGN_OR_RETURN(Credentials credentials, ReadCredentialsJson(what, response.body));
  return Found{.credentials = std::move(credentials)};
}

class FromInstance final : public CredentialsSource {
 public:
  FromInstance(const Environment& environment, SourceTools tools) : environment_(AwsVariables(environment)), tools_(tools) {}
  std::string name() const override { return "instance metadata"; }
  Result<Found> Fetch() override;

 private:
  Result<std::string> Endpoint() const;
  /// A token for some hours; empty: nobody is there to ask.
  Result<std::string> SessionToken(const std::string& endpoint);
  Result<HttpResponse> Read(const std::string& endpoint, std::string_view path, const std::string& token);
  Patience patience() const;

  const GivenEnvironment environment_;
  const SourceTools tools_;
  bool answered_ = false;  // before: then silence is an outage, not a machine without metadata
};

constexpr std::string_view kRolesPath = "/latest/meta-data/iam/security-credentials/";

Result<std::string> FromInstance::Endpoint() const {
  if (const std::string given = environment_.Get("AWS_EC2_METADATA_SERVICE_ENDPOINT"); !given.empty()) {
    const Result<ServerUrl> url = ParseUrl(given);
    if (!url.ok()) return Denied("AWS_EC2_METADATA_SERVICE_ENDPOINT: {}", url.error().message());
    return url->url();
  }
  std::string mode = environment_.Get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
  std::transform(mode.begin(), mode.end(), mode.begin(), [](unsigned char c) { return std::tolower(c); });
  if (!mode.empty() && mode != "ipv4" && mode != "ipv6")
    return Denied("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is '{}'; expected IPv4 or IPv6", mode);
  return std::string(mode == "ipv6" ? "http://[fd00:ec2::254]" : "http://169.254.169.254");
}

Patience FromInstance::patience() const {
  const auto number = [this](std::string_view name, int otherwise, int most) {
    const std::string text = environment_.Get(name);
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && value > 0 ? std::min(value, most) : otherwise;
  };
  // A machine that is known to have metadata is worth more patience than one that may have none.
  return {.attempts_max = number("AWS_METADATA_SERVICE_NUM_ATTEMPTS", answered_ ? 3 : 1, 10),
          .timeout = std::chrono::seconds(number("AWS_METADATA_SERVICE_TIMEOUT", 1, 60))};
}

Result<std::string> FromInstance::SessionToken(const std::string& endpoint) {
  const HttpRequest request{.method = "PUT",
                            .url = endpoint + "/latest/api/token",
                            .headers = {{"x-aws-ec2-metadata-token-ttl-seconds", "21600"}},
                            .bypass_proxy = true};
  const std::string what = "instance metadata at " + endpoint;
  const Result<HttpResponse> response = AskPatiently(what, request, patience(), tools_);
  if (!response.ok()) {
    if (answered_) return response.error();
    return std::string();
  }
  // Whoever answers at this address without knowing tokens is no instance metadata of version 2.
  if (response->status != 200) return Denied("{}: asked for a token, it answered {}; version 2 (IMDSv2) is needed", what, response->status);
  answered_ = true;
  return CheckedToken(what, response->body);
}

Result<HttpResponse> FromInstance::Read(const std::string& endpoint, std::string_view path, const std::string& token) {
  const HttpRequest request{.url = endpoint + std::string(path), .headers = {{"x-aws-ec2-metadata-token", token}}, .bypass_proxy = true};
  return AskPatiently("instance metadata at " + endpoint, request, patience(), tools_);
}

Result<Found> FromInstance::Fetch() {
  std::string disabled = environment_.Get("AWS_EC2_METADATA_DISABLED");
  std::transform(disabled.begin(), disabled.end(), disabled.begin(), [](unsigned char c) { return std::tolower(c); });
  if (disabled == "true") return Found{.why_not = "AWS_EC2_METADATA_DISABLED is true"};
  DS_ASSIGN_OR_RETURN(const std::string endpoint, Endpoint());
  DS_ASSIGN_OR_RETURN(const std::string token, SessionToken(endpoint));
  if (token.empty()) return Found{.why_not = fmt::format("{} does not answer", endpoint)};
  DS_ASSIGN_OR_RETURN(const HttpResponse roles, Read(endpoint, kRolesPath, token));
  if (roles.status == 404) return Found{.why_not = "this instance has no role"};
  const std::string role = roles.body.substr(0, roles.body.find_first_of("\r\n"));
  if (roles.status != 200 || role.empty())
    return Denied("instance metadata at {}: asked for its role, it answered {}", endpoint, roles.status);
  DS_ASSIGN_OR_RETURN(const HttpResponse keys, Read(endpoint, std::string(kRolesPath) + PercentEncode(role, /*keep_slash=*/false), token));
  const std::string what = fmt::format("role '{}' of the instance metadata at {}", role.substr(0, 100), endpoint);
  if (keys.status != 200) return Denied("{}: answered {}", what, keys.status);
  DS_ASSIGN_OR_RETURN(Credentials credentials, ReadCredentialsJson(what, keys.body));
  return Found{.credentials = std::move(credentials)};
}

}  // namespace

std::unique_ptr<CredentialsSource> ContainerKeys(const Environment& environment, SourceTools tools) {
  return std::make_unique<FromContainer>(environment, tools);
}

std::unique_ptr<CredentialsSource> InstanceKeys(const Environment& environment, SourceTools tools) {
  return std::make_unique<FromInstance>(environment, tools);
}

}  // namespace datashard::s3
