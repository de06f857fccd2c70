// The places where AWS's tools look for credentials, in their order; credentials_chain.h asks them one after another.
// What is read from the environment is read when a source is made, files and services each time they are asked.
// Source: AWS SDKs and Tools Reference Guide, "Standardized credential providers".
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/environment.h"
#include "base/outside.h"
#include "http/http_client.h"
#include "s3/credentials.h"

namespace datashard::s3 {

/// Credentials, or why this place has none and the next one is to be asked.
struct Found {
  std::optional<Credentials> credentials;
  std::string why_not;
};

/// One thread at a time.
class CredentialsSource {
 public:
  virtual ~CredentialsSource() = default;
  /// For messages: "profile 'x'".
  virtual std::string name() const = 0;
  /// Errors mean that the place was meant to be used, so no other is asked: kDenied (set up wrong, or refused), kUnavailable
  /// (a service does not answer).
  virtual Result<Found> Fetch() = 0;
};

/// What sources talk through. Borrowed: outlives them.
struct SourceTools {
  HttpClient& http;
  Outside outside;
};

/// A copy of the variables that any source looks at.
GivenEnvironment AwsVariables(const Environment& environment);

/// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.
std::unique_ptr<CredentialsSource> EnvironmentKeys(const Environment& environment);

/// The profile AWS_PROFILE (default) of AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials) and AWS_CONFIG_FILE (~/.aws/config):
/// keys; role_arn with web_identity_token_file; role_arn with source_profile or credential_source, by STS.
/// credential_process and sso_* are refused with a message: they run programs, or need a browser.
std::unique_ptr<CredentialsSource> ProfileKeys(const Environment& environment, SourceTools tools);

/// AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN (Kubernetes), by STS.
std::unique_ptr<CredentialsSource> WebIdentity(const Environment& environment, SourceTools tools);

/// AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI (ECS, EKS Pod Identity), with AWS_CONTAINER_AUTHORIZATION_TOKEN[_FILE].
/// A plain http address must be of this host or one of the two that AWS serves containers at.
std::unique_ptr<CredentialsSource> ContainerKeys(const Environment& environment, SourceTools tools);

/// The role of an EC2 instance, by IMDSv2 only: AWS_EC2_METADATA_SERVICE_ENDPOINT[_MODE], AWS_EC2_METADATA_DISABLED,
/// AWS_METADATA_SERVICE_TIMEOUT (1 s) and AWS_METADATA_SERVICE_NUM_ATTEMPTS (1). No answer means that this is no instance.
std::unique_ptr<CredentialsSource> InstanceKeys(const Environment& environment, SourceTools tools);

}  // namespace datashard::s3
