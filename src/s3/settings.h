// Which bucket, how it is reached and where in it a table lies: from environment variables, from s3:// URIs, and from code.
// Read when a table is opened, so that one process can hold local tables and tables of several buckets.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/environment.h"
#include "base/log.h"
#include "datashard/result.h"
#include "s3/credentials.h"
#include "s3/exchange.h"

namespace datashard::s3 {

enum class Addressing {
  kPath,         ///< https://host/bucket/key
  kVirtualHost,  ///< https://bucket.host/key
};

/// May the endpoint be trusted to refuse a conditional write whose condition fails?
enum class ConditionalWrites {
  kProbe,   ///< find out, once per endpoint and bucket
  kWork,    ///< the user says so
  kAbsent,  ///< the user says it cannot; the table is read-only
};

/// What a user says, as it was said; an empty field says nothing.
struct S3Options {
  std::string endpoint;  ///< http(s)://host[:port]; none: AWS, in `region`
  std::string access_key, secret_key;  ///< both, or neither for the AWS credentials chain
  std::string session_token;           ///< goes with temporary keys
  std::string bucket;
  std::string region;  ///< none: us-east-1
  std::string prefix;  ///< before every table's path
  std::optional<Addressing> addressing;  ///< none: virtual host on AWS where the bucket's name allows it, else path
  std::optional<ConditionalWrites> conditional_writes;  ///< none: kProbe
};

/// Checked and complete.
struct S3Settings {
  Place place;
  std::string prefix;  ///< of every key of the table, without slashes at its ends; empty: the bucket itself
  std::optional<Credentials> keys;  ///< none: the AWS credentials chain
  ConditionalWrites conditional_writes = ConditionalWrites::kProbe;

  /// s3://bucket/prefix: the table's location in its metadata.
  std::string location() const;
  bool operator==(const S3Settings&) const = default;
};

/// For people; without keys.
std::string ToString(const S3Settings& settings);

/// DATASHARD_S3_ENDPOINT (or AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL), _ACCESS_KEY, _SECRET_KEY, _SESSION_TOKEN, _BUCKET,
/// _REGION, _PREFIX, _ADDRESSING (path or virtual) and _USE_CONDITIONAL_WRITES (true, or false together with
/// _ALLOW_UNSAFE_LOCK=1). Errors: kInvalidArgument for a word that is none of these; kUnsupported for a false without that.
Result<S3Options> OptionsFromEnvironment(const Environment& environment);

/// Checks `options` and fills in what they leave out, for the table at prefix/table_path (slashes at the ends do not count).
/// Plain http to another machine is warned about. Errors: kInvalidArgument: no bucket, one key without the other, an
/// endpoint that is no URL, an impossible bucket name or path.
Result<S3Settings> SettingsOf(const S3Options& options, std::string_view table_path, Log& log);

/// s3://bucket/path or s3a://bucket/path?
bool IsS3Uri(std::string_view table_path);

/// Where a table named by a user lies: the settings of its bucket, or nothing for a directory. An s3:// URI is always in its
/// bucket, below no prefix but its own path; another path is in DATASHARD_S3_BUCKET if DATASHARD_STORAGE_TYPE=s3.
/// Errors: as above; kInvalidArgument also for a storage type that is neither local nor s3.
Result<std::optional<S3Settings>> SettingsForTable(std::string_view table_path, const Environment& environment, Log& log);

}  // namespace datashard::s3
