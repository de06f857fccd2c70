// The URL of an S3-compatible service, taken apart, and what its host tells.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "datashard/result.h"

namespace datashard::s3 {

struct ServerUrl {
  bool tls = true;
  std::string host;  ///< lower case; an IPv6 address in its brackets
  int32_t port = 0;  ///< 0: the scheme's own
  std::string path;  ///< "" or "/latest/meta-data": as it was given, without a '/' at the end

  /// host[:port], without a port that is the scheme's own.
  std::string authority() const;
  /// scheme://host[:port][path]
  std::string url() const;
};

/// http(s)://host[:port][/]. Errors: kInvalidArgument, with what is wrong; a path, a query or user:password is too much.
Result<ServerUrl> ParseEndpoint(std::string_view url);
/// The same with a path.
Result<ServerUrl> ParseUrl(std::string_view url);
/// The regional endpoint of S3 itself; `region` has passed CheckRegion.
Result<ServerUrl> AwsS3Url(std::string_view region);

/// Letters, digits and '-', at most 64: what may go into a host name and a signature.
Status CheckRegion(std::string_view region);
bool IsAwsHost(const ServerUrl& endpoint);
/// Can `name` be one label of a host name under a wildcard certificate? 3 to 63 lower-case letters, digits and '-'.
bool IsHostLabel(std::string_view name);
bool IsIpAddress(std::string_view host);
/// localhost, a name below it, 127.0.0.0/8 or ::1.
bool IsLoopback(std::string_view host);

}  // namespace datashard::s3
