// AWS's token service: temporary credentials for a role. Source: AWS STS API Reference 2011-06-15.
#pragma once

#include <string>

#include "base/environment.h"
#include "s3/credentials_source.h"

namespace datashard::s3 {

struct StsSettings {
  std::string endpoint;  ///< scheme://host[:port][/path]
  std::string region;    ///< for signatures
  bool operator==(const StsSettings&) const = default;
};
/// AWS_ENDPOINT_URL_STS, else AWS_ENDPOINT_URL, else the one of AWS_REGION (AWS_DEFAULT_REGION, `profile_region`), else the
/// global one. Plain http to another host, which shows tokens and keys to the network, is warned about. Errors: kDenied: what
/// is set is no URL, or no region.
Result<StsSettings> StsFrom(const Environment& environment, const std::string& profile_region, Log& log);

struct Role {
  std::string arn;
  std::string session_name;  ///< empty: one is made up
  std::string external_id;
  int64_t duration_seconds = 0;  ///< 0: as STS does
};

/// Credentials of `role` for who can show the token in `token_file`, which is read now: Kubernetes replaces it every hour.
/// Errors: kDenied: no token, or STS refused it; kUnavailable: STS does not answer.
Result<Credentials> AssumeWithWebIdentity(const StsSettings& sts, const Role& role, const std::string& token_file, SourceTools tools);
/// Credentials of `role` for who holds `own` credentials. Errors: as above.
Result<Credentials> AssumeRole(const StsSettings& sts, const Role& role, const Credentials& own, SourceTools tools);

}  // namespace datashard::s3
