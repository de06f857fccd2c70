#include "s3/server_url.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/error.h"

namespace datashard::s3 {
namespace {

bool IsHostCharacter(unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_'; }

std::string_view WithoutBrackets(std::string_view host) {
  return host.starts_with('[') && host.ends_with(']') ? host.substr(1, host.size() - 2) : host;
}

/// Splits "host:port", where an IPv6 host is in brackets; an error's text starts with what is wrong.
Status SplitAuthority(std::string_view authority, std::string_view url, ServerUrl& endpoint) {
  const size_t after_host = authority.starts_with('[') ? authority.find(']') + 1 : std::min(authority.find(':'), authority.size());
  endpoint.host = authority.substr(0, after_host);
  std::transform(endpoint.host.begin(), endpoint.host.end(), endpoint.host.begin(), [](unsigned char c) { return std::tolower(c); });
  const bool address = IsIpAddress(endpoint.host);
  if (endpoint.host.empty() || (!address && !std::all_of(endpoint.host.begin(), endpoint.host.end(), IsHostCharacter)))
    return InvalidArgument("'{}' has no host that could be asked; expected http(s)://host[:port]", url);
  std::string_view rest = authority.substr(after_host);
  if (rest.empty()) return {};
  rest.remove_prefix(1);
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), endpoint.port);
  if (authority[after_host] != ':' || error != std::errc() || end != rest.data() + rest.size() || endpoint.port < 1 || endpoint.port > 65535)
    return InvalidArgument("'{}' has port '{}'; expected a number from 1 to 65535", url, rest);
  if (endpoint.port == (endpoint.tls ? 443 : 80)) endpoint.port = 0;
  return {};
}

}  // namespace

std::string ServerUrl::authority() const { return port == 0 ? host : fmt::format("{}:{}", host, port); }

std::string ServerUrl::url() const { return fmt::format("{}://{}{}", tls ? "https" : "http", authority(), path); }

Result<ServerUrl> ParseUrl(std::string_view url) {
  std::string scheme(url.substr(0, std::min(url.find("://"), url.size())));
  std::transform(scheme.begin(), scheme.end(), scheme.begin(), [](unsigned char c) { return std::tolower(c); });
  if (scheme != "http" && scheme != "https")
    return InvalidArgument("'{}' is no URL of a server; expected http(s)://host[:port]", url);
  std::string_view rest = url.substr(scheme.size() + 3);
  ServerUrl endpoint{.tls = scheme == "https"};
  const size_t path_start = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view authority = rest.substr(0, path_start);
  // A password must not travel on into messages.
  if (authority.find('@') != std::string_view::npos)
    return InvalidArgument("an endpoint has no user or password in it; keys are settings of their own");
  DS_RETURN_IF_ERROR(SplitAuthority(authority, url, endpoint));
  endpoint.path = rest.substr(path_start);
  while (endpoint.path.ends_with('/')) endpoint.path.pop_back();
  const bool plain = std::none_of(endpoint.path.begin(), endpoint.path.end(), [](unsigned char c) { return c <= 0x20 || c == 0x7f; });
  if (!plain) return InvalidArgument("'{}' has blanks or control characters in its path", url);
  return endpoint;
}

Result<ServerUrl> ParseEndpoint(std::string_view url) {
  DS_ASSIGN_OR_RETURN(ServerUrl endpoint, ParseUrl(url));
  if (!endpoint.path.empty())
    return InvalidArgument("endpoint '{}' goes on after the host with '{}'; expected http(s)://host[:port]; buckets and prefixes "
                           "are settings of their own", url, endpoint.path);
  return endpoint;
}

Result<ServerUrl> AwsS3Url(std::string_view region) {
  return ServerUrl{.tls = true, .host = fmt::format("s3.{}.amazonaws.com{}", region, region.starts_with("cn-") ? ".cn" : "")};
}

Status CheckRegion(std::string_view region) {
  const bool plain = std::all_of(region.begin(), region.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '-'; });
  if (region.empty() || region.size() > 64 || !plain)
    return InvalidArgument("'{}' is no region; expected letters, digits and '-', such as us-east-1", region);
  return {};
}

bool IsAwsHost(const ServerUrl& endpoint) { return endpoint.host.ends_with(".amazonaws.com") || endpoint.host.ends_with(".amazonaws.com.cn"); }

bool IsHostLabel(std::string_view name) {
  return name.size() >= 3 && name.size() <= 63 && !name.starts_with('-') && !name.ends_with('-') &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-'; });
}

bool IsIpAddress(std::string_view host) {
  const std::string text(WithoutBrackets(host));
  in6_addr address{};
  const bool bracketed = text.size() != host.size();
  return inet_pton(bracketed ? AF_INET6 : AF_INET, text.c_str(), &address) == 1;
}

bool IsLoopback(std::string_view host) {
  const std::string text(WithoutBrackets(host));
  if (text == "localhost" || text.ends_with(".localhost")) return true;
  in_addr four{};
  if (inet_pton(AF_INET, text.c_str(), &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
  in6_addr six{};
  return inet_pton(AF_INET6, text.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

}  // namespace datashard::s3
