// The files that AWS's tools share, ~/.aws/credentials and ~/.aws/config: profiles of names and values.
// Source: AWS SDKs and Tools Reference Guide, "Format of the shared config and credentials files".
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/environment.h"
#include "datashard/result.h"

namespace datashard::s3 {

/// Names in lower case.
using ProfileValues = std::map<std::string, std::string, std::less<>>;
using Profiles = std::map<std::string, ProfileValues, std::less<>>;

enum class ConfigKind {
  kCredentials,  ///< sections are [name]
  kConfig,       ///< sections are [profile name], and [default]
};
/// The profiles in a file's text. Sections of other kinds, lines that say nothing and the indented lines of nested settings are
/// passed over, as AWS's tools do.
Profiles ParseProfiles(std::string_view text, ConfigKind kind);

struct SharedConfig {
  Profiles profiles;  ///< where both files set a value, the credentials file's counts
  std::string credentials_path, config_path;  ///< empty: there is no such place
};
/// AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE, or those below HOME. A file that is not there is an empty one.
/// Error: kDenied: it cannot be read.
Result<SharedConfig> ReadSharedConfig(const Environment& environment);

}  // namespace datashard::s3
