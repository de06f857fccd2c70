// Sources that ask nobody but files and STS: variables, profiles, web identity.
#include <fmt/format.h>

#include <charconv>

#include "base/error.h"
#include "s3/credentials_service.h"
#include "s3/credentials_source.h"
#include "s3/shared_config.h"
#include "s3/sts.h"

namespace datashard::s3 {
namespace {

constexpr int kRolesInARowMax = 5;

class FromVariables final : public CredentialsSource {
 public:
  explicit FromVariables(const Environment& environment) : environment_(AwsVariables(environment)) {}
  std::string name() const override { return "environment"; }
  Result<Found> Fetch() override {
    Credentials keys{environment_.Get("AWS_ACCESS_KEY_ID"), environment_.Get("AWS_SECRET_ACCESS_KEY"),
                     environment_.Get("AWS_SESSION_TOKEN"), std::nullopt};
    if (keys.access_key.empty() && keys.secret_key.empty()) return Found{.why_not = "AWS_ACCESS_KEY_ID is not set"};
    if (keys.secret_key.empty()) return Denied("AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not; set both or neither");
    if (keys.access_key.empty()) return Denied("AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not; set both or neither");
    return Found{.credentials = std::move(keys)};
  }

 private:
  const GivenEnvironment environment_;
};

class FromWebIdentity final : public CredentialsSource {
 public:
  FromWebIdentity(const Environment& environment, SourceTools tools) : environment_(AwsVariables(environment)), tools_(tools) {}
  std::string name() const override { return "web identity"; }
  Result<Found> Fetch() override {
    const std::string token_file = environment_.Get("AWS_WEB_IDENTITY_TOKEN_FILE");
    if (token_file.empty()) return Found{.why_not = "AWS_WEB_IDENTITY_TOKEN_FILE is not set"};
    const Role role{.arn = environment_.Get("AWS_ROLE_ARN"), .session_name = environment_.Get("AWS_ROLE_SESSION_NAME")};
    if (role.arn.empty()) return Denied("AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not; set both or neither");
    DS_ASSIGN_OR_RETURN(const StsSettings sts, StsFrom(environment_, "", tools_.outside.log));
    DS_ASSIGN_OR_RETURN(Credentials credentials, AssumeWithWebIdentity(sts, role, token_file, tools_));
    return Found{.credentials = std::move(credentials)};
  }

 private:
  const GivenEnvironment environment_;
  const SourceTools tools_;
};

class FromProfile final : public CredentialsSource {
 public:
  FromProfile(const Environment& environment, SourceTools tools) : environment_(AwsVariables(environment)), tools_(tools) {
    for (const char* variable : {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"})
      if (profile_.empty()) profile_ = environment_.Get(variable);
    chosen_ = !profile_.empty();
    if (!chosen_) profile_ = "default";
  }
  std::string name() const override { return fmt::format("profile '{}'", profile_); }
  Result<Found> Fetch() override;

 private:
  Result<Found> KeysOf(const SharedConfig& shared, const std::string& profile, int roles_before);
  Result<Credentials> RoleOf(const SharedConfig& shared, const std::string& profile, const ProfileValues& values, int roles_before);
  Result<Credentials> OwnKeysFor(const SharedConfig& shared, const std::string& profile, const ProfileValues& values, int roles_before);
  Result<Credentials> FromNamedSource(const std::string& profile, const std::string& source);

  const GivenEnvironment environment_;
  const SourceTools tools_;
  std::string profile_;
  bool chosen_ = false;  // by the user; then it has to be there
};

std::string Value(const ProfileValues& values, std::string_view name) {
  const auto found = values.find(name);
  return found == values.end() ? std::string() : found->second;
}

Credentials StaticKeysOf(const ProfileValues& values) {
  return {Value(values, "aws_access_key_id"), Value(values, "aws_secret_access_key"), Value(values, "aws_session_token"), std::nullopt};
}

/// What to do about a profile whose keys come by a way that is not ours.
Error NotOurWay(std::string_view profile, std::string_view setting, std::string_view why) {
  return Denied("profile '{0}' has {1}, {2}; run: eval \"$(aws configure export-credentials --profile {0} --format env)\"", profile, setting,
                why);
}

Result<Found> FromProfile::Fetch() {
  DS_ASSIGN_OR_RETURN(const SharedConfig shared, ReadSharedConfig(environment_));
  DS_ASSIGN_OR_RETURN(Found found, KeysOf(shared, profile_, 0));
  if (!found.credentials && chosen_) return Denied("{} was chosen by AWS_PROFILE, but {}", name(), found.why_not);
  return found;
}

Result<Found> FromProfile::KeysOf(const SharedConfig& shared, const std::string& profile, int roles_before) {
  const auto at = shared.profiles.find(profile);
  if (at == shared.profiles.end())
    return Found{.why_not = fmt::format("'{}' is neither in '{}' nor in '{}'", profile, shared.credentials_path, shared.config_path)};
  const ProfileValues& values = at->second;
  if (!Value(values, "role_arn").empty()) {
    DS_ASSIGN_OR_RETURN(Credentials credentials, RoleOf(shared, profile, values, roles_before));
    return Found{.credentials = std::move(credentials)};
  }
  Credentials keys = StaticKeysOf(values);
  if (!keys.access_key.empty() || !keys.secret_key.empty()) {
    DS_RETURN_IF_ERROR(CheckComplete(fmt::format("profile '{}'", profile), keys));
    return Found{.credentials = std::move(keys)};
  }
  if (!Value(values, "credential_process").empty())
    return NotOurWay(profile, "credential_process", "and datashard runs no programs for keys");
  for (const auto& [name, value] : values)
    if (name.starts_with("sso_")) return NotOurWay(profile, name, "which needs a browser");
  return Found{.why_not = fmt::format("'{}' has no keys in it", profile)};
}

Result<Credentials> FromProfile::RoleOf(const SharedConfig& shared, const std::string& profile, const ProfileValues& values, int roles_before) {
  if (roles_before >= kRolesInARowMax) return Denied("profile '{}' is the end of a chain of more than {} roles", profile_, kRolesInARowMax);
  if (!Value(values, "mfa_serial").empty()) return NotOurWay(profile, "mfa_serial", "which needs somebody to type a code");
  Role role{.arn = Value(values, "role_arn"), .session_name = Value(values, "role_session_name"), .external_id = Value(values, "external_id")};
  if (const std::string seconds = Value(values, "duration_seconds"); !seconds.empty()) {
    const auto [end, error] = std::from_chars(seconds.data(), seconds.data() + seconds.size(), role.duration_seconds);
    if (error != std::errc() || end != seconds.data() + seconds.size())
      return Denied("profile '{}' has duration_seconds '{}'; expected a number", profile, seconds);
  }
  DS_ASSIGN_OR_RETURN(const StsSettings sts, StsFrom(environment_, Value(values, "region"), tools_.outside.log));
  if (const std::string token_file = Value(values, "web_identity_token_file"); !token_file.empty())
    return AssumeWithWebIdentity(sts, role, token_file, tools_);
  DS_ASSIGN_OR_RETURN(const Credentials own, OwnKeysFor(shared, profile, values, roles_before));
  return AssumeRole(sts, role, own, tools_);
}

Result<Credentials> FromProfile::OwnKeysFor(const SharedConfig& shared, const std::string& profile, const ProfileValues& values, int roles_before) {
  const std::string source_profile = Value(values, "source_profile"), credential_source = Value(values, "credential_source");
  if (!credential_source.empty()) return FromNamedSource(profile, credential_source);
  if (source_profile.empty())
    return Denied("profile '{}' has role_arn, but neither source_profile nor credential_source nor web_identity_token_file to take it with", profile);
  if (source_profile == profile) {
    Credentials keys = StaticKeysOf(values);
    DS_RETURN_IF_ERROR(CheckComplete(fmt::format("profile '{}'", profile), keys));
    return keys;
  }
  DS_ASSIGN_OR_RETURN(Found found, KeysOf(shared, source_profile, roles_before + 1));
  if (!found.credentials) return Denied("profile '{}' has source_profile '{}', but {}", profile, source_profile, found.why_not);
  return *std::move(found.credentials);
}

Result<Credentials> FromProfile::FromNamedSource(const std::string& profile, const std::string& source) {
  std::unique_ptr<CredentialsSource> named;
  if (source == "Environment") named = EnvironmentKeys(environment_);
  if (source == "EcsContainer") named = ContainerKeys(environment_, tools_);
  if (source == "Ec2InstanceMetadata") named = InstanceKeys(environment_, tools_);
  if (named == nullptr)
    return Denied("profile '{}' has credential_source '{}'; expected Environment, EcsContainer or Ec2InstanceMetadata", profile, source);
  DS_ASSIGN_OR_RETURN(Found found, named->Fetch());
  if (!found.credentials) return Denied("profile '{}' has credential_source {}, but {}", profile, source, found.why_not);
  return *std::move(found.credentials);
}

}  // namespace

GivenEnvironment AwsVariables(const Environment& environment) {
  Variables variables;
  for (const char* name :
       {"HOME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
        "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS",
        "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
        "AWS_METADATA_SERVICE_TIMEOUT", "AWS_METADATA_SERVICE_NUM_ATTEMPTS"})
    variables[name] = environment.Get(name);
  return GivenEnvironment(std::move(variables));
}

std::unique_ptr<CredentialsSource> EnvironmentKeys(const Environment& environment) { return std::make_unique<FromVariables>(environment); }

std::unique_ptr<CredentialsSource> ProfileKeys(const Environment& environment, SourceTools tools) {
  return std::make_unique<FromProfile>(environment, tools);
}

std::unique_ptr<CredentialsSource> WebIdentity(const Environment& environment, SourceTools tools) {
  return std::make_unique<FromWebIdentity>(environment, tools);
}

}  // namespace datashard::s3
